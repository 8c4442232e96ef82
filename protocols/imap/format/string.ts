/**
 * Strings in responses: quoted where that is legal, else a literal.
 *
 * RFC 3501 4.3: without UTF8=ACCEPT no octet above 0x7F stands in a quoted string. Text given here is encoded as
 * UTF-8 when it leaves, so a literal's size is counted in UTF-8 octets. Pure.
 */
import { encode } from "../../../bytes/decode.ts";

const PLAIN = /^[\x20\x21\x23-\x5b\x5d-\x7e]*$/;
// deno-lint-ignore no-control-regex
const QUOTABLE = /^[\x01-\x09\x0b\x0c\x0e-\x7f]*$/;
// deno-lint-ignore no-control-regex
const QUOTABLE_UTF8 = /^[^\x00\n\r\ud800-\udfff]*$/u;
const ASTRING = /^[!#$&'+,\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+$/;
/** Longer strings are literals. */
const MAX_QUOTED = 1_000;

/** string: quoted when it can be. `utf8`: the client takes UTF-8 in quoted strings (RFC 6855 3). */
export function formatString(text: string, utf8 = false): string {
  if (text.length <= MAX_QUOTED) {
    if (PLAIN.test(text)) return `"${text}"`;
    if (QUOTABLE.test(text) || (utf8 && QUOTABLE_UTF8.test(text))) {
      return `"${text.replace(/["\\]/g, "\\$&")}"`;
    }
  }
  return `{${encode(text).length}}\r\n${text}`;
}

/** nstring. */
export function formatNstring(text: string | null): string {
  return text === null ? "NIL" : formatString(text);
}

/** astring: an atom when it can be. */
export function formatAstring(text: string): string {
  return ASTRING.test(text) && text.toUpperCase() !== "NIL" ? text : formatString(text);
}
