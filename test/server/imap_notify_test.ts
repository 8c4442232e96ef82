/** NOTIFY (RFC 5465) over the real store: what is told without a command. */
import assert from "node:assert/strict";
import { imapTest, type TestClient } from "./imap_harness.ts";

function letter(subject: string): string {
  return `From: a@example.test\r\nSubject: ${subject}\r\n\r\ntext\r\n`;
}

/** Lets everything be told that is to be told, and returns what came. */
async function quiet(client: TestClient): Promise<string> {
  for (let at = 0; at < 3; at++) await new Promise((resolve) => setTimeout(resolve, 5));
  return client.pending;
}

imapTest(
  "the selected mailbox is told at once: EXISTS, attributes of what is new, flags, expunges",
  async (h) => {
    await h.deliver(letter("one"));
    const client = await h.selected();
    const other = await h.selected();
    await client.ok(
      "NOTIFY SET (selected (MessageNew (UID BODY[HEADER.FIELDS (Subject)]) MessageExpunge FlagChange))",
    );
    await h.deliver(letter("two"));
    assert.equal(
      await client.until(/\)\r\n$/),
      "* 2 EXISTS\r\n* 2 RECENT\r\n* 2 FETCH (UID 2 BODY[HEADER.FIELDS (Subject)] {16}\r\nSubject: two\r\n\r\n)\r\n",
    );
    assert.match(await client.ok("FETCH 2 FLAGS"), /FLAGS \(\\Recent\)/, "\\Seen is left alone");
    await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
    assert.match(await client.until(/\)\r\n$/), /^\* 1 FETCH \(UID 1 FLAGS \(\\Deleted[^)]*\)\)\r\n$/);
    await other.ok("EXPUNGE");
    assert.equal(await client.until(/EXPUNGE\r\n/), "* 1 EXPUNGE\r\n");
    // A mailbox selected later is meant too.
    await client.ok("SELECT Sent");
    await h.deliver(letter("three"), { mailbox: "Sent" });
    assert.match(await client.until(/\)\r\n$/), /^\* 1 EXISTS\r\n\* 1 RECENT\r\n\* 1 FETCH \(UID 1 BODY/);
  },
);

imapTest("selected-delayed keeps expunges for a command, and IDLE is one", async (h) => {
  for (let at = 1; at <= 3; at++) await h.deliver(letter(`n${at}`));
  const client = await h.selected();
  const other = await h.selected();
  await client.ok("NOTIFY SET (selected-delayed (MessageNew MessageExpunge))");
  await other.ok("STORE 1,2 +FLAGS.SILENT (\\Deleted)");
  await other.ok("UID EXPUNGE 1");
  await h.deliver(letter("n4"));
  assert.equal(await client.until(/RECENT\r\n/), "* 4 EXISTS\r\n* 4 RECENT\r\n", "no flags, no expunge");
  assert.match(await client.ok("FETCH 4 (UID)"), /^\* 4 FETCH \(UID 4\)\r\nOK/);
  assert.match(await client.ok("NOOP"), /^\* 1 EXPUNGE\r\nOK/);
  client.send("i1 IDLE\r\n");
  await client.until(/^\+ idling\r\n/m);
  await other.ok("UID EXPUNGE 2");
  assert.equal(await client.until(/EXPUNGE\r\n/), "* 1 EXPUNGE\r\n");
  client.send("DONE\r\n");
  await client.until(/^i1 OK/m);
});

imapTest(
  "without SELECTED, and after NONE, the selected mailbox stands still but for the client's own commands",
  async (h) => {
    for (let at = 1; at <= 3; at++) await h.deliver(letter(`n${at}`));
    const client = await h.selected();
    const other = await h.selected();
    for (
      const command of ["NOTIFY NONE", "NOTIFY SET (selected NONE)", "NOTIFY SET (personal MailboxName)"]
    ) {
      await client.ok(command);
      await h.deliver(letter("more"));
      await other.ok("STORE 1 +FLAGS.SILENT (\\Flagged)");
      assert.equal(await client.ok("NOOP"), "OK Noop completed\r\n", command);
      assert.equal(await quiet(client), "");
    }
    await client.ok("STORE 2 +FLAGS.SILENT (\\Deleted)");
    assert.match(await client.ok("EXPUNGE"), /^\* 2 EXPUNGE\r\n\* 5 EXISTS\r\n/);
    await h.deliver(letter("last"));
    // A successful NOTIFY SET is a NOOP (3.1).
    assert.match(await client.ok("NOTIFY SET (selected (MessageNew MessageExpunge))"), /^\* 6 EXISTS\r\n/);
  },
);

