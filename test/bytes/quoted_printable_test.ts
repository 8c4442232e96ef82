/** Quoted-printable: RFC 2045 6.7 as table, and encoding as the inverse of decoding. */
import { deepStrictEqual as equal, ok } from "node:assert";
import fc from "fast-check";
import { encode, encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { decodeQuotedPrintable, QuotedPrintableEncoder } from "../../bytes/quoted_printable.ts";

const DECODED: [encoded: string, octets: string][] = [
  ["a=3Db", "a=b"],
  ["a=e4=E4", "a\xe4\xe4"],
  ["a=\r\nb", "ab"],
  ["a=  \r\nb", "ab"],
  ["a=\nb", "ab"],
  ["a=", "a"],
  ["a=zz", "a=zz"],
  ["a=4", "a=4"],
  ["a \t\r\nb", "a\r\nb"],
  ["a=20\r\nb", "a \r\nb"],
  ["a=09 \r\nb", "a\t\r\nb"],
  ["a =\r\n\r\nb", "a \r\nb"],
  ["a=0D\nb", "a\r\nb"],
];

for (const [encoded, octets] of DECODED) {
  Deno.test(`decode ${JSON.stringify(encoded)}`, () => {
    equal(latin1(decodeQuotedPrintable(encode(encoded))), octets);
  });
}

Deno.test("property: what was encoded decodes to itself, in lines of 76", () => {
  const octets = fc.array(fc.constantFrom("a", " ", "\t", "=", "\r\n", "\xff", "x".repeat(74)), {
    maxLength: 20,
  })
    .map((parts) => encodeLatin1(parts.join("")));
  fc.assert(
    fc.property(octets, fc.nat(), (bytes, cut) => {
      const encoded = latin1(new QuotedPrintableEncoder().push(bytes, true));
      const pieces = new QuotedPrintableEncoder();
      const at = cut % (bytes.length + 1);
      const first = latin1(pieces.push(bytes.subarray(0, at), false));
      equal(first + latin1(pieces.push(bytes.subarray(at), true)), encoded);
      equal(decodeQuotedPrintable(encode(encoded)), new Uint8Array(bytes));
      ok(encoded.split("\r\n").every((line) => line.length <= 76));
    }),
    { numRuns: 2_000 },
  );
});
