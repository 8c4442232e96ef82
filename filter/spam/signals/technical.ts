import type { Signal } from "../signal.ts";

/** Spaces in front of a line, not the empty lines before it: those would be looked at once for each of them. */
const CODE =
  /^(?:diff |@@ |\+\+\+ |--- )|^[^\S\n\r\u2028\u2029]*(?:#include|if \(|for \(|return |def |sub |int |void )|\w\(\);|^\$ \w/m;

export const technical: Signal = {
  name: "technical",
  weight: -0.6,
  explain: "it holds code or a patch",
  find: ({ mail }) => mail.plain.some((text) => CODE.test(text.slice(0, 30_000))),
};