imapTest("NOTIFY SET tells all that has come up to it, whatever it asks for (3.1)", async (h) => {
  for (let at = 1; at <= 3; at++) await h.deliver(letter(`n${at}`));
  const client = await h.selected();
  const other = await h.selected();
  for (const command of ["NOTIFY SET (selected NONE)", "NOTIFY SET (personal MailboxName)"]) {
    for (let round = 1; round <= 2; round++) {
      await h.deliver(letter("more"));
      await other.ok("NOOP");
      await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
      await other.ok("STORE 3 +FLAGS.SILENT ($x)");
      await other.ok("STORE 3 -FLAGS.SILENT ($x)");
      await other.ok("EXPUNGE");
      assert.match(
        await client.ok(command),
        /^\* 1 EXPUNGE\r\n\* 3 EXISTS\r\n[^]*^\* 2 FETCH \(UID \d+ FLAGS [^\r]*\r\nOK Notify completed\r\n$/m,
        command,
      );
    }
  }
});

imapTest("STATUS of NOTIFY SET has HIGHESTMODSEQ where changes of flags are asked for (3.1)", async (h) => {
  const client = await h.login();
  const status = await client.ok(
    "NOTIFY SET STATUS (mailboxes Sent (MessageNew MessageExpunge FlagChange)) (mailboxes Junk (MessageNew MessageExpunge))",
  );
  assert.match(status, /^\* STATUS "Sent" \([^)]* UIDVALIDITY \d+ [^)]*HIGHESTMODSEQ 1\)\r$/m);
  assert.match(status, /^\* STATUS "Junk" \((?:(?!HIGHESTMODSEQ)[^)])*\)\r$/m);
});

imapTest("other mailboxes are told by STATUS", async (h) => {
  const client = await h.login();
  const other = await h.login();
  await client.ok("CREATE Lists/a");
  await client.ok("CREATE Lists/b");
  await client.ok("CREATE Play");
  const status = await client.ok(
    "NOTIFY SET STATUS (subtree Lists (MessageNew MessageExpunge)) (mailboxes (Play Nowhere) (MessageNew MessageExpunge FlagChange))",
  );
  assert.deepEqual(
    [...status.matchAll(/^\* STATUS "([^"]+)" \(MESSAGES 0 UIDNEXT 1 UIDVALIDITY \d+/gm)].map(([, name]) =>
      name
    ),
    ["Lists", "Lists/a", "Lists/b", "Play"],
  );
  await h.deliver(letter("x"), { mailbox: "Lists/b" });
  assert.match(
    await client.until(/\)\r\n/),
    /^\* STATUS "Lists\/b" \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+\)\r\n$/,
  );
  await h.deliver(letter("x"), { mailbox: "Play" });
  await client.until(/\)\r\n/);
  await h.deliver(letter("x"));
  await h.deliver(letter("x"), { user: "bob" });
  assert.equal(await quiet(client), "", "INBOX was not asked for, and bob's is none of hers");
  await other.ok("SELECT Play");
  await other.ok("STORE 1 +FLAGS.SILENT (\\Seen)");
  assert.match(await client.until(/\)\r\n/), /^\* STATUS "Play" \(UIDVALIDITY \d+ UNSEEN 0\)\r\n$/);
  await other.ok("SELECT Lists/b");
  await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
  assert.equal(await quiet(client), "", "flags were not asked for there");
  await client.ok("ENABLE CONDSTORE");
  await other.ok("EXPUNGE");
  assert.match(
    await client.until(/\)\r\n/),
    /^\* STATUS "Lists\/b" \(MESSAGES 0 UIDNEXT 2 UIDVALIDITY \d+ HIGHESTMODSEQ \d+\)\r\n$/,
  );
  // "subscribed" is read anew (6.4).
  await client.ok("NOTIFY SET (subscribed (MessageNew MessageExpunge))");
  await other.ok("UNSUBSCRIBE INBOX");
  await h.deliver(letter("x"));
  assert.equal(await quiet(client), "");
  await other.ok("SUBSCRIBE INBOX");
  await h.deliver(letter("x"));
  assert.match(await client.until(/\)\r\n/), /^\* STATUS "INBOX" /);
});

imapTest("names and subscriptions are told by LIST", async (h) => {
  const client = await h.login();
  const other = await h.login();
  await client.ok("NOTIFY SET (personal (MailboxName SubscriptionChange))");
  await other.ok("CREATE Work");
  assert.equal(await client.until(/Work"\r\n/), '* LIST (\\HasNoChildren) "/" "Work"\r\n');
  await other.ok("CREATE Work/a");
  // The direct parent is affected too (5.4).
  assert.equal(
    await client.until(/"Work"\r\n/),
    '* LIST (\\HasNoChildren) "/" "Work/a"\r\n* LIST (\\HasChildren) "/" "Work"\r\n',
  );
  await other.ok("RENAME Work Play");
  assert.equal(
    await client.until(/\)\)\r\n/),
    '* LIST (\\HasChildren) "/" "Play" ("OLDNAME" ("Work"))\r\n',
    "children go along without a word",
  );
  await other.ok("SUBSCRIBE Play");
  assert.equal(await client.until(/"Play"\r\n/), '* LIST (\\HasChildren \\Subscribed) "/" "Play"\r\n');
  await other.ok("UNSUBSCRIBE Play");
  assert.equal(await client.until(/"Play"\r\n/), '* LIST (\\HasChildren) "/" "Play"\r\n');
  await other.ok("DELETE Play/a");
  assert.equal(
    await client.until(/"Play"\r\n/),
    '* LIST (\\NonExistent \\HasNoChildren) "/" "Play/a"\r\n* LIST (\\HasNoChildren) "/" "Play"\r\n',
  );
  await client.ok("NOTIFY SET (mailboxes Play MailboxName)");
  await other.ok("CREATE Elsewhere");
  assert.equal(await quiet(client), "");
});

