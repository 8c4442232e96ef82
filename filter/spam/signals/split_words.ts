import type { Signal } from "../signal.ts";

export const splitWords: Signal = {
  name: "split-words",
  weight: 2,
  explain: "its words are split by what cannot be seen",
  find: ({ mail }) => Math.min(1, mail.html.reduce((sum, { splitWords }) => sum + splitWords, 0) / 3),
};
