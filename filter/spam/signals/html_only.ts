import type { Signal } from "../signal.ts";

export const htmlOnly: Signal = {
  name: "html-only",
  weight: 1,
  explain: "it is HTML without a plain text",
  find: ({ mail }) => mail.html.length > 0 && mail.plain.every((text) => text.trim() === ""),
};
