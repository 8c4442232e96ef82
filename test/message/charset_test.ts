/** Charsets: the shells of seven bits, names that TextDecoder lacks, and what loads the library. */
import assert from "node:assert/strict";
import iconv from "iconv-lite";
import { encodeLatin1 } from "../../bytes/decode.ts";
import { decodeCharset } from "../../message/charset.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { furtherDecoder } from "../../message/further_charset.ts";
import { parameter, parseParameterized } from "../../message/parameter.ts";
import { MessageView } from "../../sieve/message_view.ts";

const decode = (octets: string, charset: string) => decodeCharset(encodeLatin1(octets), charset);

/** The octets, the charset, the text. */
const TEXTS: readonly (readonly [string, string, string])[] = [
  // The examples of RFC 1843, appendix, and what its rules say.
  [
    "This sentence is in ASCII.\nThe next sentence is in GB.~{<:Ky2;S{#,NpJ)l6HK!#~}Bye.",
    "HZ-GB-2312",
    "This sentence is in ASCII.\nThe next sentence is in GB.己所不欲，勿施於人。Bye.",
  ],
  [
    "The next sentence is in GB.~\n~{<:Ky2;S{#,~}~\r\n~{NpJ)l6HK!#~}~\nBye.",
    "hz",
    "The next sentence is in GB.己所不欲，勿施於人。Bye.",
  ],
  ["~~{<: ~x ~", "hz-gb-2312", "~{<: ~x ~"],
  ["~{<:\r\nKy", "hz-gb-2312", "己\r\nKy"],
  ["~{< ~}b", "hz-gb-2312", "\ufffd b"],
  ["~{<", "hz-gb-2312", "\ufffd"],
  ["\xd6\xd0~{ND~}", "hz-gb-2312", "中文"],
  // RFC 1557
  ["\x1b$)C\x0eGQ19\x0f, \x0eGQ19\x0f.\r\n", "ISO-2022-KR", "한국, 한국.\r\n"],
  ["\x0eGQ19\x0f", "iso-2022-kr", "한국"],
  ["\x1b$)C\x0eGQ19\r\nabc", "iso-2022-kr", "한국\r\nabc"],
  ["\x1b$)C\x0eG\x0fa", "iso-2022-kr", "\ufffda"],
  ["\xc7\xd1\xb1\xb9", "iso-2022-kr", "한국"],
  ["\x1b$)", "iso-2022-kr", "\x1b$)"],
  // RFC 1922: GB 2312, and where a set is named that it lacks, or is shifted to for one character.
  ["\x1b$)A\x0e=;;;\x0f ok \x0eND\x0f", "ISO-2022-CN", "交换 ok 文"],
  ["\x1b$)A\x0eND\x1b$)G\x0eGf\x0f.", "iso-2022-cn", "文\ufffd."],
  ["\x1b$)A\x1b$*H\x0eND\x1bN!!ND\x0f.", "iso-2022-cn", "文\ufffd文."],
  ["\x1b$)AND\x1bO", "iso-2022-cn-ext", "ND\ufffd"],
  // RFC 2152, its examples, and what breaks its rules.
  ["A+ImIDkQ.", "utf-7", "A≢Α."],
  ["Hi Mom -+Jjo--!", "UNICODE-1-1-UTF-7", "Hi Mom -☺-!"],
  ["+ZeVnLIqe-", "UTF-7", "日本語"],
  ["+AOk", "utf-7", "é"],
  ["+AOk+AOk-+", "utf-7", "é\u3e00"],
  ["+2DzfCA-", "utf-7", "🌈"],
  ["+2DwA-\xe9", "utf-7", "\ufffd\ufffd"],
  // iconv-lite: DOS, the Macintosh, UTF-32.
  ["\x82t\x82", "IBM437", "été"],
  ["\0\0\0\xe9\0\0\0t", "utf-32be", "ét"],
  ["\x8e", "x-mac-ce", "é"],
  ["\x8e", "X-MAC-Turkish", "é"],
  // Names of what TextDecoder knows by others.
  ["\x93\xfa\x96\x7b", "cp932", "日本"],
  ["\x1b$BF|K\\\x1b(B", "iso-2022-jp-2", "日本"],
  ["\xd6\xd0\xce\xc4", "cp936", "中文"],
  ["\xa4\xa4\xa4\xe5", "ms950", "中文"],
  ["\xc7\xd1\xb1\xb9", "x-windows-949", "한국"],
];

Deno.test("charsets: the examples of RFC 1557, RFC 1843, RFC 1922 and RFC 2152, and what breaks their rules", () => {
  for (const [octets, charset, text] of TEXTS) {
    assert.equal(decode(octets, charset), text, `${charset}: ${text}`);
  }
});

