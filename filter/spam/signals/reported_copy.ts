import type { Signal } from "../signal.ts";

export const reportedCopy: Signal = {
  name: "reported-copy",
  weight: 3,
  explain: "users reported messages of nearly the same text",
  personal: true,
  find: ({ around }) => Math.min(1, (around?.reportedCopies ?? 0) / 2),
};
