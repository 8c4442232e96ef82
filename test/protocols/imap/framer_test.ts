/**
 * The framer against a plain model: every word over a small alphabet, whole, octet by octet and at every split,
 * and the limits one octet below, at and above.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../../bytes/decode.ts";
import { type Frame, Framer, type FramerLimits } from "../../../protocols/imap/framer.ts";

const LIMITS: FramerLimits = {
  lineOctets: 1_000,
  literalOctets: 4,
  commandOctets: 100,
  discardOctets: 1_000,
};

/** What the framer finds when literals that fit are kept and others refused. */
function frames(chunks: readonly Uint8Array[], limits: FramerLimits): string[] {
  const framer = new Framer(limits);
  const found: string[] = [];
  for (const chunk of chunks) {
    const borrowed = chunk.slice();
    framer.feed(borrowed);
    let frame: Frame;
    while ((frame = framer.next()) !== "need-input") {
      if (frame === "command") found.push(latin1(framer.bytes, framer.start, framer.end));
      else if (frame === "literal") {
        if (framer.literalFits) framer.keepLiteral();
        else {
          if (!framer.nonSync) found.push("refused");
          framer.refuse();
        }
      } else found.push(frame);
      if (frame === "overrun") return found;
    }
    borrowed.fill(0x3f);
  }
  return found;
}

/** The same by searching the whole text: slow and plain. */
function model(text: string): string[] {
  const found: string[] = [];
  let start = 0, at = 0;
  let dropping = false;
  for (;;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return found;
    const literal = /\{(\d+)(\+?)\}$/.exec(text.slice(at, end));
    at = end + 2;
    if (literal === null) {
      found.push(dropping ? "discarded" : text.slice(start, end));
      start = at;
      dropping = false;
      continue;
    }
    const size = Number(literal[1]);
    const nonSync = literal[2] === "+";
    const fits: boolean = !dropping && size <= LIMITS.literalOctets &&
      at - start + size <= LIMITS.commandOctets;
    if (!fits && !nonSync) {
      found.push(dropping ? "discarded" : "refused");
      start = at;
      dropping = false;
      continue;
    }
    dropping ||= !fits;
    if (text.length - at < size) return found;
    at += size;
  }
}

Deno.test("every word over a small alphabet at every split", () => {
  const tokens = ["\r", "\n", "\r\n", "a", "{1}", "{2+}", "{9+}", "{9}"];
  let words = [""];
  let count = 0;
  for (let length = 1; length <= 5; length++) {
    words = words.flatMap((word) => tokens.map((token) => word + token));
    for (const word of words) {
      const octets = encodeLatin1(word + "\r\nz\r\n");
      const expected = model(word + "\r\nz\r\n");
      const check = (chunks: Uint8Array[]) => {
        count++;
        const found = frames(chunks, LIMITS);
        if (found.join("|") !== expected.join("|")) {
          assert.deepEqual(
            found,
            expected,
            `${JSON.stringify(word)} as ${JSON.stringify(chunks.map((c) => latin1(c)))}`,
          );
        }
      };
      check([octets]);
      check([...octets].map((octet) => new Uint8Array([octet])));
      if (length === 5) continue;
      for (let at = 1; at < octets.length; at++) check([octets.subarray(0, at), octets.subarray(at)]);
    }
  }
  assert.ok(count > 100_000);
});

Deno.test("limits are exact", () => {
  const limits: FramerLimits = { lineOctets: 10, literalOctets: 8, commandOctets: 20, discardOctets: 30 };
  const cases: [string, string[]][] = [
    ["12345678\r\n", ["12345678"]],
    ["123456789\r\n", ["too-long", "discarded"]],
    ["1{8+}\r\n12345678\r\n", ["1{8+}\r\n12345678"]],
    ["1{9+}\r\n123456789\r\n", ["discarded"]],
    ["1{8+}\r\n123456781\r\n", ["1{8+}\r\n123456781"]],
    ["1{8+}\r\n1234567812\r\n", ["too-long", "discarded"]],
    ["1{99999}\r\nx\r\n", ["refused", "x"]],
    ["1{9+}\r\n123456789012345678901234567890\r\n", ["overrun"]],
    ["1{}\r\n", ["1{}"]],
    ["1{a}\r\n", ["1{a}"]],
    ["1{+}\r\n", ["1{+}"]],
    ["1{0}\r\n\r\n", ["1{0}\r\n"]],
    ["{8+}\r\n{8+}\r\n12\r\n", ["{8+}\r\n{8+}\r\n12"]],
  ];
  for (const [text, expected] of cases) {
    const octets = encodeLatin1(text);
    assert.deepEqual(frames([octets], limits), expected, text);
    assert.deepEqual(frames([...octets].map((octet) => new Uint8Array([octet])), limits), expected, text);
  }
});

Deno.test("a streamed literal comes in pieces and the command goes on behind it", () => {
  const text = "a APPEND x {11+}\r\nhello\r\nbye!tail\r\nb NOOP\r\n";
  for (let at = 0; at <= text.length; at++) {
    const framer = new Framer(LIMITS);
    let data = "";
    const seen: string[] = [];
    for (const part of [text.slice(0, at), text.slice(at)]) {
      framer.feed(encodeLatin1(part));
      for (let frame = framer.next(); frame !== "need-input"; frame = framer.next()) {
        const span = latin1(framer.bytes, framer.start, framer.end);
        if (frame === "literal") framer.streamLiteral();
        else if (frame === "data") data += span;
        else seen.push(frame === "command" ? span : frame);
      }
    }
    assert.equal(data, "hello\r\nbye!");
    assert.deepEqual(seen, ["data-end", "tail", "b NOOP"]);
  }
});

Deno.test("a boundary is a place where nothing of a command has come", () => {
  const framer = new Framer(LIMITS);
  assert.ok(framer.atBoundary);
  framer.feed(encodeLatin1("a"));
  framer.next();
  assert.ok(!framer.atBoundary);
  framer.dropInput();
  assert.ok(framer.atBoundary);
});
