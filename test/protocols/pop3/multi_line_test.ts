/** Dot-stuffing against the plain version: every word over `.`, CR, LF and `a`, at every split. */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import { MultiLine } from "../../../protocols/pop3/multi_line.ts";

const LETTERS = [".", "\r", "\n", "a"];
const LONGEST = 6;

function* words(length: number): Generator<string> {
  if (length === 0) yield "";
  else for (const word of words(length - 1)) for (const letter of LETTERS) yield word + letter;
}

/** RFC 1939 3, one line at a time. */
function oracle(text: string, lines = Infinity): string {
  const parts = text.split("\r\n");
  const open = parts.pop()!;
  let body = parts.slice(0, lines).map((line) => `${line}\r\n`).join("");
  if (parts.length < lines) body += open;
  const stuffed = body.split("\r\n").map((line) => line.startsWith(".") ? `.${line}` : line).join("\r\n");
  return stuffed + (body === "" || body.endsWith("\r\n") ? ".\r\n" : "\r\n.\r\n");
}

Deno.test("a body in any two pieces is stuffed as the whole", () => {
  for (let length = 0; length <= LONGEST; length++) {
    for (const word of words(length)) {
      const octets = encodeLatin1(word);
      const expected = oracle(word);
      for (let at = 0; at <= length; at++) {
        const out = new Out();
        const body = new MultiLine(out);
        body.write(octets, 0, at);
        body.write(octets, at, length);
        body.end();
        assert.equal(latin1(out.take()), expected, `${JSON.stringify(word)} cut at ${at}`);
      }
    }
  }
});

Deno.test("octets that are accepted as they stand are those that need no stuffing", () => {
  for (let length = 0; length <= LONGEST; length++) {
    for (const word of words(length)) {
      const octets = encodeLatin1(word);
      for (let at = 0; at <= length; at++) {
        const out = new Out();
        const body = new MultiLine(out);
        body.write(octets, 0, at);
        if (body.accept(octets.subarray(at))) out.octets(octets, at, length);
        else body.write(octets, at, length);
        body.end();
        assert.equal(latin1(out.take()), oracle(word), `${JSON.stringify(word)} cut at ${at}`);
      }
    }
  }
});

Deno.test("a number of lines, in any two pieces", () => {
  for (let length = 0; length <= LONGEST; length++) {
    for (const word of words(length)) {
      const octets = encodeLatin1(word);
      for (let lines = 0; lines <= 2; lines++) {
        for (let at = 0; at <= length; at++) {
          const out = new Out();
          const body = new MultiLine(out);
          const left = body.writeLines(octets, { start: 0, end: at }, lines);
          body.writeLines(octets, { start: at, end: length }, left);
          body.end();
          const where = `${JSON.stringify(word)}, ${lines} lines, cut at ${at}`;
          assert.equal(latin1(out.take()), oracle(word, lines), where);
        }
      }
    }
  }
});
