/** Encodings of message bodies: 64 kB each way. */
import { decodeBase64Body, encodeBase64Lines, OCTETS_PER_LINE } from "../../bytes/base64.ts";
import { latin1, utf8OrNull } from "../../bytes/decode.ts";
import { decodeQuotedPrintable } from "../../bytes/quoted_printable.ts";

const SIZE = 64 * 1024;
const octets = Uint8Array.from({ length: SIZE - SIZE % OCTETS_PER_LINE }, (_, at) => at * 31 % 251);
const lines = new Uint8Array(octets.length / OCTETS_PER_LINE * 78);
const base64 = lines.subarray(0, encodeBase64Lines(octets, lines));
const quotedPrintable = new TextEncoder().encode(
  "Veredus ist das schnelle Postpferd der R=C3=B6mer, und so l=C3=A4uft es auch.=\r\n".repeat(SIZE / 80),
);

Deno.bench("base64, lines of 76", () => {
  encodeBase64Lines(octets, lines);
});
Deno.bench("base64, decoded", () => {
  decodeBase64Body(base64);
});
Deno.bench("quoted-printable, decoded", () => {
  decodeQuotedPrintable(quotedPrintable);
});
Deno.bench("octets to text, one character each", () => {
  latin1(quotedPrintable);
});
Deno.bench("octets to text, UTF-8 checked", () => {
  utf8OrNull(quotedPrintable);
});
