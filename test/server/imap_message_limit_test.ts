/** MESSAGELIMIT and SAVELIMIT (RFC 9738) over the real store. */
import assert from "node:assert/strict";
import { type Harness, imapTest } from "./imap_harness.ts";

const LIMIT = { messageLimit: 3 };

async function fill(h: Harness, count: number): Promise<void> {
  for (let at = 1; at <= count; at++) await h.deliver(`From: a@x.test\r\nSubject: n${at}\r\n\r\ntext\r\n`);
}

imapTest("without a limit of the operator there is none, and nothing is said of one", async (h) => {
  const client = await h.login();
  assert.doesNotMatch(await client.ok("CAPABILITY"), /MESSAGELIMIT|SAVELIMIT/);
});

imapTest("commands that can be repeated do the newest messages and say how far they came", async (h) => {
  await fill(h, 6);
  const client = await h.selected();
  assert.match(await client.ok("CAPABILITY"), / MESSAGELIMIT=3\b/);
  const fetched = await client.ok("FETCH 1:* (UID)");
  assert.deepEqual([...fetched.matchAll(/UID (\d+)\)/g)].map(([, uid]) => uid), ["4", "5", "6"]);
  assert.match(fetched, /^OK \[MESSAGELIMIT 3 4\]/m);
  assert.match(await client.ok("FETCH 2:4 (UID)"), /^OK Fetch completed/m, "as many as the limit");
  assert.match(await client.ok("UID FETCH 1:3 (FLAGS) (CHANGEDSINCE 1)"), /^OK Fetch completed/m);
  assert.match(await client.command("UID FETCH 1:* (UID) (PARTIAL -1:-4)"), /^NO \[MESSAGELIMIT 3\]/m);
  assert.match(await client.ok("UID FETCH 1:* (UID) (PARTIAL -1:-3)"), /^OK Fetch completed/m);
  const stored = await client.ok("UID STORE 1:5 +FLAGS (\\Flagged)");
  assert.equal(stored.match(/ FETCH /g)?.length, 3);
  assert.match(stored, /^OK \[MESSAGELIMIT 3 3\]/m);
  // Searched messages count, not found ones; what numbers and UIDs leave out does not.
  assert.match(await client.ok("UID SEARCH ALL"), /^\* SEARCH 4 5 6\r\nOK \[MESSAGELIMIT 3 4\]/);
  assert.match(await client.ok("UID SEARCH UID 1:5 UNFLAGGED"), /^\* SEARCH\r\nOK \[MESSAGELIMIT 3 3\]/);
  assert.match(await client.ok("UID SEARCH UID 1:3 UNFLAGGED"), /^\* SEARCH 1 2\r\nOK Search completed/);
  assert.match(await client.ok("UID SEARCH RETURN (SAVE) SUBJECT n"), /^OK \[MESSAGELIMIT 3 4\]/);
  assert.match(await client.ok("UID FETCH $ (UID)"), /^(?:\* \d FETCH \(UID [456]\)\r\n){3}OK Fetch/);
  assert.match(await client.command("SORT (DATE) UTF-8 ALL"), /^NO \[MESSAGELIMIT 3 4\]/);
  assert.match(await client.ok("SORT (ARRIVAL) UTF-8 1:3"), /^\* SORT 1 2 3\r$/m);
  assert.match(await client.command("THREAD REFS UTF-8 ALL"), /^NO \[MESSAGELIMIT 3 4\]/);
  assert.match(
    await client.ok("ESEARCH IN (selected) RETURN (ALL) ALL"),
    /^\* NO \[MESSAGELIMIT 3 4\][^\r]*\r\n\* ESEARCH [^\r]* UID ALL 4:6\r\nOK/,
  );
}, LIMIT);

imapTest("COPY is all or nothing, MOVE and UID EXPUNGE are repeated, EXPUNGE knows no limit", async (h) => {
  await fill(h, 8);
  const client = await h.selected();
  assert.match(await client.command("UID COPY 1:5 Trash"), /^NO \[MESSAGELIMIT 3 3\]/);
  assert.match(await client.ok("STATUS Trash (MESSAGES)"), /MESSAGES 0/);
  await client.ok("COPY 1:3 Trash");
  const moved = await client.ok("UID MOVE 5:8 Trash");
  assert.match(moved, /^\* OK \[COPYUID \d+ 6:8 4:6\] Moved\r\n/);
  assert.match(moved, /^OK \[MESSAGELIMIT 3 6\]/m);
  await client.ok("UID STORE 1:3 +FLAGS.SILENT (\\Deleted)");
  await client.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)");
  const expunged = await client.ok("UID EXPUNGE 1:5");
  assert.equal(expunged.match(/ EXPUNGE\r/g)?.length, 3);
  assert.match(expunged, /^OK \[MESSAGELIMIT 3 2\]/m);
  assert.match(await client.ok("UID EXPUNGE 1:5"), /^\* 1 EXPUNGE\r\nOK Expunge/);
  await client.ok("SELECT Trash");
  await client.ok("UID STORE 1:3 +FLAGS.SILENT (\\Deleted)");
  await client.ok("UID STORE 4:6 +FLAGS.SILENT (\\Deleted)");
  assert.equal((await client.ok("EXPUNGE")).match(/ EXPUNGE\r/g)?.length, 6);
}, LIMIT);

