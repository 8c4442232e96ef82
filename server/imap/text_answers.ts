/**
 * What keys of a search find in one long text, each looked for when it first decides something, in slices with pauses between: many
 * keys in many megabytes would hold up the other sessions for minutes. Short texts are searched at once, without any of this.
 */
import type { MessageText } from "../../search/message_text.ts";
import type { ImapContext } from "./context.ts";
import type { FuzzyScore, TextKey } from "./search_fuzzy.ts";

/** Characters that all keys of a search together look at without a pause. */
const AT_ONCE = 256 * 1024;
/** Characters of a text between two pauses. */
const SLICE = 64 * 1024;

/** True where so many keys in a text of so many characters would take long. */
export function isLong(characters: number, keys: number): boolean {
  return characters * keys > AT_ONCE;
}

/** What a key looks for: its needle, folded, or the score of its words. */
export type Wanted = string | FuzzyScore;

export class TextAnswers {
  readonly #text: MessageText;
  readonly #known = new Map<TextKey, boolean | null>();
  #asked: { readonly key: TextKey; readonly wanted: Wanted } | null = null;

  constructor(text: MessageText) {
    this.#text = text;
  }

  /** What is known; null where it is not, and then {@linkcode look} finds it, or where more than this text is to be read. */
  ask(key: TextKey, wanted: Wanted): boolean | null {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#asked ??= { key, wanted };
    return null;
  }

  /** Looks for what was asked for first; false where nothing was. */
  async look(context: ImapContext): Promise<boolean> {
    const asked = this.#asked;
    if (asked === null) return false;
    this.#asked = null;
    const { key, wanted } = asked;
    if (typeof wanted === "string") this.#known.set(key, await this.#contains(context, key, wanted));
    else {
      const score = wanted(this.#text);
      this.#known.set(key, score === null ? null : score > 0);
    }
    await context.drain();
    return true;
  }

  async #contains(context: ImapContext, key: TextKey, needle: string): Promise<boolean | null> {
    const text = this.#text;
    for (const piece of text.piecesFor(key)) {
      for (let at = 0; at === 0 || at < piece.length; at += SLICE) {
        if (piece.slice(at, at + SLICE + needle.length - 1).includes(needle)) return true;
        const pending = context.drain();
        if (pending !== undefined) await pending;
      }
    }
    return key.kind === "header" || text.whole ? false : null;
  }
}
