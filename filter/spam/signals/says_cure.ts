import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const CURES = new Phrases(
  /viagra|cialis|penis|enlarge|weight.?loss|lose (?:weight|\d+)|human growth|hgh\b|anti.?aging|pharmac|prescription|pills?\b|herbal|wrinkle|diet\b|fat\b|libido/gi,
);

export const saysCure: Signal = {
  name: "says-cure",
  weight: 1.6,
  explain: "it offers cures",
  find: ({ mail }) => Math.min(1, CURES.count(mail) / 3),
};
