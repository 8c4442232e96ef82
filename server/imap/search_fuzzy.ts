/**
 * FUZZY (RFC 6203): a text key is met by words in any order, each there or the beginning of one that is; how well gives
 * the relevancy.
 *
 * Words are as search/words.ts has them: without case and marks. TEXT looks at the fields people read and at the body
 * as a reader sees it. A key without a word in it is matched exactly, as are keys that are not about text (RFC 6203 5).
 */
import type { SearchKey } from "../../protocols/imap/search_program.ts";
import { decodeNeedle, type MessageText } from "../../search/message_text.ts";
import { type WantedWord, wantedWords, wordMatch } from "../../search/words.ts";

export type TextKey = Extract<SearchKey, { kind: "header" | "body" | "text" }>;

/** What a place counts: a subject says more of a message than a word somewhere in it. */
const SUBJECT = 1, FIELDS = 0.8, BODY = 0.6, TOGETHER = 0.4;

/** Between 0 (not met) and 1; null where it is not met yet and more is to be read. */
export type FuzzyScore = (text: MessageText) => number | null;

/** The words of a key; null when it has none, or is not in UTF-8. */
export function wantedOf(key: TextKey): readonly WantedWord[] | null {
  const needle = decodeNeedle(key.needle);
  const wanted = needle === null ? [] : wantedWords(needle);
  return wanted.length === 0 ? null : wanted;
}

export function fuzzyScore(key: TextKey, wanted: readonly WantedWord[]): FuzzyScore {
  switch (key.kind) {
    case "header":
      return (text) => wordMatch(text.fieldWords(key.field), wanted);
    case "body":
      return (text) => metBy(text, wordMatch(text.bodyWords(), wanted));
    case "text":
      return (text) => {
        if (text.body === null) return null;
        const fields = text.fieldWords(null), body = text.bodyWords();
        return metBy(
          text,
          Math.max(
            SUBJECT * wordMatch(text.fieldWords("subject"), wanted),
            FIELDS * wordMatch(fields, wanted),
            BODY * wordMatch(body, wanted),
            TOGETHER * wordMatch(fields.union(body), wanted),
          ),
        );
      };
    default:
      return key satisfies never;
  }
}

function metBy(text: MessageText, score: number): number | null {
  return score > 0 || text.whole ? score : null;
}

/** 1 to 100, of what all fuzzy text keys of a search scored. */
export function relevancyOf(scores: readonly number[]): number {
  const met = scores.filter((score) => score > 0);
  const mean = met.reduce((sum, score) => sum + score, 0) / Math.max(1, met.length);
  return Math.max(1, Math.round(100 * mean));
}
