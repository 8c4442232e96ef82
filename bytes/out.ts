/**
 * Output buffer of one connection: replies are collected here and leave in one write.
 *
 * Strings are gathered and encoded once per flush, octets are copied in between (bench/micro/out_bench.ts).
 * `take` hands out everything and starts anew; the caller owns what it took. Above
 * {@linkcode HIGH_WATER_OCTETS} the driver must flush before it produces more: backpressure. An empty buffer
 * holds no memory; the next one starts at the size that was needed last, between the size given and a limit.
 */

import { DECIMAL_OCTETS, putDecimal } from "./decimal.ts";
import { SP } from "./ascii.ts";

/** A driver that sees `pending` above this flushes before it asks the core for more. */
export const HIGH_WATER_OCTETS = 64 * 1024;
const KEEP_OCTETS = 4 * 1024;
const START_LIMIT_OCTETS = 2 * HIGH_WATER_OCTETS;
/** Where longer output begins: room for what passes the high-water mark. */
const LONG_OCTETS = HIGH_WATER_OCTETS + 16 * 1024;
/** Memory of outputs that are written, for those that come: fresh memory costs as much as what is put into it. */
const spareShort: Uint8Array<ArrayBuffer>[] = [];
const spareLong: Uint8Array<ArrayBuffer>[] = [];
const MAX_SPARE_SHORT = 64;
const MAX_SPARE_LONG = 8;
const EMPTY = new Uint8Array(0);
/** A space and a number. */
const NUMBER_OCTETS = 1 + DECIMAL_OCTETS;
const encoder = new TextEncoder();

export class Out {
  #buffer: Uint8Array<ArrayBuffer> = EMPTY;
  #length = 0;
  #text = "";
  readonly #leastOctets: number;
  #initialOctets: number;

  constructor(initialOctets = KEEP_OCTETS) {
    this.#leastOctets = initialOctets;
    this.#initialOctets = initialOctets;
  }

  /** Octets waiting (characters of text not yet encoded count as one each). */
  get pending(): number {
    return this.#length + this.#text.length;
  }

  /** Appends text as UTF-8. */
  text(value: string): void {
    this.#text += value;
    if (this.#text.length > 16 * 1024) this.#encode();
  }

  /** Appends whole numbers of up to 32 bits in decimal, a space before each: a fifth of what text of them costs. */
  numbers(values: ArrayLike<number>, start = 0, end = values.length): void {
    this.#encode();
    this.#reserve((end - start) * NUMBER_OCTETS);
    const buffer = this.#buffer;
    let length = this.#length;
    for (let i = start; i < end; i++) {
      buffer[length++] = SP;
      length = putDecimal(buffer, length, values[i]!);
    }
    this.#length = length;
  }

  /** Appends a copy of the octets `[start, end)`. */
  octets(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#encode();
    const size = end - start;
    this.#reserve(size);
    this.#buffer.set(start === 0 && end === bytes.length ? bytes : bytes.subarray(start, end), this.#length);
    this.#length += size;
  }

  /**
   * Appends `size` octets that `fill` writes itself at `at` of the buffer it is given (a read straight from disk).
   * When `fill` throws, nothing was appended.
   */
  fill(size: number, fill: (into: Uint8Array, at: number) => void): void {
    this.#encode();
    this.#reserve(size);
    fill(this.#buffer, this.#length);
    this.#length += size;
  }

  /** A place to come back to by {@linkcode rollback}, valid until the next `take`. */
  mark(): number {
    this.#encode();
    return this.#length;
  }

  /** Forgets what was appended since the mark: a response that cannot be completed is not sent by half. */
  rollback(mark: number): void {
    this.#text = "";
    this.#length = Math.min(mark, this.#length);
  }

  /**
   * Takes back what {@linkcode take} gave, once it is written and nobody looks at it any more: the next output uses
   * its memory. Below {@linkcode KEEP_OCTETS} it stays with this session, else any of the thread may have it, so that idle
   * sessions hold none.
   */
  give(written: Uint8Array<ArrayBuffer>): void {
    const size = written.buffer.byteLength;
    if (size === KEEP_OCTETS) {
      if (spareShort.length < MAX_SPARE_SHORT) spareShort.push(new Uint8Array(written.buffer));
    } else if (size === LONG_OCTETS) {
      if (spareLong.length < MAX_SPARE_LONG) spareLong.push(new Uint8Array(written.buffer));
    } else if (this.#buffer === EMPTY && size <= this.#leastOctets) {
      this.#buffer = new Uint8Array(written.buffer);
    }
  }

  /** Everything collected so far; valid until the caller has written it, never touched again here. */
  take(): Uint8Array<ArrayBuffer> {
    this.#encode();
    const taken = this.#buffer.subarray(0, this.#length);
    this.#initialOctets = Math.min(Math.max(this.#length, this.#leastOctets), START_LIMIT_OCTETS);
    this.#buffer = EMPTY;
    this.#length = 0;
    return taken;
  }

  #encode(): void {
    if (this.#text.length === 0) return;
    this.#reserve(this.#text.length * 3);
    this.#length += encoder.encodeInto(this.#text, this.#buffer.subarray(this.#length)).written;
    this.#text = "";
  }

  #reserve(size: number): void {
    const wanted = this.#length + size;
    if (wanted <= this.#buffer.length) return;
    const grown = room(Math.max(wanted, this.#buffer.length * 2, this.#initialOctets));
    if (this.#length > 0) {
      grown.set(this.#buffer.subarray(0, this.#length));
      this.give(this.#buffer);
    }
    this.#buffer = grown;
  }
}

/** Memory for at least so many octets; what it holds is from an earlier output. */
function room(octets: number): Uint8Array<ArrayBuffer> {
  if (octets === KEEP_OCTETS) return spareShort.pop() ?? new Uint8Array(KEEP_OCTETS);
  if (octets > KEEP_OCTETS && octets <= LONG_OCTETS) return spareLong.pop() ?? new Uint8Array(LONG_OCTETS);
  return new Uint8Array(octets);
}
