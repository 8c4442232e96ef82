/**
 * Every command beside another session on the same mailbox, both ways: what the other one is told of it, and what it tells
 * of what the other one did. A command of the table without a line here fails the test.
 *
 * Three messages, the third \Deleted. Numbers of messages are those that the session counts by.
 */
import assert from "node:assert/strict";
import { APPENDING, COMMANDS } from "../../protocols/imap/command_table.ts";
import { Harness, type TestClient } from "./imap_harness.ts";

interface Interplay {
  readonly command: string;
  /** What the other session is told at its next NOOP; left out: nothing. */
  readonly tells?: RegExp;
  /** Before it, so that it has something to do. */
  readonly before?: string;
  /** The second message goes. */
  readonly removes?: true;
  /** It leaves the mailbox: nothing is owed to it afterwards. */
  readonly leaves?: true;
  /** Instead of OK, where that is what it has to say. */
  readonly reply?: RegExp;
}

const EXPUNGED = /^\* 3 EXPUNGE\r\nOK/;
const SEEN = /^\* 2 FETCH \(UID 2 FLAGS \(\\Seen(?: \\Recent)?\)\)\r\nOK/;
const ADDED = /^\* 4 EXISTS\r\n(?:\* \d RECENT\r\n)?OK/;
const MOVED = /^\* 2 EXPUNGE\r\nOK/;
const REPLACED = /^\* 2 EXPUNGE\r\n\* 3 EXISTS\r\n(?:\* \d RECENT\r\n)?OK/;
const FLAGGED = /^\* 2 FETCH \(UID 2 FLAGS \(\\Flagged(?: \\Recent)?\)\)\r\nOK/;

const LINES: Readonly<Record<string, Interplay>> = {
  CAPABILITY: { command: "CAPABILITY" },
  NOOP: { command: "NOOP" },
  LOGOUT: { command: "LOGOUT", leaves: true },
  ID: { command: "ID NIL" },
  UNAUTHENTICATE: { command: "UNAUTHENTICATE", leaves: true },
  COMPRESS: { command: "COMPRESS DEFLATE", leaves: true }, // what follows is compressed
  GETMETADATA: { command: "GETMETADATA INBOX /private/comment" },
  SETMETADATA: { command: 'SETMETADATA INBOX (/private/comment "x")' },
  COMPARATOR: { command: "COMPARATOR" },
  GETACL: { command: "GETACL INBOX" },
  MYRIGHTS: { command: "MYRIGHTS INBOX" },
  LISTRIGHTS: { command: "LISTRIGHTS INBOX bob@example.test" },
  SETACL: { command: "SETACL INBOX bob@example.test lr" },
  DELETEACL: { command: "DELETEACL INBOX bob@example.test" },
  GETQUOTA: { command: 'GETQUOTA ""' },
  GETQUOTAROOT: { command: "GETQUOTAROOT INBOX" },
  SETQUOTA: { command: 'SETQUOTA "" (STORAGE 512)', reply: /^NO \[NOPERM\]/m },
  ENABLE: { command: "ENABLE CONDSTORE" },
  SELECT: { command: "SELECT INBOX", leaves: true },
  EXAMINE: { command: "EXAMINE INBOX", leaves: true },
  CREATE: { command: "CREATE Work" },
  DELETE: { command: "DELETE Work", before: "CREATE Work" },
  RENAME: { command: "RENAME Work Play", before: "CREATE Work" },
  SUBSCRIBE: { command: "SUBSCRIBE Work" },
  UNSUBSCRIBE: { command: "UNSUBSCRIBE Work", before: "SUBSCRIBE Work" },
  LIST: { command: 'LIST "" *' },
  LSUB: { command: 'LSUB "" *' },
  NAMESPACE: { command: "NAMESPACE" },
  NOTIFY: { command: "NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange))" },
  STATUS: { command: "STATUS INBOX (MESSAGES UNSEEN)" },
  IDLE: { command: "IDLE\r\nDONE" },
  CHECK: { command: "CHECK" },
  CLOSE: { command: "CLOSE", tells: EXPUNGED, leaves: true },
  UNSELECT: { command: "UNSELECT", leaves: true },
  UIDBATCHES: { command: "UIDBATCHES 2000" },
  EXPUNGE: { command: "EXPUNGE", tells: EXPUNGED },
  "UID EXPUNGE": { command: "UID EXPUNGE 3", tells: EXPUNGED },
  SEARCH: { command: "SEARCH 2" },
  "UID SEARCH": { command: "UID SEARCH UID 2" },
  ESEARCH: { command: 'ESEARCH IN (personal) SUBJECT "two"' },
  CANCELUPDATE: { command: 'CANCELUPDATE "none"', reply: /^(?:OK|NO|BAD)/m },
  SORT: { command: "SORT (SUBJECT) UTF-8 ALL" },
  "UID SORT": { command: "UID SORT (SUBJECT) UTF-8 ALL" },
  THREAD: { command: "THREAD REFERENCES UTF-8 ALL" },
  "UID THREAD": { command: "UID THREAD REFERENCES UTF-8 ALL" },
  FETCH: { command: "FETCH 2 BODY[TEXT]", tells: SEEN },
  "UID FETCH": { command: "UID FETCH 2 BODY[TEXT]", tells: SEEN },
  STORE: { command: "STORE 2 +FLAGS (\\Flagged)", tells: FLAGGED },
  "UID STORE": { command: "UID STORE 2 +FLAGS.SILENT (\\Flagged)", tells: FLAGGED },
  COPY: { command: "COPY 2 INBOX", tells: ADDED },
  "UID COPY": { command: "UID COPY 2 INBOX", tells: ADDED },
  MOVE: { command: "MOVE 2 Work", before: "CREATE Work", tells: MOVED, removes: true },
  "UID MOVE": { command: "UID MOVE 2 Work", before: "CREATE Work", tells: MOVED, removes: true },
  APPEND: { command: "APPEND INBOX {6+}\r\nS: x\r\n", tells: ADDED },
  REPLACE: { command: "REPLACE 2 INBOX {6+}\r\nS: x\r\n", tells: REPLACED, removes: true },
  "UID REPLACE": { command: "UID REPLACE 2 INBOX {6+}\r\nS: x\r\n", tells: REPLACED, removes: true },
};
/** For those who have not logged in; what two sessions have in common they know nothing of. */
const BEFORE_LOGIN = ["LOGIN", "AUTHENTICATE", "STARTTLS"];
const names = () => [...COMMANDS.keys(), ...APPENDING.keys()].filter((name) => !BEFORE_LOGIN.includes(name));

