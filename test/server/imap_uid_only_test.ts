/** UIDONLY (RFC 9586) and UIDBATCHES (RFC 10022) over the real store. */
import assert from "node:assert/strict";
import { imapTest } from "./imap_harness.ts";

function letter(subject: string): string {
  return `From: a@example.test\r\nSubject: ${subject}\r\n\r\ntext\r\n`;
}

imapTest("a client with UIDONLY never sees a message number", async (h) => {
  for (let at = 1; at <= 4; at++) await h.deliver(letter(`n${at}`));
  const other = await h.selected();
  await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
  await other.ok("EXPUNGE");
  const client = await h.login();
  assert.match(await client.ok("ENABLE UIDONLY"), /^\* ENABLED UIDONLY\r$/m);
  const opened = await client.ok("SELECT INBOX");
  assert.match(opened, /^\* 3 EXISTS\r$/m);
  assert.doesNotMatch(opened, /UNSEEN/);
  assert.equal(
    await client.ok("UID FETCH 1:* FLAGS"),
    "* 2 UIDFETCH (FLAGS ())\r\n* 3 UIDFETCH (FLAGS ())\r\n* 4 UIDFETCH (FLAGS ())\r\nOK Fetch completed\r\n",
  );
  assert.match(
    await client.ok("UID FETCH 3 (UID RFC822.SIZE)"),
    /^\* 3 UIDFETCH \(UID 3 RFC822.SIZE \d+\)\r\nOK/,
  );
  assert.match(
    await client.ok("UID FETCH 4 BODY[TEXT]"),
    /^\* 4 UIDFETCH \(BODY\[TEXT\] \{6\}\r\ntext\r\n\)\r\n\* 4 UIDFETCH \(FLAGS \(\\Seen\)\)/,
  );
  assert.match(
    await client.ok("UID STORE 2 +FLAGS (\\Flagged)"),
    /^\* 2 UIDFETCH \(FLAGS \(\\Flagged\)\)\r\nOK/,
  );
  // CONDSTORE goes along (3.7).
  assert.match(
    await client.ok("UID FETCH 2 (MODSEQ)"),
    /^\* 2 UIDFETCH \(MODSEQ \(\d+\)\)\r\n\* OK \[HIGHESTMODSEQ \d+\] Highest\r\nOK/,
  );
  assert.match(
    await client.ok("UID STORE 2 -FLAGS.SILENT (\\Flagged)"),
    /^\* 2 UIDFETCH \(MODSEQ \(\d+\)\)\r\nOK/,
  );
  await other.ok("UID STORE 3 +FLAGS.SILENT (\\Seen)");
  assert.match(await client.ok("NOOP"), /^\* 3 UIDFETCH \(FLAGS \(\\Seen[^)]*\) MODSEQ \(\d+\)\)\r\nOK/);
  const moved = await client.ok("UID MOVE 2 Archive".replace("Archive", "Trash"));
  assert.match(moved, /^\* OK \[COPYUID \d+ 2 1\][^\r]*\r\n\* VANISHED 2\r\nOK/);
  await other.ok("UID STORE 3 +FLAGS.SILENT (\\Deleted)");
  await other.ok("EXPUNGE");
  assert.match(await client.ok("UID FETCH 4 FLAGS"), /^\* 4 UIDFETCH [^\r]*\r\n\* VANISHED 3\r\nOK/);
  assert.equal(await client.ok("UID SEARCH ALL"), "* SEARCH 4\r\nOK Search completed\r\n");
  for (
    const command of [
      "FETCH 1 FLAGS",
      "SEARCH ALL",
      "UID SEARCH 1",
      "STORE 1 +FLAGS (\\Seen)",
      "COPY 1 Trash",
    ]
  ) {
    assert.match(await client.command(command), /^BAD \[UIDREQUIRED\]/, command);
  }
  assert.match(await other.ok("FETCH 1 (UID)"), /^\* 1 FETCH \(UID 4\)/, "others are not touched");
});

imapTest("UIDBATCHES cuts the mailbox into ranges that hold every message", async (h) => {
  const client = await h.selected();
  const batches = async (what: string) => {
    const reply = await client.ok(`UIDBATCHES ${what}`);
    const ranges = /^\* UIDBATCHES \(TAG "t\d+"\)(?: ([\d:,]+))?\r$/m.exec(reply);
    assert.ok(ranges, reply);
    return ranges[1] ?? "";
  };
  assert.equal(await batches("500"), "");
  const text = "a: b\r\n\r\n";
  const append = (count: number) => client.ok(`APPEND INBOX${` {${text.length}+}\r\n${text}`.repeat(count)}`);
  await append(700);
  await append(600);
  assert.equal(await batches("500"), "1300:801,800:301,300:1");
  assert.equal(await batches("500 2:3"), "800:301,300:1");
  assert.equal(await batches("500 3:9"), "300:1");
  assert.equal(await batches("500 4:9"), "");
  assert.equal(await batches("1300"), "1300:1");
  assert.equal(await batches("4294967295 1:1"), "1300:1");
  await client.ok("UID STORE 1:100,900:999,1300 +FLAGS.SILENT (\\Deleted)");
  await client.ok("EXPUNGE");
  assert.equal(await batches("500"), "1299:700,699:200,199:1");
  assert.match(await client.command("UIDBATCHES 499"), /^NO \[TOOFEW\]/);
  assert.match(await client.command("UIDBATCHES 500 3:2"), /^BAD \[CLIENTBUG\]/);
  await client.ok("SEARCH RETURN (SAVE) UID 200");
  await batches("500");
  assert.match(await client.ok("UID SEARCH $"), /^\* SEARCH 200\r$/m, "$ is left alone");
});
