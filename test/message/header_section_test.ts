/** The fast filter of header fields against the plain one over `scanFields`. */
import assert from "node:assert/strict";
import { headerFields } from "../../message/header_section.ts";
import { scanFields } from "../../message/header.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("latin1");

function plain(block: Uint8Array, names: ReadonlySet<string>, not: boolean): string {
  const chosen = scanFields(block, 0, block.length).filter((span) => names.has(span.name) !== not);
  return chosen.map((span) => decoder.decode(block.subarray(span.start, span.end))).join("") + "\r\n";
}

function both(text: string, names: ReadonlySet<string>): void {
  const block = encoder.encode(text);
  for (const not of [false, true]) {
    const got = decoder.decode(headerFields(block, names, { not }));
    assert.equal(got, plain(block, names, not), JSON.stringify({ text, not }));
  }
}

Deno.test("chosen fields come whole, in their order, whatever their case", () => {
  const block = encoder.encode("From: a@b\r\nX-A: 1\r\nSUBJECT : two\r\n lines\r\nTo: c\r\nDate: d\r\n\r\n");
  const names = new Set(["subject", "from", "to"]);
  assert.equal(
    decoder.decode(headerFields(block, names, { not: false })),
    "From: a@b\r\nSUBJECT : two\r\n lines\r\nTo: c\r\n\r\n",
  );
  assert.equal(decoder.decode(headerFields(block, names, { not: true })), "X-A: 1\r\nDate: d\r\n\r\n");
});

Deno.test("more fields than there was room for", () => {
  both(Array.from({ length: 500 }, (_, i) => `${i % 2 ? "To" : "X-No"}: ${i}\r\n`).join(""), new Set(["to"]));
});

Deno.test("every short block over a small alphabet is filtered as the plain way does", () => {
  const alphabet = ["a", "A", ":", " ", "\r\n", "\n", "\r", "b"];
  const names = new Set(["a", "ab", ""]);
  for (let length = 0; length <= 5; length++) {
    for (let word = 0; word < alphabet.length ** length; word++) {
      let text = "";
      for (let rest = word, i = 0; i < length; i++, rest = Math.floor(rest / alphabet.length)) {
        text += alphabet[rest % alphabet.length];
      }
      both(text, names);
    }
  }
});
