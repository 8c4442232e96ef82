/**
 * Text as words for the fuzzy search (RFC 6203): without case, marks and compatibility forms, in any script.
 *
 * Index, query and scan share this one idea of a word. Scripts that are written without gaps (Han, Kana, Thai and
 * the like) give overlapping pairs of characters, so that any two characters next to each other are found. Pure.
 */

/** Longer runs of letters are no words: encoded data. They count by their beginning. */
export const MAX_WORD = 64;
/** Words of one message; what comes behind is not found by fuzzy searches. */
export const MAX_WORDS = 20_000;

const GAPLESS = "\\p{sc=Han}\\p{sc=Hira}\\p{sc=Kana}\\p{sc=Thai}\\p{sc=Lao}\\p{sc=Khmr}\\p{sc=Mymr}";
const PIECES = new RegExp(`[${GAPLESS}]+|(?:(?![${GAPLESS}])[\\p{L}\\p{N}])+`, "gu");
const IS_GAPLESS = new RegExp(`^[${GAPLESS}]`, "u");
// deno-lint-ignore no-control-regex
const BEYOND_ASCII = /[^\x00-\x7f]/;

/** Adds the words of `text` to `words`, up to MAX_WORDS in all. */
export function wordsOf(text: string, words: Set<string>): void {
  if (!BEYOND_ASCII.test(text)) {
    for (const [word] of text.toLowerCase().matchAll(/[a-z0-9]+/g)) {
      if (words.size >= MAX_WORDS) return;
      words.add(word.length > MAX_WORD ? word.slice(0, MAX_WORD) : word);
    }
    return;
  }
  for (const [piece] of foldWord(text).matchAll(PIECES)) {
    if (words.size >= MAX_WORDS) return;
    if (!IS_GAPLESS.test(piece)) words.add(shortened(piece));
    else for (const pair of pairsOf([...piece])) words.add(pair);
  }
}

/** Words of one query; more narrow nothing down. */
const MAX_WANTED = 32;

/** What a fuzzy search asks of a message: each of these words, or (`prefix`) one that begins with it. */
export interface WantedWord {
  readonly word: string;
  readonly prefix: boolean;
}

export function wantedWords(needle: string): WantedWord[] {
  const wanted = new Map<string, WantedWord>();
  const want = (word: string, prefix: boolean) => {
    if (wanted.size < MAX_WANTED) wanted.set(word, { word, prefix });
  };
  for (const [piece] of foldWord(needle).matchAll(PIECES)) {
    if (!IS_GAPLESS.test(piece)) want(shortened(piece), piece.length > 1);
    else {
      const characters = [...piece];
      // A single character begins the pair, or is the last one, of every text that holds it.
      if (characters.length === 1) want(piece, true);
      for (let at = 0; at + 1 < characters.length; at++) want(characters[at]! + characters[at + 1]!, false);
    }
  }
  return [...wanted.values()];
}

/** How well the words answer a search: 0 not at all, 1 word for word; between where only beginnings are there. */
export function wordMatch(words: ReadonlySet<string>, wanted: readonly WantedWord[]): number {
  let sum = 0;
  for (const { word, prefix } of wanted) {
    if (words.has(word)) sum += 1;
    else if (prefix && beginsAny(words, word)) sum += 0.5;
    else return 0;
  }
  return wanted.length === 0 ? 0 : sum / wanted.length;
}

function beginsAny(words: ReadonlySet<string>, beginning: string): boolean {
  for (const word of words) if (word.startsWith(beginning)) return true;
  return false;
}

/** Letters that have no decomposition, as people type them who do not have them. */
const PLAIN: ReadonlyMap<string, string> = new Map(
  Object.entries({
    ß: "ss",
    æ: "ae",
    œ: "oe",
    ø: "o",
    ł: "l",
    đ: "d",
    ð: "d",
    þ: "th",
    ħ: "h",
    ŧ: "t",
    ı: "i",
    ς: "σ",
  }),
);
const NOT_PLAIN = new RegExp(`[${[...PLAIN.keys()].join("")}]`, "g");

function foldWord(text: string): string {
  if (!BEYOND_ASCII.test(text)) return text.toLowerCase();
  return text.normalize("NFKD").replace(/\p{Mn}+/gu, "").toLowerCase().normalize("NFKC")
    .replace(NOT_PLAIN, (letter) => PLAIN.get(letter)!);
}

/** Cut between characters. */
function shortened(word: string): string {
  return word.length <= MAX_WORD ? word : word.slice(0, MAX_WORD).replace(/[\uD800-\uDBFF]$/, "");
}

/** Every two that stand together, and the last one alone. */
function* pairsOf(characters: readonly string[]): Generator<string> {
  for (let at = 0; at + 1 < characters.length; at++) yield characters[at]! + characters[at + 1]!;
  yield characters.at(-1) ?? "";
}
