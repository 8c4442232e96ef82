import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const LISTS = new Phrases(
  /million (?:e-?mail|address|people)|bulk (?:e-?mail|mail)|e-?mail (?:address|list|marketing|campaign)s?|mass mail|targeted e-?mail|search engines?|cable descrambl|cd.?rom|hits? to your|traffic to your/gi,
);

export const saysLists: Signal = {
  name: "says-lists",
  weight: 1.8,
  explain: "it sells addresses or mass mail",
  find: ({ mail }) => Math.min(1, LISTS.count(mail) / 3),
};
