/**
 * A table of octets that all threads share, in one SharedArrayBuffer whose size never changes.
 *
 * Values lie behind one another in a ring, the newest over the oldest; a small index of eight places for each hash leads to
 * them. Nobody waits: who reads takes a copy and believes it only when its checksums and its key are right, so that a value
 * that is written over meanwhile is a miss; who writes lets it be when another thread writes at that moment. A thread that dies
 * while it writes leaves the lock behind, which is taken from it after {@linkcode LOCK_MS}. Derived data: anything may be
 * missing at any time. Times are milliseconds of a clock that all threads agree on, given by the caller. Pure.
 */
import { encode } from "../bytes/decode.ts";

export interface SharedValue {
  /** A copy. */
  readonly octets: Uint8Array;
  readonly expires: number;
}

/** Longer than any write takes. */
const LOCK_MS = 1_000;
const WAYS = 8;
/** One place of the index for so many octets of values. */
const OCTETS_PER_PLACE = 256;
/** In 32-bit words: the lock, where the ring goes on, what checksums begin with. */
const LOCK = 0, HEAD = 1, SEED = 2, CONTROL_WORDS = 4;
/** Two checksums, length of key and of value, expiry. */
const HEADER_OCTETS = 24;
const ALIGNMENT = 8;
const MAX_KEY_OCTETS = 2_048;
/** A value may take this part of the ring. */
const MAX_PART = 1 / 16;

export class SharedTable {
  readonly #control: Int32Array;
  /** Hash and offset + 1 of each place. */
  readonly #index: Int32Array;
  readonly #ring: Uint8Array;
  readonly #view: DataView;
  readonly #sets: number;

  constructor(buffer: SharedArrayBuffer) {
    const places = placesFor(buffer.byteLength);
    this.#sets = places / WAYS;
    this.#control = new Int32Array(buffer, 0, CONTROL_WORDS);
    this.#index = new Int32Array(buffer, CONTROL_WORDS * 4, places * 2);
    const start = (CONTROL_WORDS + places * 2) * 4;
    this.#ring = new Uint8Array(buffer, start);
    this.#view = new DataView(buffer, start);
  }

  /** All of it together has `octets`, at least 16 kB. `seed` keeps peers from choosing what collides. */
  static buffer(octets: number, seed: number): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer(Math.max(16_384, Math.floor(octets / ALIGNMENT) * ALIGNMENT));
    new Int32Array(buffer)[SEED] = seed;
    return buffer;
  }

  /** Null when it is not there, or was written over just now. */
  get(key: string): SharedValue | null {
    const name = encode(key), hash = this.#hash(name), first = this.#setOf(hash);
    for (let place = first; place < first + WAYS; place++) {
      if (Atomics.load(this.#index, 2 * place) !== hash) continue;
      const at = Atomics.load(this.#index, 2 * place + 1) - 1;
      const found = at < 0 ? null : this.#read(at, name);
      if (found !== null) return found;
    }
    return null;
  }

  /** Keeps a copy, perhaps. `now` is for the lock alone. */
  put(key: string, value: SharedValue, now: number): void {
    const name = encode(key);
    const size = aligned(HEADER_OCTETS + name.length + value.octets.length);
    if (name.length > MAX_KEY_OCTETS || size > this.#ring.length * MAX_PART) return;
    const stamp = this.#lock(now);
    if (stamp === 0) return;
    try {
      let at = this.#control[HEAD]! * ALIGNMENT;
      if (at + size > this.#ring.length) at = 0;
      this.#write(at, name, value);
      this.#control[HEAD] = (at + size) / ALIGNMENT;
      this.#enter(this.#hash(name), at);
    } finally {
      Atomics.compareExchange(this.#control, LOCK, stamp, 0);
    }
  }

  /** The stamp it is held by; 0: another thread has it. */
  #lock(now: number): number {
    const stamp = (Math.floor(now) | 0) || 1;
    const held = Atomics.compareExchange(this.#control, LOCK, 0, stamp);
    if (held === 0) return stamp;
    if (Math.abs((stamp - held) | 0) < LOCK_MS) return 0;
    return Atomics.compareExchange(this.#control, LOCK, held, stamp) === held ? stamp : 0;
  }

  #write(at: number, name: Uint8Array, { octets, expires }: SharedValue): void {
    const record = new Uint8Array(HEADER_OCTETS + name.length + octets.length);
    const view = new DataView(record.buffer);
    view.setUint32(8, name.length);
    view.setUint32(12, octets.length);
    view.setFloat64(16, expires);
    record.set(name, HEADER_OCTETS);
    record.set(octets, HEADER_OCTETS + name.length);
    const [first, second] = this.#checksums(record);
    view.setInt32(0, first);
    view.setInt32(4, second);
    this.#ring.set(record, at);
  }

  #read(at: number, name: Uint8Array): SharedValue | null {
    if (at + HEADER_OCTETS > this.#ring.length) return null;
    const keyOctets = this.#view.getUint32(at + 8), octets = this.#view.getUint32(at + 12);
    const size = HEADER_OCTETS + keyOctets + octets;
    if (keyOctets !== name.length || at + size > this.#ring.length) return null;
    const record = this.#ring.slice(at, at + size), view = new DataView(record.buffer);
    // The lengths are looked at again: they may be others in the copy.
    if (view.getUint32(8) !== keyOctets || view.getUint32(12) !== octets) return null;
    const [first, second] = this.#checksums(record);
    if (view.getInt32(0) !== first || view.getInt32(4) !== second) return null;
    for (let i = 0; i < keyOctets; i++) if (record[HEADER_OCTETS + i] !== name[i]) return null;
    return { octets: record.subarray(HEADER_OCTETS + keyOctets), expires: view.getFloat64(16) };
  }

  /** In the place of what has the same hash, of nothing, or of the oldest. */
  #enter(hash: number, at: number): void {
    const first = this.#setOf(hash);
    let best = first, farthest = -1;
    for (let place = first; place < first + WAYS; place++) {
      const known = this.#index[2 * place + 1]! - 1;
      if (known < 0 || this.#index[2 * place] === hash) {
        best = place;
        break;
      }
      const age = at > known ? at - known : at - known + this.#ring.length;
      if (age > farthest) [best, farthest] = [place, age];
    }
    Atomics.store(this.#index, 2 * best + 1, at + 1);
    Atomics.store(this.#index, 2 * best, hash);
  }

  #setOf(hash: number): number {
    return (hash >>> 0) % this.#sets * WAYS;
  }

  #hash(octets: Uint8Array): number {
    let hash = this.#control[SEED]! ^ 0x811c9dc5;
    for (const octet of octets) hash = Math.imul(hash ^ octet, 0x01000193);
    return hash ^ hash >>> 15;
  }

  /** Of everything behind them. */
  #checksums(record: Uint8Array): [number, number] {
    let first = this.#control[SEED]! ^ 0x811c9dc5, second = ~this.#control[SEED]! ^ 0x9747b28c;
    for (let at = 8; at < record.length; at++) {
      first = Math.imul(first ^ record[at]!, 0x01000193);
      second = Math.imul(second ^ record[at]!, 0x5bd1e995);
      second ^= second >>> 15;
    }
    return [first | 0, second | 0];
  }
}

function placesFor(octets: number): number {
  const wanted = Math.max(WAYS, Math.floor(octets / OCTETS_PER_PLACE));
  return 2 ** Math.floor(Math.log2(wanted));
}

function aligned(octets: number): number {
  return Math.ceil(octets / ALIGNMENT) * ALIGNMENT;
}
