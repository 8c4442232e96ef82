/**
 * A sketch of a text that nearly the same text has too: the smallest hashes of its runs of five words, in three families.
 *
 * Two texts share a number of the sketch about as often as they share runs of words. Newsletters are copies of each other too, so a
 * copy means something only where somebody reported one. Hot: bench/micro/spam_bench.ts.
 */
import { hashOf, hashOfSpan } from "./learner/tokens.ts";
import type { Mail } from "./mail.ts";

export const SKETCH_SIZE = 3;
const RUN = 5;
const MIN_WORDS = 20;
const MAX_CHARACTERS = 20_000;
const KIND = 0x200;

/** Empty for texts too short to be told apart. */
export function sketchOf(mail: Mail): number[] {
  const { codes, starts } = wordsOf(mail.text.slice(0, MAX_CHARACTERS).toLowerCase());
  const words = starts.length - 1;
  if (words < MIN_WORDS) return [];
  const least = new Array<number>(SKETCH_SIZE).fill(0xffffffff);
  for (let i = 0; i + RUN <= words; i++) {
    const hash = hashOfSpan(codes, { start: starts[i]!, end: starts[i + RUN]! - 1, kind: KIND });
    for (let family = 0; family < SKETCH_SIZE; family++) {
      const value = Math.imul(hash ^ (family * 0x9e3779b1), 0x85ebca6b) >>> 0;
      if (value < least[family]!) least[family] = value;
    }
  }
  return least.map((value, family) => hashOf(`${family} ${value}`, KIND));
}

/** Words of at least two letters with one space behind each, where each begins, and where the next would. */
function wordsOf(text: string): { readonly codes: Uint16Array; readonly starts: readonly number[] } {
  // deno-lint-ignore no-control-regex
  return /^[\x00-\x7f]*$/.test(text) ? asciiWords(text) : lettersOf(text);
}

function asciiWords(text: string): { readonly codes: Uint16Array; readonly starts: readonly number[] } {
  const codes = new Uint16Array(text.length + 1);
  const starts = [0];
  let start = 0;
  let at = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : 0x20;
    if (code >= 0x61 && code <= 0x7a) {
      codes[at++] = code;
      continue;
    }
    if (at - start < 2) {
      at = start;
      continue;
    }
    codes[at++] = 0x20;
    starts.push(at);
    start = at;
  }
  return { codes, starts };
}

function lettersOf(text: string): { readonly codes: Uint16Array; readonly starts: readonly number[] } {
  const words = text.match(/[\p{L}]{2,}/gu) ?? [];
  const codes = new Uint16Array(words.reduce((sum, { length }) => sum + length + 1, 0));
  const starts = [0];
  let at = 0;
  for (const word of words) {
    for (let i = 0; i < word.length; i++) codes[at++] = word.charCodeAt(i);
    codes[at++] = 0x20;
    starts.push(at);
  }
  return { codes, starts };
}
