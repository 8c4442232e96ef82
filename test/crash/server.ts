/**
 * The server of the crash run: `veredus start` with LMTP beside it, an alias to two mailboxes, one to a mailbox and to the
 * outside, and a group. Takes the arguments of `veredus start` that the run gives.
 */
import { parseArgs } from "node:util";
import { hashPassword } from "../../auth/password_hash.ts";
import { defaultListener } from "../../server/config/config.ts";
import { LOCAL_ACCOUNTS, localConfig, prepareLocal } from "../../server/local_mode.ts";
import { runForeground } from "../../server/process/foreground.ts";
import type { WriterPort } from "../../storage/writer.ts";
import { EVERYONE, LMTP_PORT, MIXED, OUTSIDER, TEAM } from "./addresses.ts";

const { values } = parseArgs({
  args: Deno.args.slice(1),
  options: {
    ...{ data: { type: "string" }, "port-offset": { type: "string" }, password: { type: "string" } },
    ...{ relay: { type: "string" }, threads: { type: "string" } },
  },
});

async function prepare(writer: WriterPort): Promise<void> {
  await prepareLocal(writer, await hashPassword(values.password!));
  const [alice, bob] = LOCAL_ACCOUNTS as [string, string];
  const result = await writer.submit({
    kind: "batch",
    ops: [
      { kind: "put-alias", address: EVERYONE, targets: [alice, bob] },
      { kind: "put-alias", address: MIXED, targets: [bob, OUTSIDER] },
      {
        kind: "put-group",
        group: { address: TEAM, displayName: "Team", posting: "anyone", owners: [alice] },
      },
      { kind: "change-members", group: TEAM, add: [alice, bob, OUTSIDER], remove: [] },
    ],
  });
  if (!result.ok) throw new Error(`aliases and groups: ${result.fault} ${result.detail}`);
}

const portOffset = Number(values["port-offset"]);
const [host = "", port = ""] = values.relay!.split(":");
const config = localConfig({
  data: values.data!,
  portOffset,
  threads: Number(values.threads),
  relay: { host, port: Number(port) },
  address: "127.0.0.1",
  logging: { level: "info", areas: {}, format: "auto" },
});
const lmtp = { ...defaultListener("lmtp"), address: "127.0.0.1", port: LMTP_PORT + portOffset };
const code = await runForeground({
  // First, because the others are waited for.
  config: { ...config, listeners: [lmtp, ...config.listeners] },
  local: true,
  purpose: "crash run",
  prepare,
  administer: () => Promise.resolve({ close: () => Promise.resolve() }),
  announce: () => "listening",
  reread: null,
});
Deno.exit(code);
