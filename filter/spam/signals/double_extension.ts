import type { Signal } from "../signal.ts";
import { PROGRAM } from "../kinds.ts";

export const doubleExtension: Signal = {
  name: "double-extension",
  weight: 2.5,
  explain: "an attached file pretends to be of another kind",
  find: ({ mail }) =>
    mail.leaves.some(({ name }) =>
      /\.(?:pdf|docx?|xlsx?|txt|jpe?g|png|gif|zip|html?)\s*\.[a-z0-9]{2,4}\s*$/i.test(name) &&
      PROGRAM.test(name.trim())
    ),
};
