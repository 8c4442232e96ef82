/** thread-list (RFC 5256 5) of a forest, without recursion: a chain of replies is as deep as peers make it. Pure. Hot. */
import { LPAREN, RPAREN, SP } from "../../../bytes/ascii.ts";
import { DECIMAL_OCTETS, putDecimal } from "../../../bytes/decimal.ts";
import type { ThreadForest } from "../thread.ts";

const PIECE_OCTETS = 32 * 1024;
/** What one step writes at most: brackets and spaces around a number. */
const STEP_OCTETS = DECIMAL_OCTETS + 4;

/** The list in pieces, each valid until the next is asked for; `numbers` names each message. */
export function* formatThreads(
  { count, roots, first, next }: ThreadForest,
  numbers: ArrayLike<number>,
): Generator<Uint8Array> {
  const buffer = new Uint8Array(PIECE_OCTETS);
  const full = PIECE_OCTETS - STEP_OCTETS;
  // What comes behind a branch: its next sibling, or the end of what holds it.
  const open: number[] = [];
  let length = 0;
  for (let at = 0; at < roots.length; at++) {
    buffer[length++] = LPAREN;
    let node = roots[at]!, begins = true;
    for (;;) {
      if (length > full) {
        yield buffer.subarray(0, length);
        length = 0;
      }
      if (node < count) {
        if (!begins) buffer[length++] = SP;
        length = putDecimal(buffer, length, numbers[node]!);
        begins = false;
      }
      let follows = first[node]!;
      if (follows >= 0 && next[follows]! >= 0) {
        if (!begins) buffer[length++] = SP;
        buffer[length++] = LPAREN;
        open.push(next[follows]!);
        node = follows;
        begins = true;
        continue;
      }
      while (follows < 0) {
        buffer[length++] = RPAREN;
        if (length > full) {
          yield buffer.subarray(0, length);
          length = 0;
        }
        if (open.length === 0) break;
        follows = open.pop()!;
        if (follows < 0) continue;
        open.push(next[follows]!);
        buffer[length++] = LPAREN;
        begins = true;
      }
      if (follows < 0) break;
      node = follows;
    }
  }
  if (length > 0) yield buffer.subarray(0, length);
}
