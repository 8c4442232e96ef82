/**
 * The server of the crash run: `veredus start` with LMTP beside it, an alias to two mailboxes, one to a mailbox and to the
 * outside, a group, an account with a filter script, one that teaches the spam filter, one with a POP3 drop, one with scripts, and a check that sets mail aside, which is let go by and by. Takes the
 * arguments of `veredus start` that the run gives.
 */
import { parseArgs } from "node:util";
import { hashPassword } from "../../auth/password_hash.ts";
import type { CheckConfig } from "../../server/config/config.ts";
import { DEFAULT_CHECK, DEFAULT_FILTER, defaultListener } from "../../server/config/defaults.ts";
import { LOCAL_ACCOUNTS, localConfig, prepareLocal } from "../../server/local_mode.ts";
import { runForeground } from "../../server/process/foreground.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { openReaderConnection } from "../../storage/database.ts";
import type { WriterPort } from "../../storage/writer.ts";
import {
  ALICE,
  AWAY,
  CAROL,
  DAVE,
  ERIN,
  EVERYONE,
  FRANK,
  HELD_DOMAIN,
  LMTP_PORT,
  MANAGESIEVE_PORT,
  MIXED,
  OUTSIDER,
  TEAM,
} from "./addresses.ts";

const { values } = parseArgs({
  args: Deno.args.slice(1),
  options: {
    ...{ data: { type: "string" }, "port-offset": { type: "string" }, password: { type: "string" } },
    ...{ relay: { type: "string" }, threads: { type: "string" } },
  },
});

const SCRIPT = `require ["copy", "duplicate", "vacation"];
if duplicate { discard; stop; }
redirect :copy "${AWAY}";
vacation :days 7 :addresses "someone@example.test" "I am away";
`;
/** Between two looks into the quarantine. */
const RELEASE_MS = 200;

async function prepare(writer: WriterPort): Promise<void> {
  const passwordHash = await hashPassword(values.password!);
  await prepareLocal(writer, passwordHash);
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
  const carol = await writer.submit({ kind: "put-account", account: { address: CAROL, passwordHash } });
  if (!carol.ok || carol.kind !== "account") throw new Error("the account with a script");
  for (const address of [ERIN, FRANK]) {
    const result = await writer.submit({ kind: "put-account", account: { address, passwordHash } });
    if (!result.ok) throw new Error(address);
  }
  const dave = await writer.submit({ kind: "put-account", account: { address: DAVE, passwordHash } });
  if (!dave.ok) throw new Error("the account that teaches");
  const script = { scope: "user", owner: String(carol.accountId), name: "main" } as const;
  for (
    const op of [{ kind: "put-script", ...script, content: SCRIPT }, {
      kind: "activate-script",
      ...script,
    }] as const
  ) await writer.submit(op);
  letGo(writer);
}

/** Like an operator who looks into the quarantine all the time. */
function letGo(writer: WriterPort): void {
  const connection = openReaderConnection(new DataFolder(values.data!).database);
  const ids = connection.prepare("SELECT id FROM quarantine_recipients LIMIT 20").raw();
  const look = async () => {
    const recipientIds = ids.all().map(([id]) => id as number);
    const at = Date.now();
    if (recipientIds.length > 0) {
      await writer.submit({
        ...{ kind: "quarantine-control", action: "release", recipientIds, at, expiresAt: at + 86_400_000 },
      });
    }
  };
  setInterval(() => look().catch((error) => console.error("the quarantine:", error)), RELEASE_MS);
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
const managesieve = {
  ...defaultListener("managesieve"),
  address: "127.0.0.1",
  port: MANAGESIEVE_PORT + portOffset,
};
const held: CheckConfig = {
  ...DEFAULT_CHECK,
  ...{ check: "list", name: "held", action: "quarantine", stages: ["mail"], domains: [HELD_DOMAIN] },
};
const code = await runForeground({
  config: {
    ...config,
    // First, because the others are waited for.
    listeners: [lmtp, managesieve, ...config.listeners],
    imap: { ...config.imap, quotaSetters: [ALICE] },
    filter: { ...DEFAULT_FILTER, checks: [...DEFAULT_FILTER.checks, held] },
  },
  local: true,
  purpose: "crash run",
  prepare,
  administer: () => Promise.resolve({ close: () => Promise.resolve() }),
  announce: () => "listening",
  reread: null,
});
Deno.exit(code);
