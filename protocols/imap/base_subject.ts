/** The base subject: what SORT and THREAD compare (RFC 5256 2.1), of a decoded subject. Pure. */

const BLOB = String.raw`\[[^\[\]]*\]\s*`;
const LEADER = new RegExp(String.raw`^(?:(?:${BLOB})*(?:re|fwd?)\s*(?:${BLOB})?:|\s+)`, "i");
const LEADING_BLOB = new RegExp(`^${BLOB}`);
const TRAILER = /(?:\(fwd\)|\s+)$/i;
const FORWARDED = /^\[fwd:(.*)\]$/i;

/** `answers` says whether something stood in front of it or behind it: a reply or something forwarded. */
export function baseSubject(subject: string): { readonly base: string; readonly answers: boolean } {
  let text = subject.replace(/\s+/g, " ");
  let answers = false;
  for (;;) {
    // (2) trailers
    for (let match = TRAILER.exec(text); match !== null; match = TRAILER.exec(text)) {
      answers ||= match[0].trim() !== "";
      text = text.slice(0, match.index);
    }
    // (3) to (5) leaders and blobs, until neither is left
    for (let before = ""; before !== text;) {
      before = text;
      const leader = LEADER.exec(text)?.[0];
      if (leader !== undefined) {
        answers ||= leader.trim() !== "";
        text = text.slice(leader.length);
        continue;
      }
      const blob = LEADING_BLOB.exec(text)?.[0];
      if (blob !== undefined && blob.length < text.length) text = text.slice(blob.length);
    }
    // (6) a forwarded header in brackets
    const inner = FORWARDED.exec(text)?.[1];
    if (inner === undefined) return { base: text, answers };
    answers = true;
    text = inner;
  }
}
