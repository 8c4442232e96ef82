/**
 * A sketch of a text that nearly the same text has too: the smallest hashes of its runs of five words, in three families.
 *
 * Two texts share a number of the sketch about as often as they share runs of words. Newsletters are copies of each other too, so a
 * copy means something only where somebody reported one.
 */
import { hashOf } from "./learner/tokens.ts";
import type { Mail } from "./mail.ts";

export const SKETCH_SIZE = 3;
const RUN = 5;
const MIN_WORDS = 20;
const MAX_CHARACTERS = 20_000;
const KIND = 0x200;

/** Empty for texts too short to be told apart. */
export function sketchOf(mail: Mail): number[] {
  const words = mail.text.slice(0, MAX_CHARACTERS).toLowerCase().match(/[\p{L}]{2,}/gu) ?? [];
  if (words.length < MIN_WORDS) return [];
  const least = new Array<number>(SKETCH_SIZE).fill(0xffffffff);
  for (let i = 0; i + RUN <= words.length; i++) {
    const hash = hashOf(words.slice(i, i + RUN).join(" "), KIND);
    for (let family = 0; family < SKETCH_SIZE; family++) {
      const value = Math.imul(hash ^ (family * 0x9e3779b1), 0x85ebca6b) >>> 0;
      if (value < least[family]!) least[family] = value;
    }
  }
  return least.map((value, family) => hashOf(`${family} ${value}`, KIND));
}
