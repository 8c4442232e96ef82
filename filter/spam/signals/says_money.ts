import type { Signal } from "../signal.ts";
import { count } from "../kinds.ts";

export const saysMoney: Signal = {
  name: "says-money",
  weight: 1.4,
  explain: "it speaks of easy money",
  find: ({ mail }) =>
    Math.min(
      1,
      count(
        mail.text,
        /\$\s?\d[\d,.]*(?:\s?(?:million|thousand|per|a|\/)\b)?|make money|extra (?:income|cash)|earn (?:up to|money|\$)|financial(?:ly)? (?:freedom|independen)|work (?:from|at) home|home.?based|get rich|cash bonus|income|profits?|no investment|mlm\b/gi,
      ) / 5,
    ),
};
