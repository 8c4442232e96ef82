/**
 * Refusals that the driver gives, by their words: each command that is well formed and cannot be done, and what a fault of
 * the store becomes. Those of the grammar are in transcripts (test/transcripts/imap); that none is left out says
 * test/answers_test.ts.
 */
import assert from "node:assert/strict";
import { MAX_MESSAGES } from "../../server/imap/append.ts";
import { DEFAULT_IMAP_OPTIONS, type ImapOptions } from "../../server/imap/options.ts";
import type { WriteResult } from "../../storage/ops.ts";
import { type Harness, imapTest, type TestClient } from "./imap_harness.ts";

const LETTER = "From: ann@far.test\r\nSubject: paper\r\n\r\nwhite paper\r\n";

const NOPERM = "NO [NOPERM] You do not have the right to do that";

const SHARED: Partial<ImapOptions> = {
  sharing: { scope: "domain", namespaces: { otherUsers: "Other Users", shared: "" } },
};

function literal(text: string): string {
  return `{${text.length}+}\r\n${text}`;
}

/** Sends each command and compares the last line of what it is told. */
async function answers(client: TestClient, table: readonly (readonly [string, string])[]): Promise<void> {
  for (const [command, answer] of table) {
    const last = (await client.command(command)).slice(0, -2).split("\r\n").at(-1);
    assert.equal(last, answer, command.slice(0, 100));
  }
}

imapTest("what is done is said to be done, by the name of the command", async (h) => {
  await h.deliver(LETTER);
  const client = await h.login();
  await answers(client, [
    ["NOOP", "OK Noop completed"],
    ["SUBSCRIBE Work", "OK Subscribe completed"],
    ["UNSUBSCRIBE Work", "OK Unsubscribe completed"],
    ['LIST "" *', "OK List completed"],
    ['LSUB "" *', "OK Lsub completed"],
    ["STATUS INBOX (MESSAGES)", "OK Status completed"],
    ['GETQUOTA ""', "OK Getquota completed"],
    ["GETQUOTAROOT INBOX", "OK Getquotaroot completed"],
    ['SETMETADATA INBOX (/private/x "1")', "OK Setmetadata completed"],
    ["GETMETADATA INBOX /private/x", "OK Getmetadata completed"],
    ["GETACL INBOX", "OK Getacl completed"],
    ["MYRIGHTS INBOX", "OK Myrights completed"],
    ["LISTRIGHTS INBOX bob@example.test", "OK Listrights completed"],
    ["SETACL INBOX bob@example.test lr", "OK Setacl completed"],
    ["DELETEACL INBOX bob@example.test", "OK Deleteacl completed"],
  ]);
  assert.match(await client.ok("CREATE Work"), /^OK \[MAILBOXID \(\w+\)\] Create completed\r/);
  await answers(client, [
    ["RENAME Work Play", "OK Rename completed"],
    ["DELETE Play", "OK Delete completed"],
    ["EXAMINE INBOX", "OK [READ-ONLY] Examine completed"],
    ["SELECT INBOX", "OK [READ-WRITE] Select completed"],
    ["FETCH 1 FLAGS", "OK Fetch completed"],
    ["STORE 1 FLAGS (\\Seen)", "OK Store completed"],
    ["SEARCH ALL", "OK Search completed"],
    ["ESEARCH IN (selected) ALL", "OK Esearch completed"],
    ["SORT (DATE) UTF-8 ALL", "OK Sort completed"],
    ["THREAD REFS UTF-8 ALL", "OK Thread completed"],
    ["UIDBATCHES 500", "OK Uidbatches completed"],
    ["EXPUNGE", "OK Expunge completed"],
    ["CHECK", "OK Check completed"],
    ["CLOSE", "OK Close completed"],
    ["SELECT INBOX", "OK [READ-WRITE] Select completed"],
    ["UNSELECT", "OK Unselect completed"],
  ]);
}, SHARED);

