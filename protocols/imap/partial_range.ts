/**
 * partial-range (RFC 9394 4): results counted from the first one, `1:500`, or back from the last, `-1:-500`. Pure.
 */
import { COLON, HYPHEN } from "../../bytes/ascii.ts";
import type { Cursor } from "../../bytes/cursor.ts";
import { MAX_NUMBER, type Ranges } from "./sequence_set.ts";

export interface PartialRange {
  /** From 1; `from` is at most `to`. */
  readonly from: number;
  readonly to: number;
  readonly fromEnd: boolean;
  /** Asked for the other way round, which means the same. */
  readonly turned: boolean;
}

export function parsePartialRange(cursor: Cursor): PartialRange {
  const fromEnd = cursor.take(HYPHEN);
  const a = resultNumber(cursor);
  cursor.expect(COLON, ":");
  if (fromEnd) cursor.expect(HYPHEN, "-");
  const b = resultNumber(cursor);
  return { from: Math.min(a, b), to: Math.max(a, b), fromEnd, turned: a > b };
}

function resultNumber(cursor: Cursor): number {
  const number = cursor.number(MAX_NUMBER, "a number");
  if (number === 0) cursor.fail("a number, not 0");
  return number;
}

/** As it was asked for. */
export function formatPartialRange({ from, to, fromEnd, turned }: PartialRange): string {
  const sign = fromEnd ? "-" : "";
  return turned ? `${sign}${to}:${sign}${from}` : `${sign}${from}:${sign}${to}`;
}

/** The numbers of a list of ranges that the range names. */
export function partOfRanges(ranges: Ranges, range: PartialRange): Ranges {
  const [start, end] = partOf(ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0), range);
  const some: [number, number][] = [];
  let before = 0;
  for (const [from, to] of ranges) {
    const low = Math.max(from, from + start - before);
    const high = Math.min(to, from + end - 1 - before);
    if (low <= high) some.push([low, high]);
    before += to - from + 1;
  }
  return some;
}

/** The range as offsets into a list of so many, `end` exclusive. */
export function partOf(count: number, { from, to, fromEnd }: PartialRange): [start: number, end: number] {
  return fromEnd
    ? [Math.max(0, count - to), Math.max(0, count - from + 1)]
    : [Math.min(from - 1, count), Math.min(to, count)];
}
