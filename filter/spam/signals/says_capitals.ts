import type { Signal } from "../signal.ts";

const LOOKED_AT = 30_000;
const MIN_LETTERS = 4, MIN_WORDS = 20;

export const saysCapitals: Signal = {
  name: "says-capitals",
  weight: 0.9,
  explain: "its text shouts in capitals",
  find: ({ mail }) => {
    const { words, capitals } = wordsOf(mail.text, Math.min(mail.text.length, LOOKED_AT));
    return words < MIN_WORDS ? false : Math.min(1, capitals / words * 5);
  },
};

/** Words of at least four ASCII letters and nothing else, and those among them without a small letter. */
function wordsOf(text: string, end: number): { readonly words: number; readonly capitals: number } {
  let words = 0, capitals = 0;
  let length = 0, small = 0, others = 0;
  for (let i = 0; i <= end; i++) {
    const code = i < end ? text.charCodeAt(i) : 0x20;
    if (code >= 0x61 && code <= 0x7a) small++;
    else if ((code >= 0x30 && code <= 0x39) || code === 0x5f) others++;
    else if (code < 0x41 || code > 0x5a) {
      if (length >= MIN_LETTERS && others === 0) {
        words++;
        if (small === 0) capitals++;
      }
      length = small = others = 0;
      continue;
    }
    length++;
  }
  return { words, capitals };
}
