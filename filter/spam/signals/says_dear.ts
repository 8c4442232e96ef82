import type { Signal } from "../signal.ts";

export const saysDear: Signal = {
  name: "says-dear",
  weight: 0.8,
  explain: "it greets nobody by name",
  find: ({ mail }) =>
    /(?:^|\n)\s*(?:dear|hello|hi|greetings)[ ,]+(?:sir|madam|friend|customer|user|member|valued|homeowner|internet|web|e-?mail|account|business|candidate|consumer|computer|beneficiary|winner)/i
      .test(mail.text.slice(0, 3_000)),
};
