/**
 * A set of UIDs as ascending ranges: what one reader has seen of a mailbox. Adding and removing many costs as much as
 * there are ranges and UIDs together.
 */
import type { UidRanges } from "./ops.ts";

export class UidSet {
  #ranges: [number, number][];

  /** Ranges ascend and do not overlap. */
  constructor(ranges: UidRanges = []) {
    this.#ranges = ranges.map(([from, to]) => [from, to]);
  }

  get ranges(): UidRanges {
    return this.#ranges;
  }

  has(uid: number): boolean {
    const ranges = this.#ranges;
    let low = 0, high = ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (ranges[middle]![1] < uid) low = middle + 1;
      else high = middle;
    }
    return low < ranges.length && ranges[low]![0] <= uid;
  }

  /** `uids` ascend. */
  add(uids: readonly number[]): void {
    const merged: [number, number][] = [];
    const push = (from: number, to: number) => {
      const last = merged.at(-1);
      if (last !== undefined && from <= last[1] + 1) last[1] = Math.max(last[1], to);
      else merged.push([from, to]);
    };
    let at = 0;
    for (const [from, to] of this.#ranges) {
      for (; at < uids.length && uids[at]! < from; at++) push(uids[at]!, uids[at]!);
      push(from, to);
    }
    for (; at < uids.length; at++) push(uids[at]!, uids[at]!);
    this.#ranges = merged;
  }

  /** `uids` ascend. */
  remove(uids: readonly number[]): void {
    const left: [number, number][] = [];
    let at = 0;
    for (const [from, to] of this.#ranges) {
      let start = from;
      while (at < uids.length && uids[at]! < from) at++;
      for (; at < uids.length && uids[at]! <= to; at++) {
        const uid = uids[at]!;
        if (uid > start) left.push([start, uid - 1]);
        start = uid + 1;
      }
      if (start <= to) left.push([start, to]);
    }
    this.#ranges = left;
  }
}