imapTest("a reply with a code of its own keeps it, the limit stands before it", async (h) => {
  await fill(h, 5);
  const client = await h.selected();
  const other = await h.selected();
  await other.ok("UID STORE 4 +FLAGS.SILENT (\\Deleted)");
  await other.ok("EXPUNGE");
  assert.match(
    await client.ok("FETCH 1:5 (UID)"),
    /^\* 3 FETCH \(UID 3\)\r\n\* 5 FETCH \(UID 5\)\r\n\* NO \[MESSAGELIMIT 3 3\][^\r]*\r\nOK \[EXPUNGEISSUED\]/,
  );
}, LIMIT);

imapTest("APPEND brings so many messages and no more", async (h) => {
  const client = await h.selected();
  const message = " {8+}\r\na: b\r\n\r\n";
  assert.match(await client.command(`APPEND INBOX${message.repeat(4)}`), /^NO \[MESSAGELIMIT 3\]/);
  assert.match(await client.ok(`APPEND INBOX${message.repeat(3)}`), /^\* 3 EXISTS\r\n/);
}, LIMIT);

imapTest("SAVELIMIT is for COPY and APPEND alone", async (h) => {
  await fill(h, 4);
  const client = await h.selected();
  assert.match(await client.ok("CAPABILITY"), / SAVELIMIT=2\b/);
  assert.match(await client.command("COPY 1:3 Trash"), /^NO \[MESSAGELIMIT 2 2\]/);
  assert.match(await client.ok("FETCH 1:* (UID)"), /^OK Fetch completed/m);
  assert.match(await client.ok("MOVE 1:3 Trash"), /^OK Move completed/m);
  assert.match(
    await client.command(`APPEND INBOX${" {8+}\r\na: b\r\n\r\n".repeat(3)}`),
    /^NO \[MESSAGELIMIT 2\]/,
  );
}, { saveLimit: 2 });

for (const [messageLimit, saveLimit, told] of [[5, 2, "5 2"], [2, 5, "2"], [3, 3, "3"]] as const) {
  imapTest(`both limits, ${messageLimit} and ${saveLimit}: what holds is what is told`, async (h) => {
    await fill(h, 6);
    const client = await h.selected();
    const [, said] = / (MESSAGELIMIT=\d+(?: SAVELIMIT=\d+)?)/.exec(await client.ok("CAPABILITY"))!;
    assert.equal(said!.replace(/[A-Z]+=/g, ""), told);
    const least = Math.min(messageLimit, saveLimit);
    await client.ok(`COPY 1:${least} Trash`);
    assert.match(
      await client.command(`COPY 1:${least + 1} Trash`),
      new RegExp(`^NO \\[MESSAGELIMIT ${least} 2\\]`),
    );
    assert.match(await client.ok("FETCH 1:* (UID)"), new RegExp(`^OK \\[MESSAGELIMIT ${messageLimit} `, "m"));
  }, { messageLimit, saveLimit });
}

imapTest("UIDAFTER and UIDBEFORE (RFC 9738 3.2)", async (h) => {
  await fill(h, 4);
  const client = await h.selected();
  assert.match(await client.ok("SEARCH UIDAFTER 2"), /^\* SEARCH 3 4\r$/m);
  assert.match(await client.ok("SEARCH UIDAFTER 4"), /^\* SEARCH\r$/m);
  assert.match(await client.ok("SEARCH UIDAFTER 4294967295"), /^\* SEARCH\r$/m);
  assert.match(await client.ok("SEARCH UIDBEFORE 2"), /^\* SEARCH 1\r$/m);
  assert.match(await client.ok("SEARCH UIDBEFORE 1"), /^\* SEARCH\r$/m);
  assert.match(await client.command("SEARCH UIDBEFORE 0"), /^BAD/m);
});
