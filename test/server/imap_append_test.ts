/** APPEND of one and of several messages, REPLACE, and messages with NUL over the real store. */
import assert from "node:assert/strict";
import { type Harness, imapTest, type TestClient } from "./imap_harness.ts";

function letter(subject: string, body = "text"): string {
  return `From: a@example.test\r\nSubject: ${subject}\r\n\r\n${body}\r\n`;
}

/** A command whose arguments end in messages, each with what stands before its literal. */
function appending(
  command: string,
  ...messages: readonly (readonly [before: string, text: string])[]
): string {
  return messages.reduce((all, [before, text]) => `${all}${before} {${text.length}+}\r\n${text}`, command);
}

async function subjects(client: TestClient): Promise<string[]> {
  const reply = await client.ok("UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (Subject)]");
  return [...reply.matchAll(/^Subject: ([^\r]*)/gm)].map(([, subject]) => subject!);
}

async function setQuota(h: Harness, quota: { quotaOctets?: number; quotaMessages?: number }): Promise<void> {
  const account = h.test.store.directory.account("alice@example.test")!;
  await h.test.ok({ kind: "put-account", account: { ...account, ...quota } });
}

imapTest(
  "MULTIAPPEND files all messages in one transaction, in order, with their own flags and dates",
  async (h) => {
    const client = await h.selected();
    const other = await h.selected();
    const reply = await client.ok(appending(
      "APPEND INBOX",
      [" (\\Seen)", letter("one")],
      [' (\\Flagged Work) " 7-Feb-1994 21:52:25 -0800"', letter("two")],
      ["", letter("three", "x".repeat(300_000))],
    ));
    assert.match(reply, /^\* 3 EXISTS\r\n\* 3 RECENT\r\nOK \[APPENDUID \d+ 1:3\] Append completed\r\n$/);
    assert.match(await other.ok("NOOP"), /^\* 3 EXISTS\r\n\* 3 RECENT\r\n/);
    assert.deepEqual(await subjects(client), ["one", "two", "three"]);
    const facts = await client.ok("FETCH 1:3 (FLAGS INTERNALDATE)");
    assert.match(facts, /^\* 1 FETCH \(FLAGS \(\\Seen \\Recent\)/m);
    assert.match(
      facts,
      /^\* 2 FETCH \(FLAGS \(\\Flagged \\Recent Work\) INTERNALDATE " 8-Feb-1994 05:52:25 \+0000"\)/m,
    );
    assert.equal(
      (await client.ok("FETCH 3 BODY.PEEK[TEXT]")).includes("x".repeat(300_000)),
      true,
      "a long message is written through",
    );
  },
);

imapTest("a MULTIAPPEND that fails anywhere leaves nothing behind", async (h) => {
  const client = await h.selected();
  const two = [["", letter("one")], ["", letter("two")]] as const;
  // A message of no octets is how a client cancels (RFC 3502).
  assert.match(
    await client.command(appending("APPEND INBOX", ...two, ["", ""])),
    /^NO The message is empty\r\n$/,
  );
  assert.match(await client.command(appending("APPEND INBOX", ...two, [" (\\Recent)", "x"])), /^BAD /);
  assert.match(await client.command(appending("APPEND INBOX", ...two) + " rest"), /^BAD /);
  assert.match(await client.command(appending("APPEND Nowhere", ...two)), /^NO \[TRYCREATE\]/);
  await setQuota(h, { quotaMessages: 2 });
  assert.match(
    await client.command(appending("APPEND INBOX", ...two, ["", letter("three")])),
    /^NO \[OVERQUOTA\]/,
  );
  await setQuota(h, { quotaMessages: 0, quotaOctets: letter("one").length * 2 });
  // Known before the upload: the sum of what was announced.
  client.send(
    `q1 APPEND INBOX {${letter("one").length}+}\r\n${letter("one")} {${letter("one").length + 1}}\r\n`,
  );
  assert.match(await client.until(/^q1 [^\r]*\r\n/m), /^q1 NO \[OVERQUOTA\]/m);
  assert.match(await client.ok("STATUS INBOX (MESSAGES UIDNEXT)"), /\(MESSAGES 0 UIDNEXT 1\)/);
  assert.match(await client.ok(appending("APPEND INBOX", ...two)), /APPENDUID \d+ 1:2\]/);
});

imapTest("a MULTIAPPEND of too many messages is refused with the limit", async (h) => {
  const client = await h.selected();
  const text = "a: b\r\n\r\n";
  const many = Array.from({ length: 1_001 }, () => ["", text] as const);
  assert.match(
    await client.command(appending("APPEND INBOX", ...many)),
    /^NO \[LIMIT\] At most 1000 messages at once/,
  );
  assert.match(await client.ok(appending("APPEND INBOX", ...many.slice(1))), /^\* 1000 EXISTS\r\n/);
});

