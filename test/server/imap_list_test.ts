/** LIST in its extended forms over the real store (RFC 5258, 5819, 6154), STATUS items, UTF8=ACCEPT, UNAUTHENTICATE. */
import assert from "node:assert/strict";
import { imapTest } from "./imap_harness.ts";

const letter = (subject: string) => `Subject: ${subject}\r\n\r\n${subject}\r\n`;
const listed = (reply: string) => reply.split("\r\n").filter((line) => line.startsWith("* LIST"));

/** The hierarchy of RFC 5258 5, example 9. */
const TREE = [
  "foo2/bar1",
  "foo2/bar2",
  "baz2/bar2",
  "baz2/bar22",
  "baz2/bar222",
  "eps2",
  "eps2/mamba",
  "qux2/bar2",
];

imapTest("RECURSIVEMATCH names parents of what the pattern does not reach (RFC 5258 5)", async (h) => {
  const client = await h.login();
  for (const name of ["foo2", "baz2", ...TREE]) await client.ok(`CREATE ${name}`);
  for (const name of [...(await client.ok('LIST (SUBSCRIBED) "" *')).matchAll(/"\/" "([^"]*)"/g)]) {
    await client.ok(`UNSUBSCRIBE "${name[1]}"`);
  }
  for (const name of TREE) await client.ok(`SUBSCRIBE ${name}`);
  assert.deepEqual(listed(await client.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" "*2"')), [
    '* LIST (\\HasNoChildren \\Subscribed) "/" "baz2/bar2"',
    '* LIST (\\HasNoChildren \\Subscribed) "/" "baz2/bar22"',
    '* LIST (\\HasNoChildren \\Subscribed) "/" "baz2/bar222"',
    '* LIST (\\HasChildren \\Subscribed) "/" "eps2" ("CHILDINFO" ("SUBSCRIBED"))',
    '* LIST (\\HasChildren) "/" "foo2" ("CHILDINFO" ("SUBSCRIBED"))',
    '* LIST (\\HasNoChildren \\Subscribed) "/" "foo2/bar2"',
    '* LIST (\\HasNoChildren \\Subscribed) "/" "qux2/bar2"',
  ]);
  assert.equal(listed(await client.ok('LIST (RECURSIVEMATCH SUBSCRIBED) "" foo')).length, 0);
  await client.ok("DELETE eps2/mamba");
  await client.ok("DELETE eps2");
  assert.deepEqual(listed(await client.ok('LIST (SUBSCRIBED) "" (eps% "eps2/%")')), [
    '* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "eps2"',
    '* LIST (\\NonExistent \\HasNoChildren \\Subscribed) "/" "eps2/mamba"',
  ]);
});

imapTest("LIST returns STATUS of what can be selected, in the same answer", async (h) => {
  const client = await h.login();
  await h.deliver(letter("one"), { flags: 8 });
  await h.deliver(letter("two"));
  await client.ok("CREATE work/now");
  const reply = await client.ok('LIST "" (INBOX work%) RETURN (STATUS (MESSAGES UNSEEN DELETED) SUBSCRIBED)');
  const lines = reply.split("\r\n").filter((line) => line.startsWith("*"));
  assert.match(lines[0]!, /^\* LIST \(\\HasNoChildren[^)]*\) "\/" "INBOX"$/);
  assert.equal(lines[1], '* STATUS "INBOX" (MESSAGES 2 UNSEEN 2 DELETED 1)');
  assert.match(lines[2]!, /^\* LIST \(\\HasChildren\) "\/" "work"$/);
  assert.equal(lines[3], '* STATUS "work" (MESSAGES 0 UNSEEN 0 DELETED 0)');
  assert.equal(lines.length, 4);
  assert.match(await client.ok("STATUS INBOX (APPENDLIMIT)"), /APPENDLIMIT 52428800\)/);
});

imapTest("CREATE gives a special use to one mailbox, and says USEATTR otherwise", async (h) => {
  const client = await h.login();
  const used = listed(await client.ok('LIST (SPECIAL-USE) "" *'));
  assert.ok(used.every((line) => /\\(Archive|Drafts|Junk|Sent|Trash)/.test(line)), used.join("\n"));
  for (const use of ["\\Sent", "\\All", "\\Archive \\Sent"]) {
    const name = `x${use.length}`;
    const reply = await client.command(`CREATE ${name} (USE (${use}))`);
    if (use === "\\Sent" && !used.some((line) => line.includes("\\Sent"))) assert.match(reply, /^OK/);
    else assert.match(reply, /^NO \[USEATTR\]/);
  }
});

