import type { Signal } from "../signal.ts";

const LOOKED_AT = 30_000;
/** Where a line begins. */
const LINE =
  /(?:diff |@@ |\+\+\+ |--- |\$ \w)|[^\S\n\r\u2028\u2029]*(?:#include|if \(|for \(|return |def |sub |int |void )/y;
const CALL = /\w\(\);/;

export const technical: Signal = {
  name: "technical",
  weight: -0.6,
  explain: "it holds code or a patch",
  find: ({ mail }) => mail.plain.some((text) => holdsCode(text.slice(0, LOOKED_AT))),
};

function holdsCode(text: string): boolean {
  if (text.includes("();") && CALL.test(text)) return true;
  let begins = true;
  for (let at = 0; at < text.length; at++) {
    if (begins) {
      LINE.lastIndex = at;
      if (LINE.test(text)) return true;
    }
    begins = endsLine(text.charCodeAt(at));
  }
  return false;
}

/** As `^` of patterns of several lines has it. */
function endsLine(code: number): boolean {
  return code === 0x0a || code === 0x0d || code === 0x2028 || code === 0x2029;
}
