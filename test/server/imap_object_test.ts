/** PREVIEW, SAVEDATE, OBJECTID and the fetching half of BINARY over a real store. */
import assert from "node:assert/strict";
import { imapTest } from "./imap_harness.ts";

const MIXED = [
  "Message-ID: <root@example.test>",
  "Subject: parts",
  "MIME-Version: 1.0",
  'Content-Type: multipart/mixed; boundary="b"',
  "",
  "--b",
  "Content-Type: text/plain; charset=utf-8",
  "Content-Transfer-Encoding: quoted-printable",
  "",
  "caf=C3=A9 au lait",
  "--b",
  "Content-Type: application/octet-stream",
  "Content-Transfer-Encoding: base64",
  "",
  "AAEC",
  "--b",
  "Content-Type: application/octet-stream",
  "Content-Transfer-Encoding: x-none",
  "",
  "??",
  "--b--",
  "",
].join("\r\n");

imapTest("BINARY undoes transfer encodings (RFC 3516 4)", async (h) => {
  await h.deliver(MIXED);
  const client = await h.selected();
  const text = await client.ok("FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])");
  assert.match(text, /BINARY\.SIZE\[1\] 13 BINARY\[1\] \{13\}\r\ncaf\xc3\xa9 au lait\)/);
  assert.doesNotMatch(await client.ok("FETCH 1 FLAGS"), /Seen/);
  assert.ok((await client.ok("FETCH 1 BINARY[2]")).includes("BINARY[2] ~{3}\r\n\0\x01\x02)"));
  assert.match(await client.ok("FETCH 1 FLAGS"), /\\Seen/);
  assert.match(await client.ok("FETCH 1 BINARY.PEEK[1]<5.2>"), /BINARY\[1\]<5> \{2\}\r\n a\)/);
  assert.match(await client.ok("FETCH 1 BINARY.PEEK[9]"), /BINARY\[9\] NIL\)/);
  assert.match(await client.command("FETCH 1 BINARY.PEEK[3]"), /^NO \[UNKNOWN-CTE\]/m);
  assert.match(await client.command("FETCH 1 BINARY.PEEK[0]"), /^BAD/m);
  const whole = await client.ok("FETCH 1 BINARY.PEEK[]");
  assert.ok(whole.includes(`{${MIXED.length}}\r\n${MIXED})`), whole);
});

imapTest("PREVIEW is there with and without LAZY (RFC 8970)", async (h) => {
  await h.deliver(MIXED);
  await h.deliver("Subject: none\r\n\r\n");
  const client = await h.selected();
  assert.match(await client.ok("FETCH 1 (PREVIEW)"), /PREVIEW \{13\}\r\ncaf\xc3\xa9 au lait\)/);
  assert.match(await client.ok("FETCH 1 (UID PREVIEW (LAZY))"), /\(UID 1 PREVIEW \{13\}/);
  assert.match(await client.ok("FETCH 2 PREVIEW (LAZY)"), /PREVIEW ""\)/);
  assert.match(await client.command("FETCH 2 PREVIEW (EAGER)"), /^BAD/m);
});

imapTest("SAVEDATE is when the message came into this mailbox (RFC 8514)", async (h) => {
  await h.deliver(MIXED);
  const client = await h.selected();
  const year = new Date().getUTCFullYear();
  assert.match(await client.ok("FETCH 1 (INTERNALDATE)"), /-2024 /);
  assert.match(await client.ok("FETCH 1 (SAVEDATE)"), new RegExp(`SAVEDATE "[^"]*-${year} `));
  assert.match(await client.ok("SEARCH SAVEDSINCE 1-Jan-2025"), /^\* SEARCH 1\r$/m);
  assert.match(await client.ok("SEARCH SAVEDBEFORE 1-Jan-2025"), /^\* SEARCH\r$/m);
  assert.match(await client.ok("SEARCH NOT SAVEDON 1-Jan-2025"), /^\* SEARCH 1\r$/m);
  assert.match(await client.ok("SEARCH SAVEDATESUPPORTED"), /^\* SEARCH 1\r$/m);
});

imapTest("object ids outlive COPY, MOVE and RENAME, and name threads (RFC 8474)", async (h) => {
  await h.deliver(MIXED);
  const client = await h.selected();
  const created = await client.ok("CREATE Work");
  const [, mailboxId] = /MAILBOXID \((F\d+)\)/.exec(created) ?? [];
  assert.ok(mailboxId);
  await client.ok("RENAME Work Play");
  assert.match(await client.ok("STATUS Play (MAILBOXID)"), new RegExp(`MAILBOXID \\(${mailboxId}\\)`));
  const [, emailId, threadId] =
    /EMAILID \(([\w-]+)\) THREADID \(([\w-]+)\)/.exec(await client.ok("FETCH 1 (EMAILID THREADID)")) ?? [];
  assert.ok(emailId && threadId);
  await client.ok("APPEND Play {55+}\r\nReferences: <root@example.test>\r\nMessage-ID: <b@x>\r\n\r\nb");
  await client.ok("COPY 1 Play");
  const opened = await client.ok("SELECT Play");
  assert.match(opened, new RegExp(`^\\* OK \\[MAILBOXID \\(${mailboxId}\\)\\]`, "m"));
  assert.match(await client.ok(`SEARCH EMAILID ${emailId}`), /^\* SEARCH 2\r$/m);
  assert.match(await client.ok(`SEARCH THREADID ${threadId}`), /^\* SEARCH 1 2\r$/m);
  assert.match(await client.ok("SEARCH EMAILID Mother"), /^\* SEARCH\r$/m);
});
