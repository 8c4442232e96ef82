import { isList } from "../kinds.ts";
import { Phrases } from "../phrases.ts";
import type { Signal } from "../signal.ts";

const REMOVAL = new Phrases(
  /\b(?:to|be|want(?:ed)?|wish) (?:be )?(?:permanently )?(?:removed?|taken off|opt)\b|remove (?:me|in the subject)|removal (?:instructions|request)|reply .{0,40}remove|not wish to receive|longer wish|opt.?out/i,
);

export const saysRemoval: Signal = {
  name: "says-removal",
  weight: 1.4,
  explain: "it tells how to be removed, as mass mail does",
  find: ({ mail }) => REMOVAL.standIn(mail) && !isList(mail),
};
