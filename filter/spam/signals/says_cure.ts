import type { Signal } from "../signal.ts";
import { count } from "../kinds.ts";

export const saysCure: Signal = {
  name: "says-cure",
  weight: 1.6,
  explain: "it offers cures",
  find: ({ mail }) =>
    Math.min(
      1,
      count(
        mail.text,
        /viagra|cialis|penis|enlarge|weight.?loss|lose (?:weight|\d+)|human growth|hgh\b|anti.?aging|pharmac|prescription|pills?\b|herbal|wrinkle|diet\b|fat\b|libido/gi,
      ) / 3,
    ),
};