const SHARING = {
  sharing: { scope: "domain", namespaces: { otherUsers: "Other Users", shared: "Shared Folders" } },
} as const;

async function both(body: (mine: TestClient, other: TestClient) => Promise<void>): Promise<void> {
  const h = await Harness.open(SHARING);
  try {
    for (const subject of ["one", "two", "three"]) {
      await h.deliver(`Subject: ${subject}\r\n\r\n${subject}\r\n`);
    }
    const mine = await h.selected();
    const other = await h.selected();
    await mine.ok("STORE 3 +FLAGS.SILENT (\\Deleted)");
    await other.ok("NOOP");
    await body(mine, other);
  } finally {
    await h.close();
  }
}

async function run(client: TestClient, { command, reply = /^OK/m }: Interplay): Promise<string> {
  const answer = await client.command(command);
  assert.match(answer, reply, command);
  return answer;
}

/** While they run no number may change: RFC 9051 7.5.1, RFC 5256 3, RFC 10022. */
const COUNTS_ON_NUMBERS: ReadonlySet<string> = new Set([
  "CANCELUPDATE",
  "FETCH",
  "SEARCH",
  "SORT",
  "STORE",
  "THREAD",
  "UIDBATCHES",
]);

Deno.test("there is a line for every command", () => {
  assert.deepEqual(Object.keys(LINES).toSorted(), names().toSorted());
});

for (const name of names()) {
  const line = LINES[name]!;
  Deno.test(`${name}: what another session is told of it`, () =>
    both(async (mine, other) => {
      if (line.before !== undefined) await mine.ok(line.before);
      await run(mine, line);
      const told = await other.ok("NOOP");
      assert.match(told, line.tells ?? /^OK [^\r]*\r\n$/, name);
      assert.match(await other.ok("NOOP"), /^OK [^\r]*\r\n$/, "once");
    }));

  Deno.test(`${name}: what it tells of what another session did, and what it counts by`, () =>
    both(async (mine, other) => {
      if (line.before !== undefined) await mine.ok(line.before);
      await other.ok("UID STORE 3 +FLAGS.SILENT (\\Answered)");
      await other.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)");
      await other.ok("UID EXPUNGE 1");
      await other.ok("APPEND INBOX {6+}\r\nS: y\r\n");
      let told = await run(mine, line);
      if (COUNTS_ON_NUMBERS.has(name)) assert.doesNotMatch(told, /EXPUNGE/, name);
      if (/COPYUID/.test(told)) assert.match(told, /COPYUID \d+ 2 /, "the message that it meant");
      if (line.leaves === true) return;
      told += await mine.ok("NOOP");
      const gone = line.removes === true ? 2 : 1; // its own message too, which comes first by then
      assert.equal(told.match(/^\* 1 EXPUNGE\r$/mg)?.length, gone, `${name}: ${told}`);
      assert.match(told, /^\* \d EXISTS\r$/m);
      assert.equal(await numbers(mine), await numbers(other), "both count alike");
    }));
}

/** Number, UID and flags of each message. */
async function numbers(client: TestClient): Promise<string> {
  await client.ok("NOOP");
  return (await client.ok("FETCH 1:* (UID FLAGS)")).replaceAll(/ ?\\Recent/g, "");
}
