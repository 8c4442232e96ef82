import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const MONEY = new Phrases(
  /\$\s?\d[\d,.]*(?:\s?(?:million|thousand|per|a|\/)\b)?|make money|extra (?:income|cash)|earn (?:up to|money|\$)|financial(?:ly)? (?:freedom|independen)|work (?:from|at) home|home.?based|get rich|cash bonus|income|profits?|no investment|mlm\b/gi,
);

export const saysMoney: Signal = {
  name: "says-money",
  weight: 1.4,
  explain: "it speaks of easy money",
  find: ({ mail }) => Math.min(1, MONEY.count(mail) / 5),
};
