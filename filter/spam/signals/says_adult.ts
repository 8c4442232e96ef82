import type { Signal } from "../signal.ts";
import { count } from "../kinds.ts";

export const saysAdult: Signal = {
  name: "says-adult",
  weight: 1.6,
  explain: "it offers what is for adults",
  find: ({ mail }) =>
    Math.min(
      1,
      count(
        mail.text,
        /\bxxx\b|porn|hardcore|\bteens?\b|live (?:sex|girls)|\bsex(?:y|ual)?\b|nude|\bcum\b|horny|adults? only|over 18|sluts?\b|webcam/gi,
      ) / 3,
    ),
};
