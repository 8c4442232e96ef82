import type { Signal } from "../signal.ts";

export const attachedPage: Signal = {
  name: "attached-page",
  weight: 0.9,
  explain: "a web page is attached to it",
  find: ({ mail }) =>
    mail.leaves.some(({ name, attached }) => attached && /\.(?:s?html?|xhtml|svg|mht)$/i.test(name)),
};
