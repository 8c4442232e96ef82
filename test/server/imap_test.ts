/** The driver against the real store: what a client sees, command by command. */
import assert from "node:assert/strict";
import { imapTest } from "./imap_harness.ts";
import { MESSAGE, MULTIPART } from "./imap_messages.ts";

imapTest("a wrong password, trouble, and a right one", async (h) => {
  const client = h.connect();
  await client.until(/^\* OK \[CAPABILITY IMAP4rev1 [^\]]*AUTH=PLAIN\][^\r]*\r\n/m);
  assert.match(await client.command("LOGIN alice wrong"), /^NO \[AUTHENTICATIONFAILED\]/);
  assert.match(await client.command("LOGIN alice later"), /^NO \[UNAVAILABLE\]/);
  assert.match(
    await client.command("AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA=="),
    /^OK \[CAPABILITY [^\]]*UIDPLUS/,
  );
  assert.deepEqual(h.server.sessions().map(({ account }) => account), ["alice@example.test"]);
});

imapTest("too many wrong passwords end the session", async (h) => {
  const client = h.connect({ loginFailures: 2 });
  await client.command("LOGIN alice wrong");
  client.send("x LOGIN alice wrong\r\n");
  await client.until(/^\* BYE /m);
  await client.done;
  const blocked = h.connect();
  blocked.send("x LOGIN alice blocked\r\n");
  await blocked.until(/^\* BYE /m);
  await blocked.done;
});

imapTest("SELECT says what RFC 3501 6.3.1 asks for", async (h) => {
  await h.deliver(MESSAGE, { flags: 1 });
  await h.deliver(MESSAGE, { keywords: "Work" });
  const client = await h.login();
  const reply = await client.ok("SELECT inbox");
  assert.match(reply, /^\* FLAGS \(\\Seen \\Answered \\Flagged \\Deleted \\Draft Work\)\r\n/m);
  assert.match(reply, /^\* OK \[PERMANENTFLAGS \(.*\\\*\)\]/m);
  assert.match(reply, /^\* 2 EXISTS\r\n\* 2 RECENT\r\n/m);
  assert.match(reply, /^\* OK \[UNSEEN 2\]/m);
  assert.match(reply, /^\* OK \[UIDVALIDITY \d+\]/m);
  assert.match(reply, /^\* OK \[UIDNEXT 3\]/m);
  assert.match(reply, /^OK \[READ-WRITE\]/m);
  // Recent is claimed: another session sees none.
  const other = await h.login();
  const examined = await other.ok("EXAMINE INBOX");
  assert.match(examined, /^\* 0 RECENT/m);
  assert.match(examined, /\[PERMANENTFLAGS \(\)\]/);
  assert.match(examined, /^OK \[READ-ONLY\]/m);
  assert.match(await other.command("STORE 1 +FLAGS (\\Seen)"), /^NO /);
  assert.match(await other.command("EXPUNGE"), /^NO /);
  assert.match(await other.command("SELECT Nowhere"), /^NO \[NONEXISTENT\]/);
  assert.match(await other.command("FETCH 1 FLAGS"), /^BAD /, "a failed SELECT leaves no mailbox selected");
});

imapTest("APPEND keeps flags and date, and a refused one costs no upload", async (h) => {
  const client = await h.selected("Sent");
  client.send('a APPEND Sent (\\Seen $Label) " 7-Feb-1994 21:52:25 -0800" {3+}\r\nabc\r\n');
  const reply = await client.until(/^a OK \[APPENDUID \d+ 1\][^\r]*\r\n/m);
  assert.match(reply, /^\* 1 EXISTS\r\n/m, "the message is there before the OK");
  const fetched = await client.ok("FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])");
  assert.match(
    fetched,
    /FLAGS \(\\Seen \\Recent \$Label\) INTERNALDATE " 8-Feb-1994 05:52:25 \+0000" BODY\[\] \{3\}\r\nabc\)/,
  );
  client.send("b APPEND Nowhere {3}\r\n");
  assert.match(await client.until(/^b [^\r]*\r\n/m), /NO \[TRYCREATE\]/);
  client.send("c APPEND Nowhere {3+}\r\nabc\r\nd APPEND Sent {3+}\r\nxyz\r\n");
  assert.match(
    await client.until(/^d [^\r]*\r\n/m),
    /^c NO \[TRYCREATE\][^\r]*\r\n[^]*^d OK \[APPENDUID \d+ 2\]/m,
  );
  assert.match(await client.command("APPEND Sent {0+}\r\n"), /^NO /);
});