imapTest("names that no mailbox can have, places where none can be", async (h) => {
  const client = await h.login();
  await client.ok("CREATE Work/deep");
  await client.ok("CREATE Work/other");
  await client.ok(`CREATE Long/${"a".repeat(240)}/${"b".repeat(240)}/${"c".repeat(240)}`);
  await client.ok("DELETE Work");
  const long = "x".repeat(251);
  const levels = Array(33).fill("a").join("/");
  const tooLong = Array(5).fill("y".repeat(240)).join("/");
  for (const command of ["CREATE", "SUBSCRIBE", "RENAME INBOX", "RENAME Work/deep"]) {
    await answers(client, [
      [`${command} ""`, "NO [CANNOT] A mailbox name must not be empty"],
      [`${command} "a%"`, "NO [CANNOT] Wildcards do not fit in a mailbox name"],
      [`${command} "&AAE-"`, "NO [CANNOT] Control characters do not fit in a mailbox name"],
      [`${command} a//b`, "NO [CANNOT] A level of the mailbox name is empty"],
      [`${command} a/../b`, "NO [CANNOT] A level of the mailbox name is not allowed"],
      [`${command} ${long}`, "NO [CANNOT] A level of the mailbox name is too long"],
      [`${command} ${levels}`, "NO [CANNOT] The mailbox name has too many levels"],
      [`${command} ${tooLong}`, "NO [CANNOT] The mailbox name is too long"],
    ]);
  }
  await answers(client, [
    ["CREATE INBOX", "NO [ALREADYEXISTS] INBOX is there always"],
    ["CREATE Work/deep", "NO [ALREADYEXISTS] There is a mailbox of that name already"],
    ["CREATE Old (USE (\\Flagged))", "NO [USEATTR] The special use is not available"],
    ["RENAME Work/deep inbox", "NO [ALREADYEXISTS] INBOX is there always"],
    ["RENAME Work/deep Work/other", "NO [ALREADYEXISTS] There is a mailbox of that name already"],
    ["RENAME Work/deep Work/deep/er", "NO [CANNOT] A mailbox cannot go below itself"],
    ["RENAME Nowhere Somewhere", "NO [NONEXISTENT] No such mailbox"],
    // Each of the two fits; the children would not.
    [
      `RENAME Long ${"z".repeat(240)}/${"z".repeat(240)}`,
      "NO [CANNOT] The mailbox name is too long below it",
    ],
    ["DELETE INBOX", "NO [CANNOT] INBOX cannot be deleted"],
    ["DELETE Work", "NO [HASCHILDREN] The name has children"],
    ["SELECT Work", "NO [NONEXISTENT] The name has children but no messages"],
  ]);
  assert.match(await client.ok('LIST "" *'), /"Long\/a{240}\/b{240}\/c{240}"/);
});

imapTest("searches, fetches and batches that are not answered", async (h) => {
  await h.deliver(LETTER);
  const client = await h.login();
  await answers(client, [
    ["ESEARCH IN (selected) ALL", "BAD Select a mailbox first"],
    ["SELECT INBOX (QRESYNC (1 2))", "BAD ENABLE QRESYNC first"],
  ]);
  await client.ok("SELECT INBOX");
  await answers(client, [
    ["SEARCH CHARSET KOI8-R ALL", "NO [BADCHARSET (US-ASCII UTF-8)] The charset is not known here"],
    ["ESEARCH IN (personal) RETURN (SAVE) ALL", "BAD SAVE is for the selected mailbox only"],
    ["UID FETCH 1 (FLAGS) (CHANGEDSINCE 1 VANISHED)", "BAD VANISHED needs UID FETCH and ENABLE QRESYNC"],
    ["UIDBATCHES 499", "NO [TOOFEW] A batch has 500 messages at least"],
    ["UIDBATCHES 500 2:1", "BAD [CLIENTBUG] Batches are counted upwards"],
    ["FETCH 2 FLAGS", "BAD A message number is out of range"],
    ["STORE 2 FLAGS ()", "BAD A message number is out of range"],
    ["COPY 2 INBOX", "BAD A message number is out of range"],
    ["FETCH 1 BINARY[1.1]", "OK Fetch completed"],
    ["ENABLE UTF8=ACCEPT", "OK Enable completed"],
    ["SEARCH CHARSET UTF-8 ALL", "BAD UTF-8 is enabled: no CHARSET"],
    ["EXAMINE INBOX", "OK [READ-ONLY] Examine completed"],
    ["STORE 1 FLAGS ()", "NO The mailbox is open read-only"],
    ["EXPUNGE", "NO The mailbox is open read-only"],
    ["MOVE 1 INBOX", "NO The mailbox is open read-only"],
  ]);
});