imapTest("APPEND goes on where the mailbox is deleted during the upload: TRYCREATE", async (h) => {
  const client = await h.login();
  const other = await h.login();
  await client.ok("CREATE Work");
  client.send("u1 APPEND Work {8}\r\n");
  await client.until(/^\+ OK\r\n/m);
  await other.ok("DELETE Work");
  client.send("a: b\r\n\r\n\r\n");
  assert.match(await client.until(/^u1 [^\r]*\r\n/m), /^u1 NO \[TRYCREATE\]/m);
});

imapTest("REPLACE puts a message in the place of another, in one step for every session", async (h) => {
  await h.deliver(letter("keep"));
  await h.deliver(letter("draft 1"), { flags: 16 });
  const client = await h.selected();
  const other = await h.selected();
  const reply = await client.ok(appending("REPLACE 2 INBOX", [" (\\Draft)", letter("draft 2")]));
  assert.match(
    reply,
    /^\* OK \[APPENDUID \d+ 3\] Replacement is there\r\n\* 2 EXPUNGE\r\n\* 2 EXISTS\r\n\* \d RECENT\r\nOK Replace completed\r\n$/,
  );
  assert.match(await other.ok("NOOP"), /^\* 2 EXPUNGE\r\n\* 2 EXISTS\r\n/);
  assert.deepEqual(await subjects(client), ["keep", "draft 2"]);
  await client.ok(appending("UID REPLACE 3 Sent", ["", letter("sent")]));
  assert.deepEqual(await subjects(client), ["keep"]);
  assert.match(await client.ok("STATUS Sent (MESSAGES)"), /MESSAGES 1/);
  // "*" is the last one.
  await client.ok(appending("UID REPLACE * INBOX", ["", letter("last")]));
  assert.deepEqual(await subjects(client), ["last"]);
});

imapTest("REPLACE refuses what it cannot remove, and then adds nothing", async (h) => {
  await h.deliver(letter("one"));
  const client = await h.selected();
  const other = await h.selected();
  const replace = (what: string, mailbox = "INBOX") =>
    client.command(appending(`${what} ${mailbox}`, ["", letter("new")]));
  assert.match(await replace("REPLACE 2"), /^BAD A message number is out of range\r\n$/);
  assert.match(await replace("UID REPLACE 2"), /^NO \[EXPUNGEISSUED\]/);
  assert.match(await replace("REPLACE 1", "Nowhere"), /^NO \[TRYCREATE\]/);
  // Gone while the replacement is on its way.
  const text = letter("new");
  client.send(`r1 REPLACE 1 INBOX {${text.length}}\r\n`);
  await client.until(/^\+ OK\r\n/m);
  await other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)");
  await other.ok("EXPUNGE");
  client.send(`${text}\r\n`);
  assert.match(
    await client.until(/^r1 [^\r]*\r\n/m),
    /^\* 1 EXPUNGE\r\n(?:\*[^\r]*\r\n)*r1 NO \[EXPUNGEISSUED\]/m,
  );
  assert.match(await client.ok("STATUS INBOX (MESSAGES UIDNEXT)"), /\(MESSAGES 0 UIDNEXT 2\)/);
  await h.deliver(letter("two"));
  await client.ok("EXAMINE INBOX");
  assert.match(await replace("REPLACE 1"), /^NO The mailbox is open read-only/);
});

imapTest("REPLACE counts only what it adds against the quota (RFC 8508 3.4)", async (h) => {
  await h.deliver(letter("old"));
  await setQuota(h, { quotaOctets: letter("old").length + 1, quotaMessages: 1 });
  const client = await h.selected();
  assert.match(
    await client.command(appending("REPLACE 1 INBOX", ["", letter("larger")])),
    /^NO \[OVERQUOTA\]/,
  );
  assert.deepEqual(await subjects(client), ["old"]);
  await client.ok(appending("REPLACE 1 INBOX", ["", letter("new")]));
  assert.deepEqual(await subjects(client), ["new"]);
});

imapTest("REPLACE under QRESYNC is told by VANISHED", async (h) => {
  await h.deliver(letter("old"));
  const client = await h.login();
  await client.ok("ENABLE QRESYNC");
  await client.ok("SELECT INBOX");
  const reply = await client.ok(appending("UID REPLACE 1 INBOX", ["", letter("new")]));
  assert.match(reply, /^\* OK \[APPENDUID \d+ 2\][^\r]*\r\n\* VANISHED 1\r\n\* 1 EXISTS\r\n/);
});

const BINARY = "Content-Type: multipart/mixed; boundary=b\r\nMIME-Version: 1.0\r\n\r\n" +
  "--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nplain\r\n" +
  "--b\r\nContent-Type: application/octet-stream;\r\n\tname=x\r\nCONTENT-transfer-encoding:\r\n\tBinary\r\nContent-ID: <1@x>\r\n\r\n" +
  `a\0b${"\xff\0".repeat(40_000)}\r\n--b--\r\n`;

