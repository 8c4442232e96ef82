/**
 * Sequence sets: the `1:4,7,*` argument of FETCH, STORE, SEARCH and friends.
 *
 * RFC 3501 9 (sequence-set) and 6.4.8. `*` is the largest number in use. Resolving sorts and joins the ranges, so
 * that work and memory follow the ranges, never the numbers between. In an empty mailbox `*` is out of range for
 * sequence numbers (BAD) and selects nothing for UIDs. Pure. Limit: {@linkcode MAX_RANGES} ranges per set.
 */
import { COLON, COMMA, DOLLAR, STAR } from "../../bytes/ascii.ts";
import type { Cursor } from "../../bytes/cursor.ts";

export const MAX_RANGES = 20_000;
/** nz-number: 32 bits. */
export const MAX_NUMBER = 0xffffffff;
/** `*` in an unresolved set: larger than every number. */
export const LARGEST = 2 ** 32;

/** Inclusive ranges as written: in any order, either way round, with {@linkcode LARGEST} for `*`. */
export type SequenceSet = readonly (readonly [number, number])[];

/** `$`: what the last SEARCH with SAVE found (RFC 5182 2.1). Known by identity; resolved where the result is kept. */
export const SAVED_RESULT: SequenceSet = Object.freeze([]);

/** Inclusive, ascending, not touching. */
export type Ranges = readonly (readonly [number, number])[];

/** sequence-set (RFC 3501 9), or `$` (RFC 5182 3). */
export function sequenceSet(cursor: Cursor): SequenceSet {
  if (cursor.take(DOLLAR)) return SAVED_RESULT;
  const ranges: [number, number][] = [];
  do {
    if (ranges.length >= MAX_RANGES) {
      cursor.fail(`at most ${MAX_RANGES} ranges`);
      return ranges;
    }
    const from = seqNumber(cursor);
    const to = cursor.take(COLON) ? seqNumber(cursor) : from;
    ranges.push([from, to]);
  } while (cursor.take(COMMA));
  return ranges;
}

/** seq-number: {@linkcode LARGEST} for `*`. */
export function seqNumber(cursor: Cursor): number {
  if (cursor.take(STAR)) return LARGEST;
  const at = cursor.at;
  const value = cursor.number(MAX_NUMBER, "a message number");
  if (value === 0) {
    cursor.at = at;
    cursor.fail("a message number, not 0");
  }
  return value;
}

/** Sorts, joins and puts `largest` for `*`. `largest` is 0 in an empty mailbox: `*` then selects nothing. */
export function resolve(set: SequenceSet, largest: number): Ranges {
  const ranges: [number, number][] = [];
  for (const [a, b] of set) {
    const from = a === LARGEST ? largest : a;
    const to = b === LARGEST ? largest : b;
    if (largest === 0 && (a === LARGEST || b === LARGEST)) continue;
    ranges.push(from <= to ? [from, to] : [to, from]);
  }
  return joinRanges(ranges);
}

/** Sorts and joins ranges that overlap or touch. Takes the array over. */
export function joinRanges(ranges: [number, number][]): Ranges {
  let sorted = true;
  for (let i = 1; i < ranges.length && sorted; i++) sorted = ranges[i]![0] > ranges[i - 1]![1] + 1;
  if (sorted) return ranges;
  ranges.sort((a, b) => a[0] - b[0]);
  const joined: [number, number][] = [];
  for (const range of ranges) {
    const last = joined.at(-1);
    if (last !== undefined && range[0] <= last[1] + 1) last[1] = Math.max(last[1], range[1]);
    else joined.push([range[0], range[1]]);
  }
  return joined;
}

/** Ranges of ascending numbers. */
export function rangesOf(numbers: Iterable<number>): Ranges {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last !== undefined && number === last[1] + 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}

export function intersection(a: Ranges, b: Ranges): Ranges {
  const both: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    const [fromA, toA] = a[i]!, [fromB, toB] = b[j]!;
    const from = Math.max(fromA, fromB), to = Math.min(toA, toB);
    if (from <= to) both.push([from, to]);
    if (toA < toB) i++;
    else j++;
  }
  return both;
}

export function contains(ranges: Ranges, number: number): boolean {
  let low = 0, high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle]![1] < number) low = middle + 1;
    else high = middle;
  }
  return low < ranges.length && ranges[low]![0] <= number;
}

/** As on the wire: `1:4,7`. */
export function formatRanges(ranges: Ranges): string {
  return ranges.map(([from, to]) => from === to ? `${from}` : `${from}:${to}`).join(",");
}

/** uid-set of the pairwise lists of COPYUID: ascending runs of a list that may go up and down. */
export function formatNumbers(numbers: readonly number[]): string {
  return formatRanges(rangesOf(numbers));
}
