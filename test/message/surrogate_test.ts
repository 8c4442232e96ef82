/** Headers in UTF-8 as clients in ASCII mode are sent them (RFC 6858). */
import assert from "node:assert/strict";
import { encode, utf8 } from "../../bytes/decode.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
import { needsSurrogate, surrogateHeader } from "../../message/surrogate.ts";

function surrogate(...lines: string[]): string {
  return utf8(surrogateHeader(encode(lines.map((line) => `${line}\r\n`).join(""))));
}

const CASES: [name: string, field: string, expected: string][] = [
  ["ASCII stays", "Subject:  as  it\r\n\tis ", "Subject:  as  it\r\n\tis "],
  ["text", "Subject: Grüße", "Subject: =?UTF-8?B?R3LDvMOfZQ==?="],
  ["an unknown field", "X-Note: ü", "X-Note: =?UTF-8?B?w7w=?="],
  ["a name", "From: Grün <green@example.test>", "From: =?UTF-8?B?R3LDvG4=?= <green@example.test>"],
  [
    "a domain",
    "To: a@bücher.example, b@example.test",
    "To: a@xn--bcher-kva.example,\r\n b@example.test",
  ],
  [
    "a local part",
    'Cc: "Müller, X" <müller@example.test>',
    "Cc: =?UTF-8?B?TcO8bGxlciwgWCBtw7xsbGVyQGV4YW1wbGUudGVzdA==?= <invalid@internationalized-address.invalid>",
  ],
  ["a group", "To: grüne: a@b.test, c@d.test;", "To: =?UTF-8?B?Z3LDvG5l?=: a@b.test,\r\n c@d.test;"],
  [
    "a path",
    "Return-Path: <müller@example.test>",
    "Return-Path: <invalid@internationalized-address.invalid>",
  ],
  [
    "a parameter",
    'Content-Disposition: attachment; filename="ü 1.txt"; size=5',
    "Content-Disposition: attachment;\r\n filename*=UTF-8''%C3%BC%201.txt;\r\n size=5",
  ],
  ["an identifier", "Message-ID: <ü@example.test>", ""],
  ["a trace field", "Received: from ü by x", ""],
];

for (const [name, field, expected] of CASES) {
  Deno.test(`surrogate header: ${name}`, () => {
    assert.equal(surrogate(field), expected === "" ? "" : `${expected}\r\n`);
  });
}

Deno.test("a long text is folded into words that say the same", () => {
  const text = "Lange Überschrift über Äpfel 🍎 ".repeat(20).trim();
  const result = surrogate(`Subject: ${text}`);
  for (const line of result.split("\r\n")) assert.ok(line.length <= 86, line);
  assert.equal(decodeHeaderText(result.replace(/^Subject: /, "").replaceAll("\r\n ", " ").trim()), text);
});

Deno.test("the empty line stays, and everything is ASCII", () => {
  const result = surrogate("Subject: ü", "From: a@b.test", "");
  assert.equal(result, "Subject: =?UTF-8?B?w7w=?=\r\nFrom: a@b.test\r\n\r\n");
});

Deno.test("only mail that came as SMTPUTF8 needs one", () => {
  const header = (received: string, subject: string) =>
    encode(
      `Return-Path: <>\r\nReceived: from a\r\n\tby b with ${received} id c; Mon\r\nSubject: ${subject}\r\n\r\n`,
    );
  assert.equal(needsSurrogate(header("UTF8SMTPSA", "ü")), true);
  assert.equal(needsSurrogate(header("UTF8SMTP", "u")), false);
  assert.equal(needsSurrogate(header("ESMTPS", "ü")), false);
  assert.equal(needsSurrogate(encode("Subject: ü\r\n\r\n")), false);
});
