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

imapTest("names are kept composed, and found however they are (RFC 9051 5.1)", async (h) => {
  const [two, one] = [await h.login(), await h.login()];
  await two.ok("ENABLE IMAP4rev2");
  const wire = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  const [apart, whole] = [wire('"A\u0308rger"'), wire('"\u00c4rger"')];
  const told = `* LIST () "/" ${whole} ("OLDNAME" (${apart}))\r\n`;
  assert.ok((await two.ok(`CREATE ${apart}`)).startsWith(told));
  for (const name of [apart, whole]) {
    assert.match(await two.command(`CREATE ${name}`), /^NO \[ALREADYEXISTS\]/);
    assert.ok((await two.ok(`LIST "" ${name}`)).includes(`"/" ${whole}\r\n`));
    assert.ok((await two.ok(`STATUS ${name} (MESSAGES)`)).startsWith(`* STATUS ${whole} `));
    await two.ok(`SUBSCRIBE ${name}`);
    assert.ok((await two.ok('LIST (SUBSCRIBED) "" "*rger"')).includes(`"/" ${whole}\r\n`));
    await two.ok(`UNSUBSCRIBE ${name}`);
    assert.doesNotMatch(await two.ok('LIST (SUBSCRIBED) "" "*rger"'), /LIST \(/);
    await two.ok(`APPEND ${name} {7+}\r\nA: b\r\n\r`);
    assert.match(await two.ok(`ESEARCH IN (mailboxes ${name}) ALL`), /ALL 1/);
    assert.match(await two.ok(`ESEARCH IN (subtree ${name}) ALL`), /ALL 1/);
  }
  assert.ok((await two.ok(`SELECT ${apart}`)).includes(told));
  assert.ok((await two.ok(`SELECT ${whole}`)).includes(`* LIST () "/" ${whole}\r\n`));
  await two.ok("UNSELECT");
  // Other clients are told of no data items that they do not know.
  assert.doesNotMatch(await one.ok(`RENAME ${whole} Plain`), /LIST/);
  assert.ok((await two.ok(`RENAME Plain ${apart}`)).startsWith(told));
  await two.ok(`DELETE ${apart}`);
  // One that was made otherwise is found as it is.
  const accountId = h.test.store.directory.account("alice@example.test")!.id;
  await h.test.ok({ kind: "create-mailbox", accountId, name: "A\u0308rger", specialUse: null });
  assert.ok((await two.ok('LIST "" "*rger"')).includes(`"/" ${apart}\r\n`));
  assert.ok((await two.ok(`STATUS ${apart} (MESSAGES)`)).startsWith(`* STATUS ${apart} `));
  assert.match(await two.command(`CREATE ${apart}`), /^NO \[ALREADYEXISTS\]/);
  await two.ok(`DELETE ${apart}`);
});
