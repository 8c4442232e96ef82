/**
 * Strings in IMAP's wire form for ENVELOPE and BODYSTRUCTURE: always quoted, always ASCII.
 *
 * RFC 3501 4.3 and 9. Without UTF8=ACCEPT no 8-bit octet may stand in a quoted string, so raw 8-bit text of a header
 * becomes an encoded word; control characters become spaces.
 */
import { decodeRaw, encodeHeaderText } from "./encoded_word.ts";

/** What most texts are: nothing to encode, nothing to escape. */
const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;

/** A quoted string of a header text (one character per octet). */
export function quoted(value: string): string {
  if (PLAIN.test(value)) return `"${value}"`;
  if (/[^\x20-\x7e]/.test(value)) value = ascii(value);
  return /["\\]/.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : `"${value}"`;
}

export function nstring(value: string | null | undefined): string {
  return value === null || value === undefined ? "NIL" : quoted(value);
}

function ascii(value: string): string {
  // deno-lint-ignore no-control-regex
  const plain = decodeRaw(value.replace(/[\x00-\x1f\x7f]+/g, " "));
  return encodeHeaderText(plain);
}
