/**
 * BODY[HEADER.FIELDS (...)] and its opposite: the chosen fields of a header block, whole, in order, and an empty line.
 *
 * Hot: clients that list a mailbox ask this of every message. Fields are told apart as in header.ts (its `scanFields` is the
 * test's oracle), but nothing is made of those that are not chosen.
 */
import { shortLived } from "../bytes/arena.ts";
import { COLON, CR, CRLF, isWsp, LF } from "../bytes/ascii.ts";
import { endOfField } from "./header.ts";

/** Shorter runs are copied octet by octet, which is cheaper up to there. */
const SHORT_OCTETS = 200;

/** The names of the last call: a FETCH asks the same of message after message. */
let lastNames: ReadonlySet<string> | null = null;
let lastWanted: readonly string[] = [];

/** Start and end of each chosen run of octets; grows with the largest header seen. */
let runs = new Uint32Array(64);

/**
 * RFC 3501 6.4.5. `names` are in lower case; `not` takes all other fields. A block without any chosen field gives the
 * empty line alone. The result is of bytes/arena.ts.
 */
export function headerFields(
  block: Uint8Array,
  names: ReadonlySet<string>,
  options: { not: boolean },
): Uint8Array {
  if (names !== lastNames) {
    lastNames = names;
    lastWanted = [...names];
  }
  const wanted = lastWanted;
  const { length } = block;
  let count = 0;
  let size = CRLF.length;
  for (let at = 0; at < length;) {
    if (block[at] === LF || (block[at] === CR && block[at + 1] === LF)) break;
    const end = endOfField(block, at, length);
    const nameEnd = endOfName(block, at, end);
    if (nameEnd >= 0 && includes(wanted, block, at, nameEnd) !== options.not) {
      if (count > 0 && runs[count - 1] === at) runs[count - 1] = end; // neighbours are one run
      else {
        if (count + 2 > runs.length) runs = grown(runs);
        runs[count++] = at;
        runs[count++] = end;
      }
      size += end - at;
    }
    at = end;
  }
  const result = shortLived(size);
  let at = 0;
  for (let i = 0; i < count; i += 2) {
    const start = runs[i]!, end = runs[i + 1]!;
    if (end - start < SHORT_OCTETS) {
      for (let from = start; from < end; from++) result[at++] = block[from]!;
    } else {
      result.set(block.subarray(start, end), at);
      at += end - start;
    }
  }
  result[at] = CR;
  result[at + 1] = LF;
  return result;
}

function grown(old: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(old.length * 2);
  larger.set(old);
  return larger;
}

/** Behind the name of the field, without white space before the colon; -1 when it is no field. */
function endOfName(bytes: Uint8Array, start: number, end: number): number {
  let colon = start;
  while (colon < end && bytes[colon] !== COLON && bytes[colon] !== LF) colon++;
  if (colon === end || bytes[colon] !== COLON || colon === start) return -1;
  while (colon > start && isWsp(bytes[colon - 1]!)) colon--;
  return colon;
}

/** Whether the octets are one of the names, whatever their case. */
function includes(names: readonly string[], bytes: Uint8Array, start: number, end: number): boolean {
  for (const name of names) {
    if (name.length !== end - start) continue;
    let i = 0;
    while (i < name.length && lower(bytes[start + i]!) === name.charCodeAt(i)) i++;
    if (i === name.length) return true;
  }
  return false;
}

function lower(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
}
