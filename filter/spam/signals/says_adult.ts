import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const ADULT = new Phrases(
  /\bxxx\b|porn|hardcore|\bteens?\b|live (?:sex|girls)|\bsex(?:y|ual)?\b|nude|\bcum\b|horny|adults? only|over 18|sluts?\b|webcam/gi,
);

export const saysAdult: Signal = {
  name: "says-adult",
  weight: 1.6,
  explain: "it offers what is for adults",
  find: ({ mail }) => Math.min(1, ADULT.count(mail) / 3),
};