imapTest("annotations are told without ENABLE METADATA (5.6, 5.7)", async (h) => {
  const client = await h.login();
  const other = await h.login();
  await client.ok("NOTIFY SET (mailboxes INBOX MailboxMetadataChange)");
  await other.ok('SETMETADATA INBOX (/private/comment "x")');
  assert.match(await client.until(/\r\n/), /^\* METADATA "?INBOX"? \/private\/comment\r\n/);
  await other.ok('SETMETADATA Sent (/private/comment "x")');
  await other.ok('SETMETADATA "" (/private/comment "x")');
  assert.equal(await quiet(client), "");
  await client.ok("NOTIFY SET (personal ServerMetadataChange)");
  await other.ok('SETMETADATA "" (/private/comment "y")');
  assert.match(await client.until(/\r\n/), /^\* METADATA "" \/private\/comment\r\n/);
});

imapTest("what is refused, and what a command meets that comes while something is told", async (h) => {
  const client = await h.selected();
  assert.match(
    await client.command("NOTIFY SET (personal (MessageNew MessageExpunge AnnotationChange))"),
    /^NO \[BADEVENT \(MessageNew MessageExpunge FlagChange MailboxName [^)]*\)\]/,
  );
  await client.ok("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))");
  // Deliveries and commands at once: every answer stays whole and in order.
  const deliveries = Array.from({ length: 20 }, (_, at) => h.deliver(letter(`n${at}`)));
  for (let at = 0; at < 20; at++) {
    assert.match(await client.ok("UID FETCH 1:* (FLAGS)"), /OK Fetch completed\r\n$/);
  }
  await Promise.all(deliveries);
  await quiet(client);
  assert.match(await client.ok("UID SEARCH RETURN (COUNT) ALL"), /COUNT 20\r/);
  // UNAUTHENTICATE ends it.
  await client.ok("UNAUTHENTICATE");
  await client.ok("LOGIN alice secret");
  await client.ok("SELECT INBOX");
  await h.deliver(letter("late"));
  assert.equal(await quiet(client), "");
});

imapTest("updates of searches are told with their causes (RFC 5465 5.2)", async (h) => {
  await h.deliver(letter("one"));
  const client = await h.selected();
  await client.ok("NOTIFY SET (selected (MessageNew (UID) MessageExpunge))");
  await client.ok("UID SEARCH RETURN (UPDATE) SUBJECT two");
  await h.deliver(letter("two"));
  assert.match(
    await client.until(/FETCH[^\r]*\r\n/),
    /^\* 2 EXISTS\r\n\* 2 RECENT\r\n\* ESEARCH \(TAG "t\d+"\) UID ADDTO \(0 2\)\r\n\* 2 FETCH \(UID 2\)\r\n$/,
  );
});

imapTest(
  "UPDATE brings attributes of new messages, in one FETCH with those of NOTIFY (RFC 5465 7)",
  async (h) => {
    await h.deliver(letter("one"));
    const client = await h.selected();
    await client.ok("UID SEARCH RETURN (UPDATE (UID BODY[HEADER.FIELDS (Subject)])) SUBJECT two");
    await h.deliver(letter("other"));
    await h.deliver(letter("two"));
    assert.match(
      await client.ok("NOOP"),
      /^\* 3 EXISTS\r\n\* 3 RECENT\r\n\* ESEARCH [^\r]*ADDTO \(0 3\)\r\n\* 3 FETCH \(UID 3 BODY\[[^\r]*\r\nSubject: two\r\n\r\n\)\r\nOK/,
    );
    await client.ok("NOTIFY SET (selected (MessageNew (UID RFC822.SIZE) MessageExpunge))");
    await h.deliver(letter("two again"));
    assert.match(
      await client.until(/\r\n\)\r\n$/),
      /ADDTO \(0 4\)\r\n\* 4 FETCH \(UID 4 RFC822\.SIZE \d+ BODY\[[^\r]*\r\nSubject: two again\r\n\r\n\)\r\n$/,
    );
    await h.deliver(letter("other"));
    assert.match(
      await client.until(/FETCH[^\r]*\r\n$/),
      /^\* 5 EXISTS\r\n\* 5 RECENT\r\n\* 5 FETCH \(UID 5 RFC822\.SIZE \d+\)\r\n$/,
    );
  },
);
