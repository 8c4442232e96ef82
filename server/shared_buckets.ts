/**
 * Token buckets of all threads together: when each will be full again, in microseconds, in one SharedArrayBuffer.
 *
 * Keys are hashed into two tables and the emptier bucket counts, so that memory is fixed: a limit is never passed, and
 * met too early only by a key that shares its cell in both tables.
 */
import type { BucketRate, Buckets } from "../filter/buckets.ts";

/** Cells of one table; a power of two. There are two tables. */
const CELLS = 16_384;
const TABLES = 2;

export class SharedBuckets implements Buckets {
  #cells: BigInt64Array;
  #epoch: number;

  constructor(buffer: SharedArrayBuffer, epoch: number) {
    this.#cells = new BigInt64Array(buffer);
    this.#epoch = epoch;
  }

  static buffer(): SharedArrayBuffer {
    return new SharedArrayBuffer(CELLS * TABLES * 8);
  }

  take(key: string, { limit, perMs }: BucketRate, at: number): boolean {
    const now = BigInt(Math.max(0, Math.floor((at - this.#epoch) * 1_000)));
    const step = BigInt(Math.max(1, Math.round(perMs * 1_000 / limit)));
    const room = BigInt(perMs * 1_000);
    const [first, second] = cellsOf(key);
    const inFirst = Atomics.load(this.#cells, first);
    const inSecond = Atomics.load(this.#cells, second);
    const level = inFirst < inSecond ? inFirst : inSecond;
    const next = (level > now ? level : now) + step;
    if (next - now > room) return false;
    // What lost a race counts once too little: the next one meets the right sum.
    if (inFirst < next) Atomics.compareExchange(this.#cells, first, inFirst, next);
    if (inSecond < next) Atomics.compareExchange(this.#cells, second, inSecond, next);
    return true;
  }
}

function cellsOf(key: string): [number, number] {
  let first = 0x811c9dc5, second = 0x9747b28c;
  for (let at = 0; at < key.length; at++) {
    const code = key.charCodeAt(at);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x5bd1e995);
    second ^= second >>> 15;
  }
  first ^= first >>> 16;
  second ^= second >>> 13;
  return [first & (CELLS - 1), CELLS + (second & (CELLS - 1))];
}