imapTest("a full mailbox takes no APPEND and no COPY: OVERQUOTA, before the upload", async (h) => {
  const client = await h.selected("INBOX");
  await h.deliver(MESSAGE);
  await h.test.ok({ kind: "put-account", account: { address: "alice@example.test", quotaMessages: 1 } });
  await client.ok("NOOP");
  assert.match(await client.command("COPY 1 Archive"), /^NO \[OVERQUOTA\]/);
  client.send("a APPEND Sent {3}\r\n");
  assert.match(await client.until(/^a [^\r]*\r\n/m), /^a NO \[OVERQUOTA\]/m);
  assert.match(await client.command("MOVE 1 Archive"), /^OK/m);
});

imapTest("STORE changes, tells, and is silent when asked", async (h) => {
  for (let i = 0; i < 3; i++) await h.deliver(MESSAGE);
  const client = await h.selected();
  const other = await h.selected();
  assert.match(
    await client.ok("STORE 1:2 +FLAGS (\\Flagged Work)"),
    /^\* FLAGS \([^)]*Work\)\r\n\* OK \[PERMANENTFLAGS[^\r]*\r\n\* 1 FETCH \(UID 1 FLAGS \(\\Flagged \\Recent Work\)\)\r\n\* 2 FETCH \(UID 2 FLAGS \(\\Flagged \\Recent Work\)\)\r\nOK/,
  );
  assert.equal(await client.ok("STORE 2 -FLAGS.SILENT (\\Flagged WORK)"), "OK Store completed\r\n");
  assert.match(await client.ok("FETCH 2 FLAGS"), /FLAGS \(\\Recent\)/, "keywords compare without case");
  assert.match(
    await client.ok("UID STORE 3 FLAGS \\Draft"),
    /^\* 3 FETCH \(UID 3 FLAGS \(\\Draft \\Recent\)\)/,
  );
  // The other session hears the outcome, once.
  const told = await other.ok("NOOP");
  assert.match(told, /^\* 1 FETCH \(UID 1 FLAGS \(\\Flagged Work\)\)/m);
  assert.match(told, /^\* 2 FETCH \(UID 2 FLAGS \(\)\)/m);
  assert.match(told, /^\* 3 FETCH \(UID 3 FLAGS \(\\Draft\)\)/m);
  assert.equal(await other.ok("NOOP"), "OK Noop completed\r\n");
});

