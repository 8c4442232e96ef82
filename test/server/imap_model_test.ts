/**
 * Random commands from several sessions on one account against a plain model, comparing everything that is said.
 *
 * The truth is imap_model.ts: mailboxes with their messages, names, subscriptions, annotations, rights. Every session keeps
 * the list a client would keep from the responses alone (imap_model_session.ts), and every response is held against both: no
 * number ever wrong, EXPUNGE only where it is allowed, flags, contents, orders and counts as they are. Sessions of RFC 3501,
 * of RFC 9051, with CONDSTORE, QRESYNC and UIDONLY take part; those with QRESYNC come back with what they knew. What each
 * command does stands in imap_model_steps.ts and imap_model_names.ts; a command that changes or lists and is in neither fails.
 * A few seeds here; `VEREDUS_MODEL_SEEDS=5000 VEREDUS_MODEL_FROM=1` runs as many as wanted (`deno task model`).
 */
import assert from "node:assert/strict";
import { APPENDING, COMMANDS } from "../../protocols/imap/command_table.ts";
import { seeded } from "../lib/seeded.ts";
import { Harness } from "./imap_harness.ts";
import { Model } from "./imap_model.ts";
import { nameStep } from "./imap_model_names.ts";
import { type Kind, Session } from "./imap_model_session.ts";
import { type Bed, messageStep, open } from "./imap_model_steps.ts";

const SEEDS = Number(Deno.env.get("VEREDUS_MODEL_SEEDS") ?? 20);
const FROM = Number(Deno.env.get("VEREDUS_MODEL_FROM") ?? 1);
/** With so many every command comes. */
const ENOUGH = 12;
const STEPS = 90;
const KINDS: readonly Kind[] = ["rev1", "rev2", "condstore", "qresync", "uidonly"];
const SHARING = {
  sharing: { scope: "domain", namespaces: { otherUsers: "Other Users", shared: "Shared Folders" } },
} as const;
const GIGABYTE = 1 << 30;

async function runSeed(seed: number, commands: Set<string>): Promise<void> {
  const next = seeded(seed);
  const h = await Harness.open(SHARING);
  const log: string[] = [];
  try {
    await h.test.ok({
      kind: "put-account",
      account: { address: "alice@example.test", quotaOctets: GIGABYTE, quotaMessages: GIGABYTE },
    });
    const model = new Model();
    const sessions = KINDS.map((kind) => new Session(h, { kind, model, log, name: kind }));
    const bed: Bed = { h, model, sessions, next, log };
    for (const session of sessions) {
      await session.connect();
      await open(session, bed);
    }
    for (let at = 0; at < STEPS; at++) {
      const session = sessions[next(sessions.length)]!;
      await (next(5) === 0 ? nameStep(session, bed) : messageStep(session, bed));
    }
    for (const session of sessions) {
      await session.run("NOOP");
      session.check(true);
    }
    for (const line of log) {
      const command = /^\w+: ((?:UID )?[A-Z]+)/.exec(line)?.[1];
      if (command !== undefined) commands.add(command);
    }
  } catch (error) {
    const message = error instanceof Error ? error.message : error;
    throw new Error(`seed ${seed}: ${message}\n${log.slice(-40).join("\n")}`, { cause: error });
  } finally {
    await h.close();
  }
}

/** What neither changes nor lists anything of mailboxes and messages, or is about the session alone. */
const NOT_HERE = new Set([
  ...[
    "CAPABILITY",
    "LOGOUT",
    "ID",
    "STARTTLS",
    "AUTHENTICATE",
    "LOGIN",
    "UNAUTHENTICATE",
    "COMPRESS",
    "ENABLE",
  ],
  ...["COMPARATOR", "NAMESPACE", "NOTIFY", "UIDBATCHES", "CANCELUPDATE", "SETQUOTA", "LISTRIGHTS"],
]);

Deno.test(`random commands of five sessions are answered as a plain model says, ${SEEDS} seeds`, async () => {
  const commands = new Set<string>();
  for (let seed = FROM; seed < FROM + SEEDS; seed++) await runSeed(seed, commands);
  if (SEEDS < ENOUGH) return;
  const all = [...COMMANDS.keys(), ...APPENDING.keys()];
  assert.deepEqual(all.filter((name) => !commands.has(name) && !NOT_HERE.has(name)), []);
});
