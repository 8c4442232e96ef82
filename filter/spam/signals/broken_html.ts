import type { Signal } from "../signal.ts";

export const brokenHtml: Signal = {
  name: "broken-html",
  weight: 0.6,
  explain: "its HTML lacks what programs write",
  find: ({ mail }) => mail.html.some(({ markup, tags }) => tags > 3 && !markup.includes("html")),
};
