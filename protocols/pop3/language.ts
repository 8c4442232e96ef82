/**
 * Languages of the texts behind +OK and -ERR (RFC 6856 3): English only, so far.
 *
 * A range matches by lookup (RFC 4647 3.4): subtags are cut off its end until a language fits, so that `en-GB` gets
 * English instead of a refusal. `*` is the server's choice.
 */

export interface Language {
  readonly tag: string;
  /** In the language itself. */
  readonly name: string;
  /** Says that it was chosen. */
  readonly changed: string;
}

const ENGLISH: Language = { tag: "en", name: "English", changed: "Language changed" };

export const LANGUAGES: readonly Language[] = [ENGLISH];

/** The language for a range, or null. */
export function matchLanguage(range: string): Language | null {
  if (range === "*") return ENGLISH;
  for (let tag = range.toLowerCase(); tag !== ""; tag = tag.slice(0, Math.max(0, tag.lastIndexOf("-")))) {
    const language = LANGUAGES.find((candidate) => candidate.tag === tag);
    if (language !== undefined) return language;
  }
  return null;
}
