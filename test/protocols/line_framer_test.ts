/** Lines over every word of up to eight octets of CR, LF and `a`, at every cut, against a plain oracle. */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { LineFramer } from "../../protocols/line_framer.ts";

const LIMIT = 5;

/** Lines end with CRLF; one of more than five octets with its CRLF is too long. */
function oracle(word: string): string[] {
  const lines = word.split("\r\n");
  lines.pop();
  return lines.map((line) => line.length + 2 > LIMIT ? "too long" : line);
}

function frame(chunks: readonly Uint8Array[]): string[] {
  const framer = new LineFramer(LIMIT);
  const lines: string[] = [];
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length;) {
      at = framer.next(chunk, at, chunk.length);
      if (framer.result === "line") lines.push(latin1(framer.bytes, framer.start, framer.end));
      if (framer.result === "too-long") lines.push("too long");
    }
  }
  return lines;
}

Deno.test("only CRLF ends a line, at every cut, and a long one is reported once", () => {
  let words = [""];
  for (let length = 0; length <= 8; length++) {
    for (const word of words) {
      const octets = encodeLatin1(word);
      const expected = oracle(word);
      const cuts = [[octets], [...octets].map((_octet, at) => octets.subarray(at, at + 1))];
      for (let at = 1; at < octets.length; at++) cuts.push([octets.subarray(0, at), octets.subarray(at)]);
      for (const chunks of cuts) assert.deepEqual(frame(chunks), expected, JSON.stringify(word));
    }
    words = words.flatMap((word) => ["\r", "\n", "a"].map((letter) => word + letter));
  }
});

Deno.test("a line cut by chunks does not keep what it borrowed", () => {
  const framer = new LineFramer(100);
  const first = encodeLatin1("one t");
  framer.next(first, 0, first.length);
  assert.equal(framer.partial, true);
  first.fill(0x58);
  const second = encodeLatin1("wo\r\nrest");
  assert.equal(framer.next(second, 0, second.length), 4);
  assert.equal(latin1(framer.bytes, framer.start, framer.end), "one two");
  assert.equal(framer.partial, false);
});

Deno.test("reset forgets a started line", () => {
  const framer = new LineFramer(100);
  const evil = encodeLatin1("MAIL FROM:<evil@exa");
  framer.next(evil, 0, evil.length);
  framer.reset();
  const good = encodeLatin1("NOOP\r\n");
  framer.next(good, 0, good.length);
  assert.equal(latin1(framer.bytes, framer.start, framer.end), "NOOP");
});
