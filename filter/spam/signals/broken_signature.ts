import type { Signal } from "../signal.ts";

export const brokenSignature: Signal = {
  name: "broken-signature",
  weight: 0.5,
  explain: "its signature is broken",
  find: ({ around }) => around?.brokenSignature === true,
};