imapTest(
  "updates of a search that are refused: as many as a session may have, with time, too long",
  async (h) => {
    await h.deliver(LETTER);
    const client = await h.selected();
    const noUpdate = async (command: string, words: string) => {
      const told = await client.ok(command);
      assert.match(told, new RegExp(`^\\* NO \\[NOUPDATE "t\\d+"\\] ${words}\\r$`, "m"), command);
    };
    await noUpdate("SEARCH RETURN (UPDATE) YOUNGER 100", "The result changes with time");
    // SORT keeps at most 10,000: the mailbox is copied into itself until there are more.
    for (let count = 1; count <= 10_000; count *= 2) await client.ok("COPY 1:* INBOX");
    await noUpdate("SORT RETURN (UPDATE) (ARRIVAL) UTF-8 ALL", "The result is too long");
    for (let i = 0; i < 16; i++) await client.ok("SEARCH RETURN (UPDATE COUNT) SEEN");
    await noUpdate("SEARCH RETURN (UPDATE COUNT) SEEN", "Too many contexts");
    client.send("same SEARCH RETURN (CANCELUPDATE) ALL\r\n");
    await client.until(/^same BAD /m);
    await client.ok("SELECT INBOX");
    for (const answer of [/^one OK /m, /^one BAD The tag belongs to a search that is kept up to date\r/m]) {
      client.send("one SEARCH RETURN (UPDATE COUNT) SEEN\r\n");
      await client.until(answer);
    }
  },
);

imapTest("quotas, annotations and rights that are refused", async (h) => {
  const client = await h.login();
  await answers(client, [
    ["GETQUOTA other", "NO [NONEXISTENT] No such quota root"],
    ['SETQUOTA "" (STORAGE 1)', "OK Setquota completed"],
    ['SETQUOTA "" (THREADS 1)', "NO [CANNOT] Only STORAGE and MESSAGE can be limited"],
    ['SETQUOTA "" (STORAGE 0)', "NO [CANNOT] A limit is 1 to 8796093022207"],
    ["SETACL INBOX nobody@example.test lr", "NO [CANNOT] There is no such account or group"],
    ["SETACL INBOX alice@example.test lr", "NO [CANNOT] The owner has every right"],
    ['SETMETADATA INBOX (/other/x "1")', "NO [CANNOT] An entry begins with /private/ or /shared/"],
    ['SETMETADATA INBOX (/private/a//b "1")', "BAD Expected the name of an entry at octet 23"],
    [`SETMETADATA INBOX (/private/${"x".repeat(250)} "1")`, "NO [CANNOT] An entry has at most 250 octets"],
    [
      `SETMETADATA INBOX (/private/x ${literal("v".repeat(32_769))})`,
      "NO [METADATA MAXSIZE 32768] A value has at most 32768 octets",
    ],
  ]);
}, {
  quotaSetters: ["alice@example.test"],
  ...SHARED,
});

imapTest("where nothing is shared and nobody sets quotas", async (h) => {
  const client = await h.login();
  await answers(client, [
    ['SETQUOTA "" (STORAGE 1)', "NO [NOPERM] Quotas are set by the administrator"],
    ["SETACL INBOX bob@example.test lr", "NO [NOPERM] Mailboxes are not shared here"],
  ]);
});

imapTest("a mailbox of another: what the rights do not give, and BYE when they are taken away", async (h) => {
  const alice = await h.login();
  await alice.ok("CREATE Work");
  await h.deliver(LETTER, { mailbox: "Work" });
  await alice.ok("SETACL Work bob@example.test lrx");
  const bob = await h.login("bob");
  const WORK = '"Other Users/alice@example.test/Work"';
  await bob.ok(`SELECT ${WORK}`);
  await answers(bob, [
    ["STORE 1 FLAGS (\\Flagged)", NOPERM],
    ["EXPUNGE", NOPERM],
    ["MOVE 1 INBOX", NOPERM],
    [`COPY 1 ${WORK}`, NOPERM],
    [`REPLACE 1 INBOX ${literal(LETTER)}`, NOPERM],
    [`GETACL ${WORK}`, NOPERM],
    [`CREATE ${WORK.slice(0, -1)}/below"`, NOPERM],
    [`RENAME ${WORK} Mine`, "NO [CANNOT] A mailbox stays with its owner"],
  ]);
  await alice.ok("DELETEACL Work bob@example.test");
  bob.send("x NOOP\r\n");
  await bob.until(/^\* BYE \[NOPERM\] The mailbox may not be read any more\r\n$/m);
}, SHARED);

