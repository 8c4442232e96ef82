import type { Signal } from "../signal.ts";

export const plainText: Signal = {
  name: "plain-text",
  weight: -0.5,
  explain: "it is plain text",
  find: ({ mail }) =>
    mail.html.length === 0 && mail.leaves.length === 1 && mail.leaves[0]!.type === "text/plain",
};
