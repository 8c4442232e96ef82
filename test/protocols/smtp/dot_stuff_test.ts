/** Outgoing dot-stuffing: every word over a small alphabet, at every split, is read back by our own reader of data. */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../../bytes/decode.ts";
import { Out } from "../../../bytes/out.ts";
import { DataReader } from "../../../protocols/smtp/data_reader.ts";
import { DotStuffer } from "../../../protocols/smtp/dot_stuff.ts";

const ALPHABET = [".", "\r", "\n", "a"];
const LENGTH = 6;

function stuffed(chunks: readonly Uint8Array[]): string {
  const out = new Out();
  const stuffer = new DotStuffer(out);
  for (const chunk of chunks) stuffer.push(chunk);
  stuffer.finish();
  return latin1(out.take());
}

/** The plain version: lines by any line end, each with CRLF, dots doubled. */
function oracle(text: string): string {
  if (text === "") return ".\r\n";
  const lines = text.split(/\r\n|\r|\n/);
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => `${line.startsWith(".") ? "." : ""}${line}\r\n`).join("") + ".\r\n";
}

function* words(length: number): Generator<string> {
  if (length === 0) {
    yield "";
    return;
  }
  for (const rest of words(length - 1)) for (const letter of ALPHABET) yield rest + letter;
}

Deno.test("every word at every split goes out as the plain version has it", () => {
  for (let length = 0; length <= LENGTH; length++) {
    for (const word of words(length)) {
      const bytes = encodeLatin1(word);
      const expected = oracle(word);
      for (let at = 0; at <= length; at++) {
        assert.equal(
          stuffed([bytes.subarray(0, at), bytes.subarray(at)]),
          expected,
          JSON.stringify([word, at]),
        );
      }
      assert.equal(
        stuffed(Array.from(bytes, (octet) => Uint8Array.of(octet))),
        expected,
        JSON.stringify(word),
      );
    }
  }
});

Deno.test("no line end but CRLF leaves, and the end stands once", () => {
  for (const word of words(LENGTH)) {
    const wire = stuffed([encodeLatin1(word)]);
    assert.doesNotMatch(wire, /(^|[^\r])\n|\r([^\n]|$)/);
    assert.equal(`\r\n${wire}`.indexOf("\r\n.\r\n"), wire.length - 3, JSON.stringify(word));
  }
});

Deno.test("long lines and large pieces pass unchanged", () => {
  const text = `${"x".repeat(200_000)}\r\n.${"y".repeat(70_000)}\r\n`;
  assert.equal(stuffed([encodeLatin1(text)]), `${"x".repeat(200_000)}\r\n..${"y".repeat(70_000)}\r\n.\r\n`);
});

Deno.test("our own reader of data gets every word back, its line ends as CRLF, and nothing behind it", () => {
  for (const word of words(LENGTH)) {
    const wire = encodeLatin1(stuffed([encodeLatin1(word)]) + "QUIT\r\n");
    const reader = new DataReader();
    let read = "";
    let at = 0;
    while (!reader.done && at < wire.length) {
      at = reader.next(wire, at, wire.length);
      read += latin1(reader.bytes, reader.start, reader.end);
    }
    assert.ok(reader.done);
    assert.ok(!reader.bare);
    assert.equal(latin1(wire, at), "QUIT\r\n");
    const lines = word.split(/\r\n|\r|\n/);
    if (lines.at(-1) === "") lines.pop();
    assert.equal(read, lines.map((line) => `${line}\r\n`).join(""), JSON.stringify(word));
  }
});
