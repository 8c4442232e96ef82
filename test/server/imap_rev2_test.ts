/** What changes for a client that enables IMAP4rev2 (RFC 9051 appendix E), beside one that does not. */
import assert from "node:assert/strict";
import { imapTest } from "./imap_harness.ts";

const letter = (subject: string) => `Subject: ${subject}\r\n\r\n${subject}\r\n`;

imapTest("after ENABLE IMAP4rev2 nothing is RECENT, SEARCH is ESEARCH, SELECT lists the name", async (h) => {
  for (const subject of ["a", "b", "c"]) await h.deliver(letter(subject));
  const client = await h.login();
  assert.match(await client.ok("ENABLE imap4rev2"), /^\* ENABLED IMAP4rev2\r$/m);
  const opened = await client.ok("SELECT inbox");
  assert.match(opened, /^\* 3 EXISTS\r$/m);
  assert.match(opened, /^\* LIST \(\) "\/" "INBOX"\r$/m);
  assert.doesNotMatch(opened, /RECENT|UNSEEN|CLOSED/);
  assert.doesNotMatch(await client.ok("FETCH 1:3 FLAGS"), /Recent/);
  assert.match(await client.ok("SEARCH ALL"), /^\* ESEARCH \(TAG "t\d+"\) ALL 1:3\r$/m);
  assert.match(await client.ok("UID SEARCH SUBJECT b"), /^\* ESEARCH \(TAG "t\d+"\) UID ALL 2\r$/m);
  assert.match(await client.ok("SEARCH SUBJECT nothing"), /^\* ESEARCH \(TAG "t\d+"\)\r$/m);
  // A charset is no contradiction here (6.4.4), other than after ENABLE UTF8=ACCEPT.
  assert.match(await client.ok("SEARCH CHARSET UTF-8 SUBJECT b"), /^\* ESEARCH \(TAG "t\d+"\) ALL 2\r$/m);
  await h.deliver(letter("d"));
  const news = await client.ok("NOOP");
  assert.match(news, /^\* 4 EXISTS\r$/m);
  assert.doesNotMatch(news, /RECENT/);
  assert.match(await client.ok("SELECT Sent"), /^\* OK \[CLOSED\][^]*^\* LIST \(\\Sent\) "\/" "Sent"\r$/m);
  assert.match(await client.ok("STATUS INBOX (MESSAGES DELETED SIZE)"), /MESSAGES 4 DELETED 0 SIZE \d+/);
  // What the other client is told of \Recent is not taken away by this one.
  const other = await h.login();
  assert.match(await other.ok("SELECT INBOX"), /^\* 4 RECENT\r$/m);
  assert.match(await other.ok("SEARCH ALL"), /^\* SEARCH 1 2 3 4\r$/m);
  await other.ok("ENABLE IMAP4rev2");
  assert.doesNotMatch(await other.ok("FETCH 1:4 FLAGS"), /Recent/);
});

imapTest("names are UTF-8 for IMAP4rev2, modified UTF-7 for others", async (h) => {
  const [two, one] = [await h.login(), await h.login()];
  await two.ok("ENABLE IMAP4rev2");
  const octets = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  await two.ok(octets('CREATE "Büro & Co"'));
  assert.ok((await two.ok('LIST "" B*')).includes(octets('"Büro & Co"')));
  assert.match(await one.ok('LIST "" B*'), /"B&APw-ro &- Co"/);
  assert.ok((await two.ok(octets('SELECT "Büro & Co"'))).includes(octets('* LIST () "/" "Büro & Co"')));
});
