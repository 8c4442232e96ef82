import type { Signal } from "../signal.ts";

export const reportedCopy: Signal = {
  name: "reported-copy",
  weight: 3,
  explain: "messages of nearly the same text were reported, or came to traps",
  personal: true,
  find: ({ around }) => Math.min(1, (around?.reportedCopies ?? 0) / 2),
};
