/** What is handed out of a message, and what is not. */
import assert from "node:assert/strict";
import { encode, latin1 } from "../../../bytes/decode.ts";
import { MessageData } from "../../../protocols/smtp/message_data.ts";

/** Spans handed out, each with the refusal there was behind it. */
function spans(chunks: readonly string[], options: { limit: number; convert: boolean }): [string, number][] {
  const data = new MessageData(options.limit);
  data.open(options.convert ? "convert" : "refuse");
  const found: [string, number][] = [];
  for (const octets of chunks.map(encode)) {
    for (let at = 0; at < octets.length;) {
      at = data.readData(octets, at, octets.length);
      found.push([latin1(data.bytes, data.start, data.end), data.refusal?.code ?? 0]);
    }
  }
  return found;
}

Deno.test("nothing is handed out once a message is refused", () => {
  assert.deepEqual(spans(["ab", "\ncd", "ef\r\n"], { limit: 100, convert: false }), [
    ["ab", 0],
    ["", 554],
    ["", 554],
  ]);
  assert.deepEqual(spans(["ab\r\n", "cd\r\n", "e"], { limit: 7, convert: false }), [
    ["ab\r\n", 0],
    ["", 552],
    ["", 552],
  ]);
});

Deno.test("size is counted as it will be stored", () => {
  assert.deepEqual(spans(["a\n", "b\n"], { limit: 5, convert: true }), [["a\r\n", 0], ["", 552]]);
  assert.deepEqual(spans(["..\r\n"], { limit: 3, convert: false }), [[".\r\n", 0]]);
});

Deno.test("octets that need no change are handed out where they lie", () => {
  const data = new MessageData(100);
  data.open("convert");
  const octets = encode("a\r\nb\r\n");
  data.readData(octets, 0, octets.length);
  assert.equal(data.bytes, octets);
});
