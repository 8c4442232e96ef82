/**
 * Header lines over 998 octets, folded where white space lets them (RFC 5322 2.2.3): unfolding gives back every octet.
 */
import { COLON, CR, CRLF, isWsp, LF } from "../bytes/ascii.ts";

/** RFC 5322 2.1.1, without CRLF. */
export const MAX_LINE_OCTETS = 998;

/** `block` itself when no line is too long. A line without white space in reach stays as it is. */
export function foldLongLines(block: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  const folds = foldsOf(block);
  if (folds.length === 0) return block;
  const folded = new Uint8Array(block.length + folds.length * CRLF.length);
  let from = 0;
  let at = 0;
  for (const fold of [...folds, block.length]) {
    folded.set(block.subarray(from, fold), at);
    at += fold - from;
    from = fold;
    if (fold < block.length) {
      folded.set(CRLF, at);
      at += CRLF.length;
    }
  }
  return folded;
}

/** Offsets of the white space before which lines are cut. */
function foldsOf(block: Uint8Array): number[] {
  const folds: number[] = [];
  for (let start = 0; start < block.length;) {
    const lf = block.indexOf(LF, start);
    const next = lf < 0 ? block.length : lf + 1;
    const end = lf < 0 ? next : lf > start && block[lf - 1] === CR ? lf - 1 : lf;
    let from = start;
    while (end - from > MAX_LINE_OCTETS) {
      const fold = lastFold(block, from, from + MAX_LINE_OCTETS);
      if (fold === null) break;
      folds.push(fold);
      from = fold;
    }
    start = next;
  }
  return folds;
}

/**
 * The last white space of `(from, end]` that has something before it, not counting the field's name, and something
 * behind it: no line may look empty.
 */
function lastFold(block: Uint8Array, from: number, end: number): number | null {
  const colon = isWsp(block[from]!) ? from : block.indexOf(COLON, from);
  let text = colon + 1;
  while (isWsp(block[text]!)) text++;
  for (let at = end; at > text; at--) {
    const next = block[at + 1]!;
    if (isWsp(block[at]!) && !isWsp(next) && next !== CR && next !== LF) return at;
  }
  return null;
}
