/**
 * Every command against everything that can be in its way, as far as it can meet it: a mailbox that is not there, that one may
 * not see, that has no messages, in which one has no right; a message number that is none, a message that is gone; a mailbox
 * open read-only; UIDONLY; a store that cannot write. A command of the table without a line here fails the test.
 *
 * What is malformed and what the state does not allow is in transcripts (test/protocols/imap/coverage_test.ts).
 */
import assert from "node:assert/strict";
import { APPENDING, BY_NUMBER, COMMANDS } from "../../protocols/imap/command_table.ts";
import { Harness, type TestClient } from "./imap_harness.ts";

interface Line {
  /** With a mailbox that has to be there. */
  readonly mailbox?: (name: string) => string;
  /** It brings messages there: [TRYCREATE]. */
  readonly brings?: true;
  /** Said of a name that is not there, instead of [NONEXISTENT] or [TRYCREATE]. */
  readonly missing?: RegExp;
  /** Said of a name that only stands for its children, instead of [NONEXISTENT]. */
  readonly unselectable?: RegExp;
  /** What "lr" gives in a mailbox of another, instead of [NOPERM]. */
  readonly reader?: RegExp;
  /** With the number of a message, or its UID. */
  readonly message?: (number: number) => string;
  /** Said of a message that went meanwhile, and of a UID that is none. */
  readonly gone?: RegExp;
  /** Said of a message number that is none, instead of BAD. */
  readonly beyond?: RegExp;
  /** Changes something: the store can refuse it. The second message is there, and marked \Deleted. */
  readonly writes?: string;
  /** What it writes to is the mailbox that is open. */
  readonly here?: true;
  /** Said when the store refuses, instead of [UNAVAILABLE]. */
  readonly unwritten?: RegExp;
}

const LETTER = "{6+}\r\nS: x\r\n";
const OK = /^OK/m;
const SOME_GONE = /^OK \[EXPUNGEISSUED\]/m;

