import type { Signal } from "../signal.ts";

export const knownAuthor: Signal = {
  name: "known-author",
  weight: -4,
  explain: "the recipient has written to its author before, or allows it",
  personal: true,
  find: ({ around }) => around !== null && around.known && around.aligned,
};