imapTest(
  "BYE: the mailbox was deleted, nothing was said, the account was closed, the server goes",
  async (h) => {
    const alice = await h.login();
    await alice.ok("CREATE Work");
    const gone = await h.selected("Work");
    await alice.ok("DELETE Work");
    gone.send("x NOOP\r\n");
    await gone.until(/^\* BYE \[NONEXISTENT\] The mailbox was deleted\r\n$/m);
    const silent = h.connect({ timeouts: { ...DEFAULT_IMAP_OPTIONS.timeouts, beforeLoginMs: 100 } });
    await silent.until(/^\* BYE \[UNAVAILABLE\] Too long without a command\r\n$/m);
    const closed = await h.login();
    await h.test.ok({ kind: "put-account", account: { address: "alice@example.test", enabled: false } });
    await closed.until(/^\* BYE \[UNAVAILABLE\] The account was closed\r\n$/m);
    const last = await h.login("bob");
    h.server.shutdown();
    await last.until(/^\* BYE \[UNAVAILABLE\] The server is shutting down\r\n$/m);
  },
);

imapTest("logins that are refused, and too many of them", async (h) => {
  const client = h.connect();
  await answers(client, [
    ["LOGIN alice later", "NO [UNAVAILABLE] Logins are not possible just now, try again"],
    ["LOGIN alice wrong", "NO [AUTHENTICATIONFAILED] Wrong user name or password"],
  ]);
  client.send("x LOGIN alice wrong\r\n");
  await client.until(/^x NO [^\r]*\r\n\* BYE Too many failed logins\r\n$/m);
  const blocked = h.connect();
  blocked.send("x LOGIN alice blocked\r\n");
  await blocked.until(/^\* BYE \[UNAVAILABLE\] Too many failed logins\r\n$/m);
}, { loginFailures: 2 });

imapTest("messages that are gone meanwhile", async (h) => {
  for (let i = 0; i < 3; i++) await h.deliver(LETTER);
  const client = await h.selected();
  const other = await h.selected();
  await other.ok("STORE 1:2 +FLAGS.SILENT (\\Deleted)");
  await client.ok("NOOP");
  const [modSeq] = /\d+(?=\))/.exec(await client.ok("STATUS INBOX (HIGHESTMODSEQ)")) ?? [];
  await other.ok("STORE 3 +FLAGS.SILENT (\\Flagged)");
  await other.ok("UID EXPUNGE 1:2");
  await answers(client, [
    ["FETCH 1 FLAGS", "OK [EXPUNGEISSUED] Some messages are gone"],
    [`STORE 1 (UNCHANGEDSINCE ${modSeq}) FLAGS ()`, "NO [EXPUNGEISSUED] Some messages are gone"],
    [`STORE 3 (UNCHANGEDSINCE ${modSeq}) FLAGS ()`, "OK [MODIFIED 3] Some messages have changed since"],
    ["STORE 1 FLAGS ()", "OK [EXPUNGEISSUED] Some messages are gone"],
  ]);
  // A session each that has not heard of it.
  for (
    const [command, answer] of [
      ["COPY 1 INBOX", "OK [EXPUNGEISSUED] No message was left to copy"],
      [`REPLACE 1 INBOX ${literal(LETTER)}`, "NO [EXPUNGEISSUED] The message is gone already"],
    ] as const
  ) {
    const late = await h.selected();
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    await other.ok("EXPUNGE");
    await answers(late, [[command, answer]]);
    await h.deliver(LETTER);
    await other.ok("NOOP");
  }
});

imapTest("limits of commands, where the operator set some", async (h) => {
  for (let i = 0; i < 4; i++) await h.deliver(LETTER);
  const client = await h.selected();
  await client.ok("CREATE Work");
  await answers(client, [
    ["COPY 1:4 Work", "NO [MESSAGELIMIT 3 2] Too many messages at once"],
    ["UID FETCH 1:* (UID) (PARTIAL -1:-4)", "NO [MESSAGELIMIT 3] Too many messages at once"],
    [`APPEND INBOX${(" " + literal(LETTER)).repeat(4)}`, "NO [MESSAGELIMIT 3] Too many messages at once"],
    ["SORT (DATE) UTF-8 ALL", "NO [MESSAGELIMIT 3 2] Too many messages to put in order"],
    ["FETCH 1:* UID", "OK [MESSAGELIMIT 3 2] Only the newest messages were looked at"],
  ]);
}, { messageLimit: 3 });

