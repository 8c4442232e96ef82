import type { Signal } from "../signal.ts";

export const forgedAuthor: Signal = {
  name: "forged-author",
  weight: 2.5,
  explain: "its author is not who it says: the checks of its domain failed",
  find: ({ around }) => around?.dmarc === "fail",
};
