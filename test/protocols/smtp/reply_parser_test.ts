/** Replies of other servers: forms, limits, every split, and the round trip of what fast-check thinks of. */
import fc from "fast-check";
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../../bytes/decode.ts";
import {
  DEFAULT_REPLY_LIMITS,
  type RemoteReply,
  ReplyParser,
  type ReplyStep,
  replyText,
} from "../../../protocols/smtp/reply_parser.ts";

function parse(chunks: readonly Uint8Array[], limits = DEFAULT_REPLY_LIMITS): ReplyStep[] {
  const parser = new ReplyParser(limits);
  const steps: ReplyStep[] = [];
  for (const chunk of chunks) {
    parser.feed(chunk);
    for (;;) {
      const step = parser.next();
      if (step.kind === "need-input") break;
      steps.push(step);
      if (step.kind === "fault") return steps;
    }
  }
  return steps;
}

function whole(text: string, limits = DEFAULT_REPLY_LIMITS): ReplyStep[] {
  return parse([encodeLatin1(text)], limits);
}

function reply(code: number, enhanced: string, ...lines: string[]): ReplyStep {
  return { kind: "reply", reply: { code, enhanced, lines } };
}

const TABLE: readonly [string, ReplyStep[]][] = [
  // RFC 5321 4.2.1, the examples
  ["250-First line\r\n250-Second line\r\n250-234 Text beginning with numbers\r\n250 The last line\r\n", [
    reply(250, "", "First line", "Second line", "234 Text beginning with numbers", "The last line"),
  ]],
  ["220 ready\r\n", [reply(220, "", "ready")]],
  ["250\r\n", [reply(250, "", "")]],
  ["250 \r\n250 2.0.0\r\n", [reply(250, "", ""), reply(250, "2.0.0", "")]],
  // RFC 2034 4: each line of a multiline reply has the code
  ["550-5.1.1 no such\r\n550 5.1.1 user\r\n", [reply(550, "5.1.1", "no such", "user")]],
  ["550 5.7.123 x\r\n", [reply(550, "5.7.123", "x")]],
  // an enhanced code of another class is text
  ["550 4.1.1 odd\r\n", [reply(550, "", "4.1.1 odd")]],
  ["550 5.1.1x\r\n", [reply(550, "", "5.1.1x")]],
  ["550 5.1234.1 x\r\n", [reply(550, "", "5.1234.1 x")]],
  // codes that differ: the last one counts, and takes the enhanced code of another class away
  ["550-5.1.1 a\r\n450 b\r\n", [reply(450, "", "a", "b")]],
  ["250 a\tb\x07\xe9\r\n", [reply(250, "", "a b??")]],
  // RFC 6531 3.5: UTF-8, without what turns the direction of text
  ["550 5.1.1 gr\xc3\xbc\xc3\x9fe\t\xe2\x80\xaex\xc2\x85\r\n", [reply(550, "5.1.1", "gr\u00fc\u00dfe ?x?")]],
  // a bare LF or CR ends no line
  ["250 a\n550 b\r\n", [reply(250, "", "a?550 b")]],
  ["250 a\r550 b\r\n", [reply(250, "", "a?550 b")]],
];

Deno.test("replies are read in every form", () => {
  for (const [text, expected] of TABLE) assert.deepEqual(whole(text), expected, text);
});

Deno.test("what is no reply is a fault", () => {
  for (
    const text of [
      "\r\n",
      "25\r\n",
      "25a ok\r\n",
      "150 a\r\n",
      "650 a\r\n",
      "250_a\r\n",
      "GET / HTTP/1.0\r\n",
    ]
  ) {
    assert.equal(whole(text)[0]?.kind, "fault", text);
    assert.equal(whole(`${text}250 ok\r\n`).length, 1, "nothing is read after a fault");
  }
});

Deno.test("lines and replies have limits", () => {
  const limits = { lineOctets: 20, lines: 3 };
  assert.deepEqual(whole(`250 ${"x".repeat(14)}\r\n`, limits), [reply(250, "", "x".repeat(14))]);
  assert.equal(whole(`250 ${"x".repeat(15)}\r\n`, limits)[0]?.kind, "fault");
  assert.equal(whole("250-a\r\n250-b\r\n250 c\r\n", limits)[0]?.kind, "reply");
  assert.equal(whole("250-a\r\n250-b\r\n250-c\r\n", limits)[0]?.kind, "fault");
});

Deno.test("every split of the table gives the same replies", () => {
  for (const [text, expected] of TABLE) {
    const bytes = encodeLatin1(text);
    for (let at = 0; at <= bytes.length; at++) {
      assert.deepEqual(parse([bytes.slice(0, at), bytes.slice(at)]), expected, `${text} at ${at}`);
    }
    assert.deepEqual(
      parse(Array.from(bytes, (octet) => Uint8Array.of(octet))),
      expected,
      `${text} by octets`,
    );
  }
});

Deno.test("any well-formed reply is read back, at any split", () => {
  const text = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)),
    maxLength: 40,
  });
  const replies = fc.record({
    code: fc.integer({ min: 200, max: 599 }),
    subject: fc.integer({ min: 0, max: 999 }),
    lines: fc.array(text.filter((line) => !/^[245]\.\d/.test(line)), { minLength: 1, maxLength: 5 }),
  });
  fc.assert(
    fc.property(
      fc.array(replies, { minLength: 1, maxLength: 4 }),
      fc.array(fc.nat(400), { maxLength: 6 }),
      (all, cuts) => {
        let wire = "";
        const expected: RemoteReply[] = [];
        for (const { code, subject, lines } of all) {
          const classDigit = Math.floor(code / 100);
          const enhanced = classDigit === 3 ? "" : `${classDigit}.1.${subject}`;
          const shown = lines.map((line) => line.replace(/^ +/, ""));
          shown.forEach((line, at) => {
            wire += `${code}${at === shown.length - 1 ? " " : "-"}${
              enhanced === "" ? "" : `${enhanced} `
            }${line}\r\n`;
          });
          expected.push({ code, enhanced, lines: shown });
        }
        const bytes = encodeLatin1(wire);
        const places = [
          0,
          ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b),
          bytes.length,
        ];
        const chunks = places.slice(1).map((place, at) => bytes.slice(places[at], place));
        assert.deepEqual(parse(chunks), expected.map((reply) => ({ kind: "reply", reply })));
      },
    ),
  );
});

Deno.test("reset forgets what was read in clear", () => {
  const parser = new ReplyParser();
  parser.feed(encodeLatin1("220 go\r\n250-smuggled\r\n250 rep"));
  assert.equal(parser.next().kind, "reply");
  assert.ok(parser.unread);
  parser.reset();
  assert.ok(!parser.unread);
  parser.feed(encodeLatin1("250 real\r\n"));
  assert.deepEqual(parser.next(), reply(250, "", "real"));
});

Deno.test("a reply in one line is bounded", () => {
  assert.equal(replyText({ code: 550, enhanced: "5.1.1", lines: ["a", "", "b"] }), "550 5.1.1 a b");
  assert.ok(replyText({ code: 550, enhanced: "", lines: Array(200).fill("x".repeat(100)) }).length < 1_000);
});
