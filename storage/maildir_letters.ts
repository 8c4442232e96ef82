/** Flags as the info letters of a Maildir's files, behind `:2,` in their names. */
import { FLAG_ANSWERED, FLAG_DELETED, FLAG_DRAFT, FLAG_FLAGGED, FLAG_SEEN } from "./changes.ts";

/** In the order in which they stand, that of ASCII. */
export const MAILDIR_LETTERS: readonly (readonly [letter: string, flag: number])[] = [
  ["D", FLAG_DRAFT],
  ["F", FLAG_FLAGGED],
  ["R", FLAG_ANSWERED],
  ["S", FLAG_SEEN],
  ["T", FLAG_DELETED],
];

export function maildirLetters(flags: number): string[] {
  return MAILDIR_LETTERS.filter(([, flag]) => (flags & flag) !== 0).map(([letter]) => letter);
}
