/** FETCH over the real store: everything a message has, its sections and parts, whole and in part. */
import assert from "node:assert/strict";
import { imapTest } from "./imap_harness.ts";
import { MESSAGE, MULTIPART } from "./imap_messages.ts";

imapTest("FETCH of everything a message has", async (h) => {
  await h.deliver(MESSAGE);
  const client = await h.selected();
  const all = await client.ok("FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)");
  assert.match(
    all,
    /^\* 1 FETCH \(UID 1 FLAGS \(\\Recent\) INTERNALDATE " 2-Jan-2024 03:04:05 \+0000" RFC822.SIZE (\d+) ENVELOPE \(/,
  );
  assert.equal(/RFC822.SIZE (\d+)/.exec(all)?.[1], String(MESSAGE.length));
  assert.match(all, /BODY \("TEXT" "PLAIN"/i);
  assert.equal(
    await client.ok("FETCH 1 BODY.PEEK[]"),
    `* 1 FETCH (BODY[] {${MESSAGE.length}}\r\n${MESSAGE})\r\nOK Fetch completed\r\n`,
  );
  const header = MESSAGE.slice(0, MESSAGE.indexOf("\r\n\r\n") + 4);
  const body = MESSAGE.slice(header.length);
  assert.ok((await client.ok("FETCH 1 BODY.PEEK[HEADER]")).includes(`{${header.length}}\r\n${header})`));
  assert.ok((await client.ok("FETCH 1 BODY.PEEK[TEXT]")).includes(`{${body.length}}\r\n${body})`));
  assert.ok((await client.ok("FETCH 1 BODY.PEEK[1]")).includes(`{${body.length}}\r\n${body})`));
  assert.ok((await client.ok("FETCH 1 BODY.PEEK[1.MIME]")).includes(`{${header.length}}\r\n${header})`));
  assert.match(
    await client.ok("FETCH 1 (BODY.PEEK[2] BODY.PEEK[1.1] BODY.PEEK[1.HEADER])"),
    /BODY\[2\] NIL BODY\[1.1\] NIL BODY\[1.HEADER\] NIL\)/,
  );
  assert.ok((await client.ok("FETCH 1 BODY.PEEK[TEXT]<8.3>")).includes("BODY[TEXT]<8> {3}\r\nwor)"));
  assert.ok((await client.ok("FETCH 1 BODY.PEEK[TEXT]<900.3>")).includes('BODY[TEXT]<900> "")'));
  assert.ok(
    (await client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (TO message-id)]")).includes(
      "BODY[HEADER.FIELDS (TO message-id)] {56}\r\nTo: alice@example.test\r\nMessage-ID: <1@example.test>\r\n\r\n)",
    ),
  );
  // Nothing so far has set \Seen; a FETCH without PEEK does, and says so.
  assert.match(await client.ok("FETCH 1 FLAGS"), /FLAGS \(\\Recent\)/);
  assert.match(await client.ok("FETCH 1 RFC822"), /^\* 1 FETCH \(UID 1 FLAGS \(\\Seen \\Recent\)\)\r\nOK/m);
  assert.match(await client.command("FETCH 2 FLAGS"), /^BAD /);
  assert.match(await client.ok("UID FETCH 2:9 FLAGS"), /^OK /);
  // `9:*` always holds the last message (RFC 3501 6.4.8).
  assert.match(await client.ok("UID FETCH 9:* FLAGS"), /^\* 1 FETCH \(UID 1 FLAGS/);
});

imapTest("lines of the recipient's own stand before the shared octets", async (h) => {
  const prefix = "Return-Path: <x@example.test>\r\n";
  await h.deliver(MESSAGE, { prefix: new TextEncoder().encode(prefix) });
  const client = await h.selected();
  const whole = prefix + MESSAGE;
  assert.ok(
    (await client.ok("FETCH 1 (RFC822.SIZE BODY.PEEK[])")).includes(
      `RFC822.SIZE ${whole.length} BODY[] {${whole.length}}\r\n${whole})`,
    ),
  );
  assert.ok((await client.ok("FETCH 1 BODY.PEEK[]<14.20>")).includes(`{20}\r\n${whole.slice(14, 34)})`));
  assert.ok(
    (await client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (RETURN-PATH)]")).includes(`{33}\r\n${prefix}\r\n)`),
  );
  assert.ok((await client.ok("FETCH 1 BODY.PEEK[TEXT]")).includes("{16}\r\nHello,\r\nworld.\r\n)"));
});

imapTest("parts of a multipart and of the message inside", async (h) => {
  await h.deliver(MULTIPART);
  const client = await h.selected();
  const section = async (name: string) => (await client.ok(`FETCH 1 BODY.PEEK[${name}]`)).split("\r\nOK")[0];
  assert.equal(await section("1"), "* 1 FETCH (BODY[1] {24}\r\nR3LDvMOfZSBhdXMgS8O2bG4=)");
  assert.match(
    await section("1.MIME") ?? "",
    /^\* 1 FETCH \(BODY\[1.MIME\] \{\d+\}\r\nContent-Type: text\/plain/,
  );
  assert.equal(await section("2"), "* 1 FETCH (BODY[2] {28}\r\nSubject: inner\r\n\r\ninner body)");
  assert.equal(await section("2.HEADER"), "* 1 FETCH (BODY[2.HEADER] {18}\r\nSubject: inner\r\n\r\n)");
  assert.equal(await section("2.TEXT"), "* 1 FETCH (BODY[2.TEXT] {10}\r\ninner body)");
  assert.equal(await section("2.1"), "* 1 FETCH (BODY[2.1] {10}\r\ninner body)");
  assert.equal(
    await section("2.HEADER.FIELDS (subject)"),
    "* 1 FETCH (BODY[2.HEADER.FIELDS (subject)] {18}\r\nSubject: inner\r\n\r\n)",
  );
  assert.equal(await section("3"), "* 1 FETCH (BODY[3] NIL)");
  assert.equal(await section("1.1"), "* 1 FETCH (BODY[1.1] NIL)");
  assert.equal(await section("2.1.1"), "* 1 FETCH (BODY[2.1.1] NIL)");
});

imapTest("the part that stands for a multipart without any is an empty text", async (h) => {
  const type = (boundary: string) => `Content-Type: multipart/mixed; boundary=${boundary}\r\n\r\n`;
  await h.deliver(`${type("a")}nothing\r\n`);
  await h.deliver(`${type("a")}--a\r\n${type("b")}nothing\r\n--a--\r\n`);
  const client = await h.selected();
  const section = async (message: number, name: string) =>
    (await client.ok(`FETCH ${message} BODY.PEEK[${name}]`)).split("\r\nOK")[0];
  const empty = '("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0)';
  assert.ok((await client.ok("FETCH 1:2 BODY")).includes(`BODY (${empty} "MIXED"))`));
  for (const [message, part] of [[1, "1"], [2, "1.1"]] as const) {
    for (const name of [part, `${part}.MIME`]) {
      assert.match(
        await section(message, name) ?? "",
        /^\* \d FETCH \(BODY\[[^\]]+\] (?:""|\{0\}\r\n)\)$/,
        name,
      );
    }
    assert.match(await section(message, `${part}.1`) ?? "", / NIL\)$/);
  }
  assert.match(await section(1, "2") ?? "", / NIL\)$/);
});

imapTest("a large message comes in pieces, whole and in part", async (h) => {
  const line = "0123456789".repeat(7) + "\r\n";
  const large = "Subject: large\r\n\r\n" + line.repeat(10_000);
  const client = await h.login();
  client.send(`a APPEND INBOX {${large.length}}\r\n`);
  await client.until(/^\+ /m);
  client.send(large + "\r\n");
  await client.until(/^a OK \[APPENDUID \d+ 1\]/m);
  await client.ok("SELECT INBOX");
  const whole = await client.ok("FETCH 1 BODY.PEEK[]");
  assert.ok(whole.startsWith(`* 1 FETCH (BODY[] {${large.length}}\r\n${large})\r\n`));
  const part = await client.ok("FETCH 1 BODY.PEEK[]<100000.200000>");
  assert.ok(part.startsWith(`* 1 FETCH (BODY[]<100000> {200000}\r\n${large.slice(100_000, 300_000)})\r\n`));
});
