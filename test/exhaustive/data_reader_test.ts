/**
 * End of data and line ends over every word of up to eight octets of `.`, CR, LF and `a`: whole, at every two-way split and octet
 * by octet, against an oracle that says it plainly.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { DataReader } from "../../protocols/smtp/data_reader.ts";
import { LineEndChecker, LineEndConverter } from "../../protocols/smtp/line_ends.ts";

const ALPHABET = [".", "\r", "\n", "a"];
const LONGEST = 8;

interface Read {
  readonly text: string;
  readonly done: boolean;
  readonly used: number;
  readonly bare: boolean;
}

/**
 * The end is the first CRLF.CRLF, where CRLF stands before the first octet; of the rest a dot goes at each start of a
 * line. A CR or LF is bare outside CRLF. Without an end, what may still become one is held back.
 */
function oracle(word: string): Read {
  const whole = "\r\n" + word;
  const end = whole.indexOf("\r\n.\r\n");
  const done = end >= 0;
  let data = done ? whole.slice(0, end + 2) : whole;
  if (!done && data.endsWith("\r\n.\r")) data = data.slice(0, -1);
  // A CR that ends the input may still be half of a CRLF.
  const judged = done || !data.endsWith("\r") ? data : data.slice(0, -1);
  return {
    text: data.replaceAll("\r\n.", "\r\n").slice(2),
    done,
    used: done ? end + 3 : word.length,
    bare: /[\r\n]/.test(judged.replaceAll("\r\n", "")),
  };
}

function read(chunks: readonly Uint8Array[]): Read {
  const reader = new DataReader();
  let text = "";
  let used = 0;
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length && !reader.done;) {
      const next = reader.next(chunk, at, chunk.length);
      used += next - at;
      at = next;
      text += latin1(reader.bytes, reader.start, reader.end);
    }
  }
  return { text, done: reader.done, used, bare: reader.bare };
}

function checked(chunks: readonly Uint8Array[]): boolean {
  const checker = new LineEndChecker();
  for (const chunk of chunks) checker.push(chunk, 0, chunk.length);
  checker.finish();
  return checker.bare;
}

function converted(chunks: readonly Uint8Array[]): string {
  const converter = new LineEndConverter();
  let text = "";
  for (const chunk of chunks) {
    converter.push(chunk, 0, chunk.length);
    text += latin1(converter.bytes, converter.start, converter.end);
  }
  converter.finish();
  return text + latin1(converter.bytes, converter.start, converter.end);
}

function* words(): Generator<string> {
  let current = [""];
  for (let length = 0; length <= LONGEST; length++) {
    yield* current;
    current = current.flatMap((word) => ALPHABET.map((letter) => word + letter));
  }
}

function* cuts(octets: Uint8Array): Generator<Uint8Array[]> {
  yield [octets];
  for (let at = 1; at < octets.length; at++) yield [octets.subarray(0, at), octets.subarray(at)];
  yield [...octets].map((_octet, at) => octets.subarray(at, at + 1));
}

/** Compared by hand: `deepEqual` of 800,000 small objects takes minutes. */
function differ(a: Read, b: Read): boolean {
  return a.text !== b.text || a.done !== b.done || a.used !== b.used || a.bare !== b.bare;
}

Deno.test("the end of data is CRLF.CRLF in every word and at every cut", () => {
  let ends = 0;
  for (const word of words()) {
    const expected = oracle(word);
    if (expected.done) ends++;
    for (const chunks of cuts(encodeLatin1(word))) {
      const got = read(chunks);
      if (differ(got, expected)) {
        assert.deepEqual(got, expected, JSON.stringify([word, chunks.map((chunk) => latin1(chunk))]));
      }
    }
  }
  assert.ok(ends > 1_000);
});

Deno.test("NUL in the data is noticed in every short word and at every cut, and what lies behind the end is not looked at", () => {
  let short = [""];
  for (let length = 0; length < 6; length++) {
    short = short.flatMap((word) => [".", "\r", "\n", "\0"].map((letter) => word + letter));
    for (const word of short) {
      const octets = encodeLatin1(word + "a\r\n.\r\n\0");
      for (const chunks of cuts(octets)) {
        const reader = new DataReader();
        let text = "";
        for (const chunk of chunks) {
          for (let at = 0; at < chunk.length && !reader.done;) {
            at = reader.next(chunk, at, chunk.length);
            text += latin1(reader.bytes, reader.start, reader.end);
          }
        }
        assert.equal(reader.nul, text.includes("\0"), JSON.stringify(word));
        const checker = new LineEndChecker();
        for (const chunk of chunks) checker.push(chunk, 0, chunk.length);
        if (!checker.bare) assert.equal(checker.nul, true, JSON.stringify(word));
      }
    }
  }
});

Deno.test("bare line ends are noticed and converted in every word and at every cut", () => {
  for (const word of words()) {
    const bare = /[\r\n]/.test(word.replaceAll("\r\n", ""));
    const crlf = word.replace(/\r\n|\r|\n/g, "\r\n");
    for (const chunks of cuts(encodeLatin1(word))) {
      if (checked(chunks) === bare && converted(chunks) === crlf) continue;
      assert.deepEqual([checked(chunks), converted(chunks)], [bare, crlf], JSON.stringify(word));
    }
  }
});