imapTest("literal8 keeps NUL: in base64 for BODY, as it came for BINARY (RFC 3516 4.4, 6)", async (h) => {
  const client = await h.selected();
  await client.ok(`APPEND INBOX ~{${BINARY.length}+}\r\n${BINARY}`);
  const structure = await client.ok("FETCH 1 BODYSTRUCTURE");
  assert.match(
    structure,
    /"TEXT" "PLAIN" NIL NIL NIL "BINARY" 5/, // without NUL: as it came
  );
  assert.match(structure, /"OCTET-STREAM" \("name" "x"\) "<1@x>" NIL "base64"/i);
  const body = await client.ok("FETCH 1 BODY.PEEK[]");
  assert.ok(!body.includes("\0"));
  assert.match(body, /^Content-Transfer-Encoding: base64\r\nContent-ID: <1@x>\r\n/m);
  const binary = await client.ok("FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2])");
  assert.ok(
    binary.includes(`BINARY.SIZE[2] 80003 BINARY[2] ~{80003}\r\na\0b${"\xff\0".repeat(40_000)})\r\n`),
  );
  assert.match(await client.ok("FETCH 1 (BINARY.PEEK[2]<1.3>)"), /BINARY\[2\]<1> ~\{3\}\r\n\0b\xff\)/);
  assert.match(await client.ok("FETCH 1 FLAGS"), /FLAGS \(\\Recent\)/, "PEEK leaves \\Seen alone");
  assert.match(await client.ok("FETCH 1 BINARY[1]"), /BINARY\[1\] \{5\}\r\nplain/);
  assert.match(await client.ok("FETCH 1 FLAGS"), /\\Seen/);
});

imapTest("NUL in a literal that may not hold any reaches no BODY[] either", async (h) => {
  const client = await h.selected();
  await client.ok(`APPEND INBOX {${BINARY.length}+}\r\n${BINARY}`);
  assert.ok(!(await client.ok("FETCH 1 BODY.PEEK[]")).includes("\0"));
  const text = "Subject: x\r\n\r\na\0b\r\n";
  assert.match(await client.command(`APPEND INBOX {${text.length}+}\r\n${text}`), /^NO \[UNKNOWN-CTE\]/);
});

imapTest("a message of one binary part, and one inside another message", async (h) => {
  const client = await h.selected();
  const inner = "Content-Transfer-Encoding: binary\r\nContent-Type: image/x\r\n\r\n\0\x01\x02";
  await client.ok(`APPEND INBOX ~{${inner.length}+}\r\n${inner}`);
  const outer = `Content-Type: message/rfc822\r\nContent-Transfer-Encoding: binary\r\n\r\n${inner}`;
  await client.ok(`APPEND INBOX ~{${outer.length}+}\r\n${outer}`);
  assert.ok((await client.ok("FETCH 1 BINARY[1]")).includes("BINARY[1] ~{3}\r\n\0\x01\x02)"));
  assert.ok((await client.ok("FETCH 2 BINARY[1.1]")).includes("BINARY[1.1] ~{3}\r\n\0\x01\x02)"));
});

imapTest(
  "literal8 with NUL where no part declares it is refused; without NUL it is any message",
  async (h) => {
    const client = await h.selected();
    for (
      const text of [
        "Subject: \0\r\n\r\nx",
        "Subject: x\r\n\r\na\0b",
        BINARY.replace("plain", "pl\0in").replace("binary", "8bit"),
      ]
    ) {
      assert.match(await client.command(`APPEND INBOX ~{${text.length}+}\r\n${text}`), /^NO \[UNKNOWN-CTE\]/);
    }
    assert.match(await client.ok("STATUS INBOX (MESSAGES)"), /MESSAGES 0/);
    const plain = letter("plain");
    await client.ok(`APPEND INBOX ~{${plain.length}}\r\n${plain}`);
    assert.ok((await client.ok("FETCH 1 BODY[]")).includes(plain));
  },
);

imapTest(
  "a part in an encoding we do not know: [UNKNOWN-CTE], and the others of the command are told",
  async (h) => {
    const odd = "Content-Transfer-Encoding: x-odd\r\n\r\nabc";
    await h.deliver(odd);
    await h.deliver(letter("plain"));
    const client = await h.selected();
    const size = await client.command("FETCH 1:2 BINARY.SIZE[1]");
    assert.match(size, /^\* 2 FETCH \(BINARY.SIZE\[1\] 6\)\r\nNO \[UNKNOWN-CTE\]/m);
    assert.match(await client.command("FETCH 1:2 BINARY[1]"), /NO \[UNKNOWN-CTE\]/);
    assert.match(
      await client.ok("FETCH 1 BINARY[]"),
      /x-odd\r\n\r\nabc\)/,
      "the whole message has no encoding",
    );
    assert.match(await client.ok("FETCH 2 BINARY[7]"), /BINARY\[7\] NIL/);
  },
);
