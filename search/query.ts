/**
 * What an index is asked, as FTS5 queries: the three-character pieces of a substring, or the words of a fuzzy search.
 *
 * The answer holds every message that matches and some that do not; the caller looks at each. Pure.
 */
import type { WantedWord } from "./words.ts";

/** Pieces of one needle; more hardly narrow it down. FTS5 takes a depth of 256. */
const MAX_PIECES = 64;

/** Header and body are indexed apart; a needle lies in one of them. */
export type IndexTable = "head" | "body" | "words";

/** Null for a needle under three characters, of which the index knows nothing. */
export function substringQuery(needle: string): string | null {
  const characters = [...needle];
  const pieces = new Set<string>();
  for (let at = 0; at + 2 < characters.length && pieces.size < MAX_PIECES; at++) {
    pieces.add(characters[at]! + characters[at + 1]! + characters[at + 2]!);
  }
  return pieces.size === 0 ? null : [...pieces].map(quoted).join(" AND ");
}

/** Null without a word. */
export function wordsQuery(wanted: readonly WantedWord[]): string | null {
  if (wanted.length === 0) return null;
  return wanted.map(({ word, prefix }) => quoted(word) + (prefix ? "*" : "")).join(" AND ");
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', '""')}"`;
}
