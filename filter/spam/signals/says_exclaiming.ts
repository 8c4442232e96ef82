import type { Signal } from "../signal.ts";
import { count } from "../kinds.ts";

export const saysExclaiming: Signal = {
  name: "says-exclaiming",
  weight: 0.7,
  explain: "it is full of exclamation marks",
  find: ({ mail }) => Math.min(1, count(mail.text, /!{2,}|\$\$+/g) / 3),
};
