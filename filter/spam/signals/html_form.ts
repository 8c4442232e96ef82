import type { Signal } from "../signal.ts";

export const htmlForm: Signal = {
  name: "html-form",
  weight: 1,
  explain: "it asks to fill in a form",
  find: ({ mail }) => mail.html.some(({ forms }) => forms > 0),
};
