import type { Signal } from "../signal.ts";

export const hiddenText: Signal = {
  name: "hidden-text",
  weight: 1.8,
  explain: "it hides words from the reader",
  find: ({ mail }) => {
    const hidden = mail.html.reduce((sum, { hidden }) => sum + hidden.replace(/\s+/g, "").length, 0);
    return Math.min(1, hidden / 200);
  },
};
