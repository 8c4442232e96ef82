/**
 * Comparators (RFC 4790, RFC 5228 2.7.3): how two strings compare, and what they are as a key for substrings.
 *
 * `i;unicode-casemap` is RFC 5051: each character in its upper case, then decomposed. `i;ascii-numeric` compares the
 * decimal number a string begins with, a string without one is larger than all; it knows no substrings. Pure.
 */
import { asciiCasemap, unicodeCasemap } from "../bytes/casemap.ts";

export interface Comparator {
  readonly name: string;
  /** `:contains`, `:matches` and `:regex` may be used with it. */
  readonly substrings: boolean;
  /** Equal keys are equal strings. */
  key(text: string): string;
  /** Below 0, 0, above 0. */
  compare(a: string, b: string): number;
  /** Upper and lower case are one. */
  readonly foldsCase: boolean;
}

/** In the order of code points, which is that of UTF-8. */
function order(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) return (a.codePointAt(i) ?? 0) - (b.codePointAt(i) ?? 0);
  }
  return a.length - b.length;
}

function textual(name: string, key: (text: string) => string, foldsCase: boolean): Comparator {
  return { name, substrings: true, key, foldsCase, compare: (a, b) => order(key(a), key(b)) };
}

/** RFC 4790 9.1: digits without leading zeros, so that any number of them compares; null is larger than all. */
function digitsOf(text: string): string | null {
  const digits = /^[0-9]+/.exec(text)?.[0];
  return digits === undefined ? null : digits.replace(/^0+(?=.)/, "");
}

function compareNumbers(a: string, b: string): number {
  const x = digitsOf(a);
  const y = digitsOf(b);
  if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
  return x.length !== y.length ? x.length - y.length : order(x, y);
}

export const ASCII_CASEMAP = textual("i;ascii-casemap", asciiCasemap, true);

export const COMPARATORS: ReadonlyMap<string, Comparator> = new Map(
  [
    ASCII_CASEMAP,
    textual("i;octet", (text) => text, false),
    textual("i;unicode-casemap", unicodeCasemap, true),
    {
      name: "i;ascii-numeric",
      substrings: false,
      foldsCase: false,
      key: (text: string) => digitsOf(text) ?? "",
      compare: compareNumbers,
    },
  ].map((comparator) => [comparator.name, comparator]),
);
