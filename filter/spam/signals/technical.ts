import type { Signal } from "../signal.ts";

const LOOKED_AT = 30_000;
/** Where a line begins. */
const LINE =
  /(?:diff |@@ |\+\+\+ |--- |\$ \w)|[^\S\n\r\u2028\u2029]*(?:#include|if \(|for \(|return |def |sub |int |void )/y;
/** As `^` of patterns of several lines has it. */
const LINE_ENDS = /[\n\r\u2028\u2029]+/g;
const CALL = /\w\(\);/;

export const technical: Signal = {
  name: "technical",
  weight: -0.6,
  explain: "it holds code or a patch",
  find: ({ mail }) => mail.plain.some((text) => holdsCode(text.slice(0, LOOKED_AT))),
};

function holdsCode(text: string): boolean {
  if (text.includes("();") && CALL.test(text)) return true;
  LINE_ENDS.lastIndex = 0;
  do {
    LINE.lastIndex = LINE_ENDS.lastIndex;
    if (LINE.test(text)) return true;
  } while (LINE_ENDS.test(text));
  return false;
}