Deno.test("charsets: every pair of GB 2312 and KS C 5601 is what it is with its high bits", () => {
  for (
    const [charset, inside, before, after] of [
      ["hz-gb-2312", "gbk", "~{", "~}"],
      ["iso-2022-cn", "gbk", "\x1b$)A\x0e", "\x0f"],
      ["iso-2022-kr", "euc-kr", "\x1b$)C\x0e", "\x0f"],
    ] as const
  ) {
    let known = 0;
    for (let first = 0x21; first < 0x7e; first++) {
      for (let second = 0x21; second < 0x7f; second++) {
        const pair = String.fromCharCode(first, second);
        const text = decode(String.fromCharCode(first | 0x80, second | 0x80), inside)!;
        if (text.length === 1) known++;
        assert.equal(decode(before + pair + after, charset), text, `${charset}: ${pair}`);
      }
    }
    assert.ok(known > 6_000, `${charset}: ${known} characters`);
  }
});

Deno.test("charsets: encoded words, parameters, the subject, the sender, the preview and scripts have them all", () => {
  for (const [octets, charset, text] of TEXTS) {
    if (/[\r\n]/.test(text) || octets.includes("\n")) continue;
    const word = `=?${charset}?B?${btoa(octets)}?=`;
    const quoted = [...encodeLatin1(octets)].map((octet) =>
      octet.toString(16).toUpperCase().padStart(2, "0")
    );
    assert.equal(decodeHeaderText(`a ${word} b`), `a ${text} b`, charset);
    assert.equal(decodeHeaderText(`=?${charset}*en?q?=${quoted.join("=")}?=`), text, charset);
    const file = parseParameterized(`attachment; filename*=${charset}''%${quoted.join("%")}`);
    assert.equal(parameter(file, "filename"), text, charset);
    const message = encodeLatin1(
      `From: ${word} <a@b.test>\r\nSubject: ${word}\r\nContent-Type: text/plain; charset=${charset}\r\n` +
        `Content-Transfer-Encoding: base64\r\n\r\n${btoa(octets)}\r\n`,
    );
    const builder = new FactsBuilder();
    builder.push(message);
    const { subject, from, preview } = builder.finish();
    assert.equal(subject, text, charset);
    assert.equal(from, `${text} <a@b.test>`, charset);
    assert.equal(preview, text.trim(), charset);
    const view = new MessageView(message);
    assert.equal(view.fields.find(({ name }) => name === "subject")!.text, text, charset);
    assert.equal(view.root.text(), text, charset);
  }
});

Deno.test("charsets: nothing that iconv-lite knows is kept from it, and no other name asks it", () => {
  assert.ok(!iconv.encodingExists("x-unknown"));
  const { encodings } = iconv as unknown as { readonly encodings: Readonly<Record<string, unknown>> };
  const names = Object.keys(encodings).filter((name) => !name.startsWith("_"));
  assert.ok(names.length > 300, `${names.length} names`);
  const noCharsets = names.filter((name) => furtherDecoder(name) === null && decode("a", name) === null);
  assert.deepEqual(noCharsets.sort(), ["base64", "binary", "hex", "utf7imap"]);
  for (
    const name of [
      "x-unknown",
      "unknown-8bit",
      "8bit",
      "default",
      "x-user-defined-2",
      "_charset_",
      "",
      "constructor",
    ]
  ) {
    assert.equal(furtherDecoder(name), null, name);
    assert.equal(decode("a", name), null, name);
  }
});

Deno.test("encoded words: a character that one has cut off goes on in the next, in every charset; what is malformed stays so", () => {
  const word = (charset: string, ...octets: number[]) => {
    const text = octets.map((octet) => `=${octet.toString(16).toUpperCase().padStart(2, "0")}`);
    return `=?${charset}?Q?${text.join("")}?=`;
  };
  for (const text of ["Grüße", "日本語", "🙂 a €"]) {
    const octets = [...new TextEncoder().encode(text)];
    for (let cut = 1; cut < octets.length; cut++) {
      const words = [word("utf-8", ...octets.slice(0, cut)), word("utf-8", ...octets.slice(cut))];
      assert.equal(decodeHeaderText(words.join("\r\n ").replaceAll("\r\n", "")), text);
    }
    assert.equal(decodeHeaderText(octets.map((octet) => word("utf-8", octet)).join(" ")), text);
  }
  assert.equal(
    decodeHeaderText(`${word("gbk", 0xd6)} ${word("gbk", 0xd0, 0xce)} ${word("gbk", 0xc4)} !`),
    "中文 !",
  );
  assert.equal(decodeHeaderText(`${word("shift_jis", 0x93)} ${word("shift_jis", 0xfa)}`), "日");
  assert.equal(decodeHeaderText(`${word("utf-8", 0xc3)} ${word("gbk", 0xa9)}`), "\ufffd\ufffd");
  assert.equal(decodeHeaderText(`${word("utf-8", 0xc3)} x ${word("utf-8", 0xa9)}`), "\ufffd x \ufffd");
  assert.equal(decodeHeaderText(`${word("utf-8", 0xff)} ${word("utf-8", 0x61)}`), "\ufffda");
  const many = Array.from({ length: 50_000 }, () => word("utf-8", 0xe2, 0x82)).join(" ");
  const begin = performance.now();
  assert.equal(decodeHeaderText(many).length, 50_000);
  assert.ok(performance.now() - begin < 5_000, "its time grows with its length alone");
});