const LINES: Readonly<Record<string, Line>> = {
  CAPABILITY: {},
  NOOP: {},
  LOGOUT: {},
  ID: {},
  STARTTLS: {},
  AUTHENTICATE: {},
  LOGIN: {},
  UNAUTHENTICATE: {},
  COMPRESS: {},
  COMPARATOR: {},
  ENABLE: {},
  NAMESPACE: {},
  NOTIFY: {},
  IDLE: {},
  CHECK: {},
  UNSELECT: {},
  UIDBATCHES: {},
  CANCELUPDATE: {},
  LIST: {},
  LSUB: {},
  ESEARCH: {},
  GETQUOTA: {},
  GETMETADATA: {
    mailbox: (name) => `GETMETADATA ${name} /private/comment`,
    unselectable: OK,
    reader: OK,
  },
  SETMETADATA: {
    mailbox: (name) => `SETMETADATA ${name} (/shared/comment "x")`,
    unselectable: OK,
    writes: 'SETMETADATA INBOX (/private/comment "x")',
  },
  GETACL: { mailbox: (name) => `GETACL ${name}`, unselectable: OK },
  MYRIGHTS: { mailbox: (name) => `MYRIGHTS ${name}`, unselectable: OK, reader: OK },
  LISTRIGHTS: { mailbox: (name) => `LISTRIGHTS ${name} bob@example.test`, unselectable: OK },
  SETACL: {
    mailbox: (name) => `SETACL ${name} bob@example.test lr`,
    unselectable: OK,
    writes: "SETACL INBOX bob@example.test lr",
  },
  DELETEACL: {
    mailbox: (name) => `DELETEACL ${name} bob@example.test`,
    unselectable: OK,
    writes: "DELETEACL INBOX bob@example.test",
  },
  // RFC 9208 4.1.2: it says what would hold for a mailbox of one's own.
  GETQUOTAROOT: {
    mailbox: (name) => `GETQUOTAROOT ${name}`,
    missing: OK,
    unselectable: OK,
    reader: OK,
  },
  SETQUOTA: { writes: 'SETQUOTA "" (STORAGE 1000)' },
  SELECT: { mailbox: (name) => `SELECT ${name}`, reader: OK },
  EXAMINE: { mailbox: (name) => `EXAMINE ${name}`, reader: OK },
  CREATE: { writes: "CREATE New" },
  DELETE: {
    mailbox: (name) => `DELETE ${name}`,
    unselectable: /^NO \[HASCHILDREN\]/m,
    writes: "DELETE Work",
  },
  RENAME: { mailbox: (name) => `RENAME ${name} Other`, unselectable: OK, writes: "RENAME Work Other" },
  // A name need not be there to be subscribed.
  SUBSCRIBE: { writes: "SUBSCRIBE Work" },
  UNSUBSCRIBE: { writes: "UNSUBSCRIBE Work" },
  STATUS: { mailbox: (name) => `STATUS ${name} (MESSAGES)`, reader: OK },
  // Read-only it removes nothing, which is no fault.
  CLOSE: { writes: "CLOSE" },
  EXPUNGE: { writes: "EXPUNGE", here: true },
  "UID EXPUNGE": { message: (uid) => `UID EXPUNGE ${uid}`, gone: OK, writes: "UID EXPUNGE 2", here: true },
  // A key that no message meets is no fault, whatever it asks for.
  SEARCH: { message: (number) => `SEARCH ${number}`, gone: OK, beyond: OK },
  "UID SEARCH": { message: (uid) => `UID SEARCH UID ${uid}`, gone: OK },
  SORT: { message: (number) => `SORT (ARRIVAL) UTF-8 ${number}`, gone: OK, beyond: OK },
  "UID SORT": { message: (uid) => `UID SORT (ARRIVAL) UTF-8 UID ${uid}`, gone: OK },
  THREAD: { message: (number) => `THREAD REFS UTF-8 ${number}`, gone: OK, beyond: OK },
  "UID THREAD": { message: (uid) => `UID THREAD REFS UTF-8 UID ${uid}`, gone: OK },
  // That the text was read can not be kept; it is told all the same.
  FETCH: {
    message: (number) => `FETCH ${number} BODY[TEXT]`,
    gone: SOME_GONE,
    writes: "FETCH 2 BODY[TEXT]",
    unwritten: OK,
  },
  "UID FETCH": {
    message: (uid) => `UID FETCH ${uid} BODY[TEXT]`,
    gone: OK,
    writes: "UID FETCH 2 BODY[TEXT]",
    unwritten: OK,
  },
  STORE: {
    message: (number) => `STORE ${number} +FLAGS (\\Seen)`,
    gone: SOME_GONE,
    writes: "STORE 2 +FLAGS (\\Seen)",
    here: true,
  },
  "UID STORE": {
    message: (uid) => `UID STORE ${uid} +FLAGS (\\Seen)`,
    gone: OK,
    writes: "UID STORE 2 +FLAGS (\\Seen)",
    here: true,
  },
  COPY: {
    mailbox: (name) => `COPY 1 ${name}`,
    brings: true,
    message: (number) => `COPY ${number} INBOX`,
    gone: SOME_GONE,
    writes: "COPY 2 INBOX",
  },
  "UID COPY": {
    mailbox: (name) => `UID COPY 1 ${name}`,
    brings: true,
    message: (uid) => `UID COPY ${uid} INBOX`,
    gone: OK,
    writes: "UID COPY 2 INBOX",
  },
  MOVE: {
    mailbox: (name) => `MOVE 1 ${name}`,
    brings: true,
    message: (number) => `MOVE ${number} INBOX`,
    gone: SOME_GONE,
    writes: "MOVE 2 INBOX",
    here: true,
  },
  "UID MOVE": {
    mailbox: (name) => `UID MOVE 1 ${name}`,
    brings: true,
    message: (uid) => `UID MOVE ${uid} INBOX`,
    gone: OK,
    writes: "UID MOVE 2 INBOX",
    here: true,
  },
  APPEND: { mailbox: (name) => `APPEND ${name} ${LETTER}`, brings: true, writes: `APPEND INBOX ${LETTER}` },
  REPLACE: {
    mailbox: (name) => `REPLACE 1 ${name} ${LETTER}`,
    brings: true,
    message: (number) => `REPLACE ${number} INBOX ${LETTER}`,
    gone: /^NO \[EXPUNGEISSUED\]/m,
    writes: `REPLACE 2 INBOX ${LETTER}`,
    here: true,
  },
  "UID REPLACE": {
    mailbox: (name) => `UID REPLACE 1 ${name} ${LETTER}`,
    brings: true,
    message: (uid) => `UID REPLACE ${uid} INBOX ${LETTER}`,
    gone: /^NO /m,
    writes: `UID REPLACE 2 INBOX ${LETTER}`,
    here: true,
  },
};

const MISSING = /^NO \[NONEXISTENT\] No such mailbox\r/m;
const OPTIONS = {
  sharing: { scope: "domain", namespaces: { otherUsers: "Other Users", shared: "Shared Folders" } },
  quotaSetters: ["alice@example.test"],
} as const;

interface Bed {
  readonly h: Harness;
  /** In INBOX, with two messages, the second \Deleted. */
  readonly mine: TestClient;
}

async function within(body: (bed: Bed) => Promise<void>): Promise<void> {
  const h = await Harness.open(OPTIONS);
  try {
    for (const subject of ["one", "two"]) await h.deliver(`Subject: ${subject}\r\n\r\n${subject}\r\n`);
    const mine = await h.selected();
    await mine.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
    await mine.ok("CREATE Work");
    await body({ h, mine });
  } finally {
    await h.close();
  }
}

