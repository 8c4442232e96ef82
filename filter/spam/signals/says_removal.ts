import type { Signal } from "../signal.ts";
import { isList } from "../kinds.ts";

export const saysRemoval: Signal = {
  name: "says-removal",
  weight: 1.4,
  explain: "it tells how to be removed, as mass mail does",
  find: ({ mail }) =>
    /\b(?:to|be|want(?:ed)?|wish) (?:be )?(?:permanently )?(?:removed?|taken off|opt)\b|remove (?:me|in the subject)|removal (?:instructions|request)|reply .{0,40}remove|not wish to receive|longer wish|opt.?out/i
      .test(mail.text) && !isList(mail),
};