imapTest("EXPUNGE is hidden while sequence numbers count, and told after", async (h) => {
  for (let i = 0; i < 5; i++) await h.deliver(`Subject: ${i + 1}\r\n\r\n`);
  const client = await h.selected();
  const other = await h.selected();
  await other.ok("STORE 2,4 +FLAGS.SILENT (\\Deleted)");
  assert.equal(await other.ok("EXPUNGE"), "* 2 EXPUNGE\r\n* 3 EXPUNGE\r\nOK Expunge completed\r\n");
  // Numbers of this session still mean the same messages.
  const fetched = await client.ok("FETCH 1:* (UID)");
  assert.match(
    fetched,
    /^\* 1 FETCH \(UID 1\)\r\n\* 3 FETCH \(UID 3\)\r\n\* 5 FETCH \(UID 5\)\r\nOK \[EXPUNGEISSUED\]/,
  );
  assert.doesNotMatch(await client.ok("SEARCH ALL"), /EXPUNGE/);
  assert.match(await client.ok("STORE 3 +FLAGS (\\Seen)"), /^\* 3 FETCH \(UID 3 /);
  assert.equal(await client.ok("NOOP"), "* 2 EXPUNGE\r\n* 3 EXPUNGE\r\nOK Noop completed\r\n");
  assert.match(await client.ok("FETCH 2 (UID)"), /^\* 2 FETCH \(UID 3\)/);
});

imapTest("UID EXPUNGE removes only what it names, CLOSE all in silence", async (h) => {
  for (let i = 0; i < 4; i++) await h.deliver(MESSAGE, { flags: 8 });
  const client = await h.selected();
  assert.equal(await client.ok("UID EXPUNGE 2:3"), "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\nOK Expunge completed\r\n");
  await client.ok("UNSELECT");
  await client.ok("SELECT INBOX");
  await client.ok("STORE 1 -FLAGS (\\Deleted)");
  assert.equal(await client.ok("CLOSE"), "OK Close completed\r\n");
  assert.match(
    await client.ok("STATUS INBOX (MESSAGES UIDNEXT UNSEEN)"),
    /^\* STATUS "INBOX" \(MESSAGES 1 UIDNEXT 5 UNSEEN 1\)/,
  );
});

imapTest("COPY and MOVE name the new UIDs", async (h) => {
  for (let i = 0; i < 3; i++) await h.deliver(MESSAGE, { flags: 4 });
  const client = await h.selected();
  assert.match(await client.ok("COPY 1,3 Archive"), /^OK \[COPYUID \d+ 1,3 1:2\]/);
  assert.match(await client.command("COPY 1 Nowhere"), /^NO \[TRYCREATE\]/);
  assert.match(
    await client.ok("UID MOVE 2:9 Trash"),
    /^\* OK \[COPYUID \d+ 2:3 1:2\] Moved\r\n\* 2 EXPUNGE\r\n\* 2 EXPUNGE\r\nOK /,
  );
  assert.match(await client.ok("UID COPY 77 Trash"), /^OK Copy completed/);
  assert.match(
    await client.ok("STATUS Trash (MESSAGES SIZE)"),
    new RegExp(`MESSAGES 2 SIZE ${MESSAGE.length * 2}\\)`),
  );
  await client.ok("SELECT Archive");
  assert.match(await client.ok("FETCH 1 (FLAGS BODY.PEEK[])"), /FLAGS \(\\Flagged \\Recent\) BODY\[\] \{/);
});

imapTest("IDLE hears deliveries, flags and expunges", async (h) => {
  await h.deliver(MESSAGE);
  const client = await h.selected();
  const other = await h.selected();
  client.send("i IDLE\r\n");
  await client.until(/^\+ [^\r]*\r\n/m);
  await h.deliver(MESSAGE);
  await client.until(/^\* 2 EXISTS\r\n\* \d RECENT\r\n/m);
  await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
  await client.until(/^\* 1 FETCH \(UID 1 FLAGS \(\\Deleted[^\r]*\r\n/m);
  await other.ok("EXPUNGE");
  await client.until(/^\* 1 EXPUNGE\r\n/m);
  client.send("DONE\r\n");
  assert.equal(await client.until(/^i OK [^\r]*\r\n/m), "i OK Idle completed\r\n");
});

imapTest("SEARCH by everything", async (h) => {
  await h.deliver(MESSAGE, { flags: 1, internalDate: Date.UTC(2024, 0, 5, 23) });
  await h.deliver(MULTIPART, { keywords: "Work" });
  await h.deliver("Subject: plain\r\nX-Spam: yes\r\n\r\nthird " + "x".repeat(2_000), { flags: 8 });
  const client = await h.selected();
  const cases: [string, string][] = [
    ["ALL", "1 2 3"],
    ["SEEN", "1"],
    ["UNSEEN", "2 3"],
    ["NOT SEEN UNDELETED", "2"],
    ["OR SEEN DELETED", "1 3"],
    ["KEYWORD work", "2"],
    ["UNKEYWORD WORK", "1 3"],
    ["RECENT", "1 2 3"],
    ["NEW", "2 3"],
    ["OLD", ""],
    ["2:3", "2 3"],
    ["UID 1,3", "1 3"],
    ["UID 9", ""],
    ["UID 9:*", "3"],
    ["LARGER 1500", "3"],
    ["SMALLER 1500", "1 2"],
    ["ON 5-Jan-2024", "1"],
    ["SINCE 5-Jan-2024", "1"],
    ["BEFORE 5-Jan-2024", "2 3"],
    ["SENTON 1-Jan-2024", "1"],
    ["SENTSINCE 2-Jan-2024", ""],
    ['FROM "grün"', "1"],
    ["FROM green@EXAMPLE", "1"],
    ["SUBJECT GRÜSSE", ""],
    ["SUBJECT grüße", "1"],
    ["SUBJECT {7+}\r\ngrüße", "1"],
    ["HEADER X-Spam {0+}\r\n", "3"],
    ["HEADER X-Spam yes", "3"],
    ["HEADER X-Spam no", ""],
    ["BODY köln", "2"],
    ["BODY inner", "2"],
    ["TEXT inner", "2"],
    ["TEXT parts", "2"],
    ["BODY parts", ""],
    ["TEXT world", "1"],
    ["OR SEEN TEXT third", "1 3"],
    ["NOT TEXT third", "1 2"],
    ["TEXT {0+}\r\n", "1 2 3"],
  ];
  for (const [key, expected] of cases) {
    const text = `CHARSET UTF-8 ${key}`.replace(
      /[^\0-\x7f]/g,
      (c) => String.fromCharCode(...new TextEncoder().encode(c)),
    );
    const reply = await client.ok(`SEARCH ${text}`);
    assert.equal(reply, `* SEARCH${expected === "" ? "" : " " + expected}\r\nOK Search completed\r\n`, key);
  }
  assert.match(await client.command("SEARCH CHARSET KOI8-R ALL"), /^NO \[BADCHARSET \(US-ASCII UTF-8\)\]/);
  assert.match(await client.ok("SEARCH 4"), /^\* SEARCH\r$/m); // RFC 7377 2
  assert.match(await client.ok("UID SEARCH 2"), /^\* SEARCH 2\r\n/);
});

imapTest(
  "SEARCH of bodies undoes transfer encodings and charsets, and encoded words of headers",
  async (h) => {
    const texts: readonly (readonly [string, string, readonly number[]])[] = [
      ["koi8-r", "привет", [0xd0, 0xd2, 0xc9, 0xd7, 0xc5, 0xd4]],
      ["windows-1251", "привет", [0xef, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2]],
      ["iso-8859-7", "νερό", [0xed, 0xe5, 0xf1, 0xfc]],
      ["iso-2022-jp", "日本", [0x1b, 0x24, 0x42, 0x46, 0x7c, 0x4b, 0x5c, 0x1b, 0x28, 0x42]],
      ["shift_jis", "日本", [0x93, 0xfa, 0x96, 0x7b]],
      ["gb2312", "中文", [0xd6, 0xd0, 0xce, 0xc4]],
      ["big5", "中文", [0xa4, 0xa4, 0xa4, 0xe5]],
      ["euc-kr", "한국", [0xc7, 0xd1, 0xb1, 0xb9]],
      ["utf-16le", "été", [0xe9, 0, 0x74, 0, 0xe9, 0]],
      // TextDecoder knows none of these.
      ["hz-gb-2312", "中文", [0x7e, 0x7b, 0x56, 0x50, 0x4e, 0x44, 0x7e, 0x7d]],
      ["iso-2022-kr", "한국", [0x1b, 0x24, 0x29, 0x43, 0x0e, 0x47, 0x51, 0x31, 0x39, 0x0f]],
      ["iso-2022-cn", "中文", [0x1b, 0x24, 0x29, 0x41, 0x0e, 0x56, 0x50, 0x4e, 0x44, 0x0f]],
      ["utf-7", "été", [...new TextEncoder().encode("+AOk-t+AOk-")]],
      ["cp437", "été", [0x82, 0x74, 0x82]],
      ["utf-32be", "été", [0, 0, 0, 0xe9, 0, 0, 0, 0x74, 0, 0, 0, 0xe9]],
    ];
    const octetsOf = (bytes: readonly number[]) => String.fromCharCode(...bytes);
    for (const [charset, , bytes] of texts) {
      const type = `Content-Type: text/plain; charset=${charset}\r\nContent-Transfer-Encoding: `;
      const quoted = bytes.map((octet) => `=${octet.toString(16).padStart(2, "0").toUpperCase()}`).join("");
      await h.deliver(`Subject: a\r\n${type}base64\r\n\r\n${btoa(octetsOf(bytes))}\r\n`);
      await h.deliver(`Subject: b\r\n${type}quoted-printable\r\n\r\n${quoted}\r\n`);
      await h.deliver(`Subject: =?${charset}?B?${btoa(octetsOf(bytes))}?=\r\n\r\nc\r\n`);
    }
    const client = await h.selected();
    const found = async (key: string, word: string) => {
      const octets = octetsOf([...new TextEncoder().encode(word)]);
      const reply = await client.ok(`SEARCH CHARSET UTF-8 ${key} {${octets.length}+}\r\n${octets}`);
      return new Set(/^\* SEARCH([ \d]*)\r/.exec(reply)![1]!.trim().split(" ").map(Number));
    };
    for (const [at, [charset, word]] of texts.entries()) {
      const bodies = await found("BODY", word);
      assert.ok(bodies.has(3 * at + 1), `base64 in ${charset}`);
      assert.ok(bodies.has(3 * at + 2), `quoted-printable in ${charset}`);
      const headers = await found("SUBJECT", word);
      assert.ok(headers.has(3 * at + 3), `an encoded word in ${charset}`);
    }
  },
);

imapTest("mailboxes: made, listed, renamed, subscribed, removed", async (h) => {
  const client = await h.login();
  assert.match(await client.ok('LIST "" ""'), /^\* LIST \(\\Noselect\) "\/" ""\r\n/);
  const list = await client.ok('LIST "" *');
  for (
    const line of [
      '(\\HasNoChildren) "/" "INBOX"',
      '(\\HasNoChildren \\Sent) "/" "Sent"',
      '(\\HasNoChildren \\Trash) "/" "Trash"',
    ]
  ) {
    assert.ok(list.includes(`* LIST ${line}\r\n`), line);
  }
  await client.ok('CREATE "Projekte/Entw&APw-rfe/"');
  assert.match(await client.command("CREATE Projekte"), /^NO \[ALREADYEXISTS\]/);
  assert.match(await client.command("CREATE inbox"), /^NO \[ALREADYEXISTS\]/);
  assert.match(await client.command("CREATE a//b"), /^NO \[CANNOT\]/);
  assert.match(
    await client.ok('LIST "" Projekte*'),
    /^\* LIST \(\\HasChildren\) "\/" "Projekte"\r\n\* LIST \(\\HasNoChildren\) "\/" "Projekte\/Entw&APw-rfe"\r\n/,
  );
  assert.equal((await client.ok('LIST "" %')).match(/Projekte/g)?.length, 1);
  await client.ok('RENAME Projekte "Old Work"');
  assert.match(await client.ok('LIST "Old Work/" %'), /"Old Work\/Entw&APw-rfe"/);
  assert.match(await client.command("RENAME Nowhere x"), /^NO \[NONEXISTENT\]/);
  assert.match(await client.command('RENAME "Old Work" "Old Work/deeper"'), /^NO \[CANNOT\]/);
  assert.match(await client.command("RENAME Sent inbox"), /^NO \[ALREADYEXISTS\]/);
  await client.ok('SUBSCRIBE "Old Work/Entw&APw-rfe"');
  const subscribed = await client.ok('LSUB "" %');
  assert.ok(subscribed.includes('* LSUB (\\Noselect) "/" "Old Work"\r\n'));
  assert.ok(subscribed.includes('* LSUB () "/" "INBOX"\r\n'));
  assert.ok(!(await client.ok('LSUB "" *')).includes('"Old Work"\r\n'));
  await client.ok("UNSUBSCRIBE Trash");
  assert.ok(!(await client.ok('LSUB "" *')).includes("Trash"));
  const extended = await client.ok('LIST (SUBSCRIBED) "" * RETURN (STATUS (MESSAGES))');
  assert.ok(
    extended.includes(
      '* LIST (\\HasNoChildren \\Subscribed) "/" "INBOX"\r\n* STATUS "INBOX" (MESSAGES 0)\r\n',
    ),
  );
  assert.match(
    await client.ok('LIST (SPECIAL-USE) "" *'),
    /^(\* LIST \([^)]*\\(Archive|Drafts|Junk|Sent|Trash)\)[^\r]*\r\n){5}OK/,
  );
  await client.ok('DELETE "Old Work"');
  assert.ok(
    (await client.ok('LIST "" "Old Work"')).includes('* LIST (\\Noselect \\HasChildren) "/" "Old Work"\r\n'),
  );
  assert.match(await client.command('SELECT "Old Work"'), /^NO \[NONEXISTENT\]/);
  assert.match(await client.command('DELETE "Old Work"'), /^NO \[HASCHILDREN\]/);
  assert.match(await client.command("DELETE INBOX"), /^NO \[CANNOT\]/);
  assert.match(await client.command("DELETE Nowhere"), /^NO \[NONEXISTENT\]/);
  assert.match(await client.command("CREATE x (USE (\\Sent))"), /^NO \[USEATTR\]/);
  assert.match(await client.command("STATUS Nowhere (MESSAGES)"), /^NO \[NONEXISTENT\]/);
});

imapTest("RENAME of INBOX moves its messages and leaves it empty", async (h) => {
  await h.deliver(MESSAGE);
  const client = await h.selected();
  assert.match(await client.ok("RENAME INBOX Old"), /^\* 1 EXPUNGE\r\n/);
  assert.match(await client.ok("STATUS Old (MESSAGES RECENT)"), /MESSAGES 1 RECENT 1/);
  assert.match(await client.ok("STATUS INBOX (MESSAGES)"), /MESSAGES 0/);
});

imapTest("a deleted mailbox ends the sessions that have it, but not the one that deletes it", async (h) => {
  const client = await h.login();
  await client.ok("CREATE Gone");
  await client.ok("SELECT Gone");
  const other = await h.selected("Gone");
  const idle = await h.selected("Gone");
  idle.send("i IDLE\r\n");
  await idle.until(/^\+ /m);
  await client.ok("DELETE Gone");
  assert.match(await client.command("FETCH 1 FLAGS"), /^BAD /);
  await idle.until(/^\* BYE \[NONEXISTENT\]/m);
  await idle.done;
  other.send("x NOOP\r\n");
  await other.until(/^\* BYE \[NONEXISTENT\]/m);
  await other.done;
});

imapTest("a session ends when its account is closed, or the server stops", async (h) => {
  const alice = await h.selected();
  const bob = await h.selected("INBOX", "bob");
  bob.send("i IDLE\r\n");
  await bob.until(/^\+ /m);
  await h.test.ok({ kind: "put-account", account: { address: "alice@example.test", enabled: false } });
  await alice.until(/^\* BYE /m);
  await alice.done;
  h.server.shutdown();
  await bob.until(/^\* BYE /m);
  await bob.done;
});

imapTest("idle sessions are told that we are here, and end in the end", async (h) => {
  const client = await h.selected();
  client.send("i IDLE\r\n");
  await client.until(/^\* OK Still here\r\n\* OK Still here\r\n/m);
  const silent = h.connect();
  await silent.until(/^\* BYE Too long/m, 8_000).catch(async () =>
    await silent.until(/^\* BYE \[UNAVAILABLE\] Too long/m)
  );
  await silent.done;
}, { timeouts: { beforeLoginMs: 1_200, idleMs: 60_000, stallMs: 60_000, stillHereMs: 300 } });

imapTest("a client that does not read holds nothing but itself back", async (h) => {
  const body = "Subject: x\r\n\r\n" + "y".repeat(60_000);
  for (let i = 0; i < 20; i++) await h.deliver(body);
  const slow = await h.selected();
  const fast = await h.selected();
  let release = () => {};
  slow.blocked = new Promise((resolve) => release = resolve);
  slow.send("s FETCH 1:* BODY.PEEK[]\r\n");
  assert.match(await fast.ok("FETCH 1:* FLAGS"), /^\* 20 FETCH/m);
  slow.blocked = null;
  release();
  const all = await slow.until(/^s OK/m);
  assert.equal(all.match(/^\* \d+ FETCH/gm)?.length, 20);
});

imapTest("pipelined commands are answered in order", async (h) => {
  for (let i = 0; i < 3; i++) await h.deliver(MESSAGE);
  const client = await h.login();
  client.send(
    "1 SELECT INBOX\r\n2 FETCH 1 FLAGS\r\n3 STORE 1 +FLAGS (\\Deleted)\r\n4 EXPUNGE\r\n5 FETCH 1 (UID)\r\n6 LOGOUT\r\n",
  );
  const all = await client.until(/^6 OK[^\r]*\r\n/m);
  assert.deepEqual([...all.matchAll(/^(\d) OK/gm)].map((m) => m[1]), ["1", "2", "3", "4", "5", "6"]);
  assert.match(all, /^\* 1 FETCH \(UID 2\)\r\n5 OK/m);
  await client.done;
});
