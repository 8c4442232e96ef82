/**
 * Named octets and ASCII case folding, shared by every grammar.
 *
 * Only ASCII is folded here: octets of 0x80 and above are never touched (RFC 5321 2.4, RFC 9051 4.3).
 */

export const NUL = 0x00;
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SP = 0x20;
export const DQUOTE = 0x22;
export const DOLLAR = 0x24;
export const LPAREN = 0x28;
export const RPAREN = 0x29;
export const STAR = 0x2a;
export const PLUS = 0x2b;
export const COMMA = 0x2c;
export const HYPHEN = 0x2d;
export const DOT = 0x2e;
export const COLON = 0x3a;
export const LESS = 0x3c;
export const EQUAL = 0x3d;
export const GREATER = 0x3e;
export const AT = 0x40;
export const LBRACKET = 0x5b;
export const BACKSLASH = 0x5c;
export const RBRACKET = 0x5d;
export const LBRACE = 0x7b;
export const RBRACE = 0x7d;
export const TILDE = 0x7e;

/** The two octets that end a line. Shared and never to be written to. */
export const CRLF: Uint8Array = new Uint8Array([CR, LF]);

/** Lower-case ASCII letter for an upper-case one, every other octet unchanged. */
export function lower(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
}

/** Upper-case ASCII letter for a lower-case one, every other octet unchanged. */
export function upper(octet: number): number {
  return octet >= 0x61 && octet <= 0x7a ? octet & 0xdf : octet;
}

export function isDigit(octet: number): boolean {
  return octet >= 0x30 && octet <= 0x39;
}

export function isLetter(octet: number): boolean {
  const folded = octet | 0x20;
  return folded >= 0x61 && folded <= 0x7a;
}

/** SP or HTAB: the white space of RFC 5234 (WSP). */
export function isWsp(octet: number): boolean {
  return octet === SP || octet === TAB;
}

/** True when the octets of `[start, end)` spell `word` (given in lower case), ASCII case folded. */
export function equalsFolded(bytes: Uint8Array, span: { start: number; end: number }, word: string): boolean {
  const { start, end } = span;
  if (end - start !== word.length) return false;
  for (let i = 0; i < word.length; i++) {
    if (lower(bytes[start + i]!) !== word.charCodeAt(i)) return false;
  }
  return true;
}
