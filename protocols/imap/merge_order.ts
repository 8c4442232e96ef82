/**
 * Sorting that gives way: the order of so many things by a merge of sorted slices, with a pause between steps.
 *
 * For the SORT and THREAD of mailboxes so large that one call of `sort` would hold up every other session. Stable. Pure.
 */

const SLICE = 8_192;
const MERGE_STEPS = 20_000;

/** The numbers below `count` in order of `compare`; yields where the caller may pause. */
export function* mergeOrder(
  count: number,
  compare: (a: number, b: number) => number,
): Generator<void, Uint32Array> {
  let from = Uint32Array.from({ length: count }, (_, at) => at);
  for (let at = 0; at < count; at += SLICE) {
    from.subarray(at, at + SLICE).sort(compare);
    yield;
  }
  let to = new Uint32Array(count);
  for (let width = SLICE; width < count; width *= 2) {
    let steps = 0;
    for (let start = 0; start < count; start += 2 * width) {
      const middle = Math.min(start + width, count), end = Math.min(start + 2 * width, count);
      let left = start, right = middle;
      for (let at = start; at < end; at++) {
        const takeLeft = left < middle && (right >= end || compare(from[left]!, from[right]!) <= 0);
        to[at] = takeLeft ? from[left++]! : from[right++]!;
        if (++steps % MERGE_STEPS === 0) yield;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}