imapTest("names in UTF-8 once the client has enabled it", async (h) => {
  const client = await h.login();
  const octets = (text: string) => String.fromCharCode(...new TextEncoder().encode(text));
  await client.ok('CREATE "Gr&APwA3w-e &- Co"');
  assert.match(await client.ok('LIST "" Gr*'), /"Gr&APwA3w-e &- Co"/);
  await client.ok("ENABLE UTF8=ACCEPT");
  assert.ok((await client.ok('LIST "" Gr*')).includes(octets('"Grüße & Co"')));
  assert.match(await client.ok(octets('STATUS "Grüße & Co" (MESSAGES)')), /MESSAGES 0/);
  assert.match(await client.command('STATUS "Gr&APwA3w-e &- Co" (MESSAGES)'), /^NO \[NONEXISTENT\]/);
  const message = octets("Subject: Grüße\r\n\r\nx\r\n");
  assert.match(
    await client.command(`APPEND INBOX UTF8 (~{${message.length}+}\r\n${message})`),
    /^OK \[APPENDUID/m,
  );
  await client.ok("SELECT INBOX");
  assert.ok((await client.ok("FETCH 1 BODY[HEADER]")).includes(octets("Grüße")));
  assert.match(await client.command("SEARCH CHARSET UTF-8 ALL"), /^BAD/);
  // What is quoted is UTF-8, and anything else BAD (RFC 6855 3).
  for (const command of ['SELECT "\xff"', 'STATUS "b\xc3" (MESSAGES)', 'SEARCH SUBJECT "\xe9"']) {
    assert.match(await client.command(command), /^BAD Expected UTF-8 at octet \d+\r/, command);
  }
});

imapTest("UNAUTHENTICATE ends the login and nothing else", async (h) => {
  const client = await h.login();
  await h.deliver(letter("a"));
  await client.ok("ENABLE CONDSTORE UTF8=ACCEPT");
  await client.ok("SELECT INBOX");
  assert.equal(await client.command("UNAUTHENTICATE"), "OK Unauthenticated\r\n");
  assert.match(await client.command("FETCH 1 FLAGS"), /^BAD Log in first/);
  assert.equal(h.server.sessions()[0]!.account, null);
  assert.match(await client.ok("LOGIN bob secret"), /CAPABILITY/);
  assert.match(await client.ok("ENABLE CONDSTORE"), /^\* ENABLED CONDSTORE\r$/m);
  assert.equal(h.server.sessions()[0]!.account, "bob@example.test");
  assert.match(await client.ok("SELECT INBOX"), /^\* 0 EXISTS\r$/m);
});

imapTest("capabilities hidden from an account are told to others, and cannot be enabled", async (h) => {
  const hiddenCapabilities = ["QRESYNC", "COMPRESS=DEFLATE"];
  await h.test.ok({ kind: "put-account", account: { address: "alice@example.test", hiddenCapabilities } });
  const [alice, bob] = [await h.login("alice"), await h.login("bob")];
  const told = await alice.ok("CAPABILITY");
  assert.doesNotMatch(told, / QRESYNC| COMPRESS/);
  assert.match(told, / CONDSTORE .* IDLE|IDLE .* CONDSTORE/);
  assert.match(await bob.ok("CAPABILITY"), / QRESYNC .* COMPRESS=DEFLATE/);
  assert.match(await alice.ok("ENABLE QRESYNC CONDSTORE"), /^\* ENABLED CONDSTORE\r$/m);
  await alice.ok("UNAUTHENTICATE");
  assert.match(await alice.ok("LOGIN bob secret"), / QRESYNC /);
});

imapTest("every capability can be hidden, those with a value by their name", async (h) => {
  const alice = await h.login();
  const hide = async (...hiddenCapabilities: string[]) => {
    await h.test.ok({ kind: "put-account", account: { address: "alice@example.test", hiddenCapabilities } });
    await alice.ok("UNAUTHENTICATE");
    return /^OK \[CAPABILITY ([^\]]*)\]/.exec(await alice.ok("LOGIN alice secret"))![1]!.split(" ");
  };
  const all = await hide();
  const bare = (name: string) => name.replace(/=.*$/, "");
  for (const name of all) {
    assert.deepEqual(await hide(name.toUpperCase()), all.filter((one) => one !== name && bare(one) !== name));
    assert.deepEqual(await hide(bare(name).toUpperCase()), all.filter((one) => bare(one) !== bare(name)));
  }
  await hide("UTF8");
  assert.match(await alice.ok("ENABLE UTF8=ACCEPT"), /^\* ENABLED\r$/m);
}, { sieveUrl: "sieve://mx.example.test", messageLimit: 1_000 });

imapTest(
  "what only stands for its children has neither STATUS nor annotations (RFC 5819 3, RFC 9590 4)",
  async (h) => {
    const client = await h.login();
    await client.ok("CREATE up/down");
    await client.ok("SUBSCRIBE up/down");
    const reply = await client.ok(
      'LIST (SUBSCRIBED RECURSIVEMATCH) "" % RETURN (STATUS (MESSAGES) METADATA (/private/comment))',
    );
    assert.match(reply, /^\* LIST [^\r]* "up" \("CHILDINFO" \("SUBSCRIBED"\)\)\r$/m);
    assert.doesNotMatch(reply, /^\* (?:STATUS|METADATA) "up"/m);
    assert.match(reply, /^\* METADATA "Sent" [^]*^\* STATUS "Sent" /m);
  },
);