async function refused(client: TestClient, command: string, reply: RegExp): Promise<void> {
  assert.match(await client.command(command), reply, command.split("\r\n")[0]);
}

/** A test for each command of which there is such a cell. */
function each<Key extends keyof Line>(
  key: Key,
  what: string,
  body: (bed: Bed, cell: NonNullable<Line[Key]>, line: Line, name: string) => Promise<void>,
): void {
  Deno.test(`${what}: every command that can meet it`, async (t) => {
    for (const [name, line] of Object.entries(LINES)) {
      const cell = line[key];
      if (cell === undefined) continue;
      await t.step(name, () => within((bed) => body(bed, cell as NonNullable<Line[Key]>, line, name)));
    }
  });
}

Deno.test("there is a line for every command", () => {
  assert.deepEqual(Object.keys(LINES).toSorted(), [...COMMANDS.keys(), ...APPENDING.keys()].toSorted());
  const numbered = Object.entries(LINES).filter(([name, { message }]) => message && !name.startsWith("UID "));
  assert.deepEqual(numbered.map(([name]) => name).toSorted(), [...BY_NUMBER].toSorted());
});

each("mailbox", "a mailbox that is not there", async ({ mine }, command, { brings, missing }) => {
  const reply = missing ?? (brings ? /^NO \[TRYCREATE\] No such mailbox\r/m : MISSING);
  await refused(mine, command("Nowhere"), reply);
});

each("mailbox", "a mailbox that one may not see is none", async ({ h, mine }, command) => {
  await mine.ok("CREATE Hidden");
  await mine.ok("CREATE Posting");
  await mine.ok("SETACL Posting bob@example.test p"); // mail may be sent there, and that is all
  const bob = await h.login("bob");
  await h.deliver("Subject: x\r\n\r\nx\r\n", { user: "bob" });
  await bob.ok("SELECT INBOX");
  for (const name of ["Hidden", "Posting", "Nowhere"]) {
    await refused(bob, command(`"Other Users/alice@example.test/${name}"`), MISSING);
    if ((await bob.command("CHECK")).startsWith("BAD")) await bob.ok("SELECT INBOX");
  }
});

each("mailbox", "a name that stands for its children alone", async ({ mine }, command, line) => {
  await mine.ok("CREATE Parent/child");
  await mine.ok("DELETE Parent");
  const { brings, unselectable = brings ? /^NO \[TRYCREATE\]/m : /^NO \[NONEXISTENT\]/m } = line;
  await refused(mine, command("Parent"), unselectable);
});

each("mailbox", "a mailbox of another that one may only read", async ({ h, mine }, command, line) => {
  await mine.ok("SETACL Work bob@example.test lr");
  await h.deliver("Subject: x\r\n\r\nx\r\n", { user: "bob" });
  const bob = await h.selected("INBOX", "bob");
  const reply = line.reader ?? /^NO \[NOPERM\] You do not have the right to do that\r/m;
  await refused(bob, command('"Other Users/alice@example.test/Work"'), reply);
});

each("message", "a number that no message has", async ({ mine }, command, line, name) => {
  const { gone, beyond = /^BAD A message number is out of range\r/m } = line;
  await refused(mine, command(9), name.startsWith("UID ") ? gone! : beyond);
});

each("message", "a message that is gone meanwhile", async ({ h, mine }, command, { gone }) => {
  const other = await h.selected();
  await mine.ok("NOOP");
  await other.ok("EXPUNGE");
  await refused(mine, command(2), gone!);
});

each("message", "UIDONLY allows no message numbers", async ({ h }, command, { gone = OK }, name) => {
  const client = await h.login();
  await client.ok("ENABLE UIDONLY");
  await client.ok("SELECT INBOX");
  const byUid = name.startsWith("UID ");
  await refused(client, command(byUid ? 9 : 1), byUid ? gone : /^BAD \[UIDREQUIRED\]/m);
});

each("here", "a mailbox that is open read-only", async ({ mine }, _, { writes }) => {
  await mine.ok("EXAMINE INBOX");
  await refused(mine, writes!, /^NO The mailbox is open read-only\r/m);
});

each("writes", "a store that cannot write", async ({ h, mine }, command, line, name) => {
  const { write } = h.test.store;
  const faulty = () => Promise.resolve({ ok: false, fault: "disk-full", detail: "injected" });
  Object.assign(h.test.store, { write: faulty });
  const { unwritten = /^NO \[UNAVAILABLE\] Not possible just now\r/m } = line;
  await refused(mine, command, unwritten);
  Object.assign(h.test.store, { write });
  // The session goes on, and nothing has happened.
  if (name === "CLOSE") await mine.command("SELECT INBOX");
  assert.match(await mine.ok("STATUS INBOX (MESSAGES UNSEEN DELETED)"), /MESSAGES 2 UNSEEN 2 DELETED 1/);
  assert.match(await mine.ok('LIST "" Work'), /"Work"/);
});
