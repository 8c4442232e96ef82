/**
 * Character classes of the grammars as 256-entry tables, built from the ranges of their ABNF.
 *
 * A class is a `Uint8Array(256)` of 0 and 1: `ATEXT[octet] === 1`. Hot: a table is three times faster than
 * a chain of comparisons (bench/micro/char_class_bench.ts). `test/bytes/char_class_test.ts` prints each
 * class as a map and compares it with a golden file, so that a slipped range cannot hide.
 */

export type CharClass = Uint8Array;

/**
 * Builds a class from single characters and inclusive ranges.
 *
 * @example `charClass("az", "AZ", "09", "!")`: two characters are a range, one stands for itself.
 */
export function charClass(...ranges: (string | CharClass)[]): CharClass {
  const table = new Uint8Array(256);
  for (const range of ranges) {
    if (typeof range !== "string") {
      for (let i = 0; i < 256; i++) table[i]! |= range[i]!;
      continue;
    }
    const from = range.charCodeAt(0);
    const to = range.length === 2 ? range.charCodeAt(1) : from;
    for (let i = from; i <= to; i++) table[i] = 1;
  }
  return table;
}

/** `table` without the given characters. */
export function without(table: CharClass, characters: string): CharClass {
  const result = table.slice();
  for (let i = 0; i < characters.length; i++) result[characters.charCodeAt(i)] = 0;
  return result;
}

/** Offset of the first octet in `[start, end)` outside the class, or `end`. */
export function skipClass(bytes: Uint8Array, span: { start: number; end: number }, table: CharClass): number {
  let i = span.start;
  while (i < span.end && table[bytes[i]!] === 1) i++;
  return i;
}

/** UTF8-non-ascii, as single octets: %x80-FF. Well-formedness is checked where the value is decoded. */
export const NON_ASCII = charClass("\x80\xff");
/** DIGIT (RFC 5234 B.1). */
export const DIGIT = charClass("09");
/** ALPHA (RFC 5234 B.1). */
const ALPHA = charClass("az", "AZ");

/** atext (RFC 5322 3.2.3). */
const ATEXT = charClass(ALPHA, DIGIT, ..."!#$%&'*+-/=?^_`{|}~");
/** atext with UTF-8 (RFC 6532 3.2). */
export const ATEXT_UTF8 = charClass(ATEXT, NON_ASCII);
/** qtextSMTP (RFC 5321 4.1.2): what stands in a Quoted-string without a backslash. */
export const QTEXT_SMTP = charClass(" !", "#[", "]~");
/** Let-dig (RFC 5321 4.1.2). */
export const LET_DIG = charClass(ALPHA, DIGIT);
/** sub-domain characters: Let-dig and hyphen, and the underscore that real host names carry. */
export const SUB_DOMAIN = charClass(LET_DIG, "-", "_");
/** dcontent: inside an address literal (RFC 5321 4.1.3). */
export const DCONTENT = charClass("!Z", "^~");
/** esmtp-value (RFC 5321 4.1.2): %d33-60 / %d62-126; UTF-8 under RFC 6531 3.3. */
export const ESMTP_VALUE = charClass("!<", ">~");

/** ATOM-CHAR (RFC 9051 9): CHAR without atom-specials. */
export const ATOM_CHAR = without(charClass("!~"), '(){%*"\\]');
/** ASTRING-CHAR (RFC 9051 9): ATOM-CHAR and resp-specials. */
export const ASTRING_CHAR = charClass(ATOM_CHAR, "]");
/** list-char (RFC 9051 9): ATOM-CHAR, list-wildcards and resp-specials. */
export const LIST_CHAR = charClass(ATOM_CHAR, "%", "*", "]");
/** tag (RFC 9051 9): ASTRING-CHAR without "+". */
export const TAG_CHAR = without(ASTRING_CHAR, "+");
/** Octets allowed bare in an IMAP quoted string: TEXT-CHAR without quoted-specials. */
export const QUOTED_CHAR = without(charClass("\x01\x7f"), '\r\n"\\');
