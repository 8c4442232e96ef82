/** Lines of base64, against the platform's own encoder. */
import { deepStrictEqual as equal } from "node:assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { encodeBase64Lines, OCTETS_PER_LINE } from "../../bytes/base64.ts";
import { latin1 } from "../../bytes/decode.ts";

Deno.test("property: the platform's base64 in lines of 76, each with its end", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    const out = new Uint8Array(Math.ceil(bytes.length / OCTETS_PER_LINE) * 78);
    const length = encodeBase64Lines(bytes, out);
    const whole = Buffer.from(bytes).toString("base64");
    equal(latin1(out, 0, length), (whole.match(/.{1,76}/g) ?? []).map((line) => `${line}\r\n`).join(""));
  }));
});