imapTest("uploads that are refused", async (h) => {
  const client = await h.selected();
  await answers(client, [
    [`APPEND Nowhere ${literal(LETTER)}`, "NO [TRYCREATE] No such mailbox"],
    [`APPEND INBOX ${literal("")}`, "NO The message is empty"],
    [`REPLACE 9 INBOX ${literal(LETTER)}`, "BAD A message number is out of range"],
    [
      `APPEND INBOX ${literal("Subject: a\0b\r\n\r\n")}`,
      "NO [UNKNOWN-CTE] NUL stands outside of parts that are binary by their header",
    ],
    [
      `APPEND INBOX${(" " + literal("a: b\r\n\r\n")).repeat(MAX_MESSAGES + 1)}`,
      `NO [LIMIT] At most ${MAX_MESSAGES} messages at once`,
    ],
  ]);
  await h.deliver("Content-Transfer-Encoding: x-unknown\r\n\r\nx");
  await client.ok("NOOP");
  await answers(client, [["FETCH 1 BINARY[1]", "NO [UNKNOWN-CTE] A part has an unknown transfer encoding"]]);
});

imapTest("structures of one APPEND that come to more than 8 MB in all", async (h) => {
  const client = await h.login();
  // Some 4 MB of structure each: the name is in its type and in what is told of it.
  const part = `--b\r\nContent-Type: text/plain; name="${"n".repeat(2_000)}"\r\n\r\n\r\n`;
  const message = `Content-Type: multipart/mixed; boundary=b\r\n\r\n${part.repeat(900)}--b--\r\n`;
  client.send("x APPEND INBOX");
  for (let sent = 0;; sent++) {
    client.send(` {${message.length}}\r\n`);
    const answer = await client.until(/^(?:\+|x) [^\r]*\r\n/m);
    if (answer.startsWith("x ")) {
      assert.equal(answer, "x NO [LIMIT] Too many parts for one command\r\n");
      break;
    }
    assert.ok(sent < 10, "there is no limit");
    client.send(message);
  }
  assert.match(await client.ok("STATUS INBOX (MESSAGES)"), /MESSAGES 0/);
});

/** What the store says to whatever is written from now on. */
function refuses(h: Harness, fault: Extract<WriteResult, { ok: false }>["fault"]): void {
  Object.assign(h.test.store, { write: () => Promise.resolve({ ok: false, fault, detail: "injected" }) });
}

imapTest("every fault of the store has words and a response code", async (h) => {
  await h.deliver(LETTER);
  const client = await h.selected();
  for (
    const [fault, answer] of [
      ["no-such-mailbox", "NO [NONEXISTENT] No such mailbox"],
      ["no-such-message", "NO [EXPUNGEISSUED] The message is gone already"],
      ["already-exists", "NO [ALREADYEXISTS] There is a mailbox of that name already"],
      ["not-permitted", "NO [CANNOT] Not possible"],
      ["has-children", "NO [HASCHILDREN] The name has children"],
      ["limit", "NO [LIMIT] A limit is reached: injected"],
      ["disk-full", "NO [UNAVAILABLE] Not possible just now"],
      ["unavailable", "NO [UNAVAILABLE] Not possible just now"],
      ["unsynced", "NO [UNAVAILABLE] Not possible just now"],
      ["over-quota", "NO [OVERQUOTA] The mailbox is full"],
      ["no-such-account", "NO [SERVERBUG] The server has a fault"],
    ] as const
  ) {
    refuses(h, fault);
    const target = fault === "no-such-mailbox" ? "NO [TRYCREATE] No such mailbox" : answer;
    await answers(client, [
      // A name that is taken by nothing the client can see is not told to be taken.
      ["CREATE Work", fault === "already-exists" ? NOPERM : answer],
      ["SUBSCRIBE Work", answer],
      ["STORE 1 FLAGS (\\Seen)", answer],
      ["EXPUNGE", answer],
      ["COPY 1 INBOX", target],
      [`APPEND INBOX ${literal(LETTER)}`, target],
    ]);
  }
});

imapTest("a fault of ours: BYE [SERVERBUG], and the other sessions go on", async (h) => {
  const client = await h.login();
  const other = await h.login("bob");
  const { write } = h.test.store;
  Object.assign(h.test.store, { write: () => Promise.reject(new Error("injected")) });
  client.send("x CREATE Work\r\n");
  await client.until(/^\* BYE \[SERVERBUG\] The server has a fault\r\n$/m);
  await client.done;
  Object.assign(h.test.store, { write });
  await other.ok("CREATE Work");
});
