import type { Signal } from "../signal.ts";

export const saysCapitals: Signal = {
  name: "says-capitals",
  weight: 0.9,
  explain: "its text shouts in capitals",
  find: ({ mail }) => {
    const words = mail.text.slice(0, 30_000).match(/\b[a-z]{4,}\b/gi) ?? [];
    if (words.length < 20) return false;
    return Math.min(1, words.filter((word) => word === word.toUpperCase()).length / words.length * 5);
  },
};
