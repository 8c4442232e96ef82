import type { Signal } from "../signal.ts";

export const unknownTags: Signal = {
  name: "unknown-tags",
  weight: 1,
  explain: "its HTML has elements that do not exist",
  find: ({ mail }) => Math.min(1, mail.html.reduce((sum, { unknownTags }) => sum + unknownTags, 0) / 4),
};
