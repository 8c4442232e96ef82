/**
 * Limits of the whole server: connections per address, per listener and in all, failed logins per address.
 *
 * The counts lie in one SharedArrayBuffer. Connections have one column per thread: a thread writes to its own only,
 * everybody reads the sum, and the column of a thread that died is zeroed. Failed logins have one table for all,
 * because they must outlive the thread that saw them, and beside it what was refused a moment ago, as digests under a key
 * of this process: a table of one place each, where the younger takes the place of the older. Addresses are hashed into two tables and the
 * smaller sum counts (a count-min sketch): memory is fixed however many addresses come, a count is never too low,
 * and too high only when an address shares its cell in both tables. An IPv6 peer counts as its /64, because that is
 * what one customer gets. Two threads that admit at the same instant may both be refused; never both let in.
 */
import { type FailureCounter, failureKey, type RepeatMemory } from "../auth/failures.ts";
import { type Config, MAX_LISTENERS } from "./config/config.ts";

/** Cells of one table; a power of two. */
const CELLS = 4_096;
const TABLES = 2;

/** What one thread writes, as offsets into its column of 32-bit cells. */
const CONNECTIONS = 0;
const TOTAL = CONNECTIONS + TABLES * CELLS;
const LISTENERS = TOTAL + 1;
const COLUMN = LISTENERS + MAX_LISTENERS;
/** Cells of what was refused: a digest and the time until which it counts. */
const REPEATS = 2 * CELLS;
/** 32 random octets, common to all threads. */
const KEY = 8;
/** Unit of the times at which a bucket of failures is empty, milliseconds. */
const TICK_MS = 100;

export interface SharedLimitOptions {
  /** Connections at one time in all. */
  readonly connections: number;
  /** Connections at one time from one address (IPv6: from one /64). */
  readonly connectionsPerAddress: number;
  /** Milliseconds in which one failed login is forgotten. */
  readonly loginFailureLeakMs: number;
}

export const DEFAULT_SHARED_LIMITS: SharedLimitOptions = {
  connections: 10_000,
  connectionsPerAddress: 200,
  loginFailureLeakMs: 45_000,
};

/** The shared limits as the configuration has them. */
export function limitOptions({ limits }: Pick<Config, "limits">): SharedLimitOptions {
  return {
    connections: limits.connections,
    connectionsPerAddress: limits.connectionsPerAddress,
    loginFailureLeakMs: Math.ceil(limits.loginFailureWindowMs / limits.loginFailuresPerAddress),
  };
}

/** `admitted`, or which limit stands in the way. */
export type Admission = "admitted" | "address" | "total" | "listener";

/** The listener of a connection, by its place in the configuration, and how many it takes at one time; 0 any number. */
export interface Door {
  readonly at: number;
  readonly connections: number;
}
const NO_DOOR: Door = { at: 0, connections: 0 };

export class SharedLimits implements FailureCounter, RepeatMemory {
  readonly buffer: SharedArrayBuffer;
  readonly #column: number;
  readonly #columns: number;
  readonly #cells: Int32Array;
  /** Start of the failure tables, and the clock's time that their zero means. */
  readonly #failures: number;
  readonly #repeats: number;
  readonly #epoch: number;
  #options: SharedLimitOptions;

  /**
   * The view of the thread that owns `column` (left out: the last); `epoch` is a time before all others, common to all
   * threads.
   */
  constructor(
    buffer: SharedArrayBuffer,
    parts: { column?: number; options?: SharedLimitOptions; epoch: number },
  ) {
    this.buffer = buffer;
    this.#cells = new Int32Array(buffer);
    this.#columns = (this.#cells.length - TABLES * CELLS - REPEATS - KEY) / COLUMN;
    this.#column = parts.column ?? this.#columns - 1;
    this.#failures = this.#columns * COLUMN;
    this.#repeats = this.#failures + TABLES * CELLS;
    this.#epoch = parts.epoch;
    this.#options = parts.options ?? DEFAULT_SHARED_LIMITS;
  }

  static buffer(columns: number): SharedArrayBuffer {
    const cells = new Int32Array(
      new SharedArrayBuffer((columns * COLUMN + TABLES * CELLS + REPEATS + KEY) * 4),
    );
    cells.set(crypto.getRandomValues(new Int32Array(KEY)), cells.length - KEY);
    return cells.buffer;
  }

  /** For digests of what must be the same in all threads; a copy. */
  get key(): Uint8Array {
    return new Uint8Array(this.#cells.slice(this.#cells.length - KEY).buffer);
  }

  first(what: string, now: number, forMs: number): boolean {
    const [place, digest] = hashes(what);
    const at = this.#repeats + 2 * (place & (CELLS - 1));
    const ticks = this.#ticks(now);
    const known = Atomics.exchange(this.#cells, at, digest) === digest;
    const until = Atomics.exchange(this.#cells, at + 1, ticks + Math.ceil(forMs / TICK_MS));
    return !known || until <= ticks;
  }

  /** New limits for connections to come. */
  configure(options: SharedLimitOptions): void {
    this.#options = options;
  }

  /** Counts a connection in when it may come; {@linkcode release} counts it out. */
  admit(address: string, door = NO_DOOR): Admission {
    const [first, second] = cellsOf(address);
    this.#add(CONNECTIONS + first, 1);
    this.#add(CONNECTIONS + second, 1);
    this.#add(TOTAL, 1);
    if (door.connections > 0) this.#add(LISTENERS + door.at, 1);
    const perAddress = Math.min(this.#sum(CONNECTIONS + first), this.#sum(CONNECTIONS + second));
    const verdict = this.#sum(TOTAL) > this.#options.connections
      ? "total"
      : perAddress > this.#options.connectionsPerAddress
      ? "address"
      : door.connections > 0 && this.#sum(LISTENERS + door.at) > door.connections
      ? "listener"
      : "admitted";
    if (verdict !== "admitted") this.release(address, door);
    return verdict;
  }

  release(address: string, door = NO_DOOR): void {
    const [first, second] = cellsOf(address);
    this.#add(CONNECTIONS + first, -1);
    this.#add(CONNECTIONS + second, -1);
    this.#add(TOTAL, -1);
    if (door.connections > 0) this.#add(LISTENERS + door.at, -1);
  }

  /** Connections of all threads. */
  connections(): number {
    return this.#sum(TOTAL);
  }

  connectionsOf(address: string): number {
    const [first, second] = cellsOf(address);
    return Math.min(this.#sum(CONNECTIONS + first), this.#sum(CONNECTIONS + second));
  }

  /** See {@linkcode FailureCounter}: a bucket per address that leaks one failure in this time. */
  get leakMs(): number {
    return this.#options.loginFailureLeakMs;
  }

  count(address: string, now: number): number {
    const level = Math.min(
      ...cellsOf(address).map((cell) => Atomics.load(this.#cells, this.#failures + cell)),
    );
    return Math.max(0, level - this.#ticks(now)) * TICK_MS / this.leakMs;
  }

  add(address: string, now: number): number {
    const ticks = this.#ticks(now);
    const leak = Math.max(1, Math.round(this.leakMs / TICK_MS));
    for (const cell of cellsOf(address)) {
      for (;;) {
        const at = this.#failures + cell;
        const emptyAt = Atomics.load(this.#cells, at);
        const next = Math.min(Math.max(emptyAt, ticks) + leak, 0x7fffffff);
        if (Atomics.compareExchange(this.#cells, at, emptyAt, next) === emptyAt) break;
      }
    }
    return this.count(address, now);
  }

  /** Forgets what a thread that died had counted. */
  clearColumn(column: number): void {
    this.#cells.fill(0, column * COLUMN, (column + 1) * COLUMN);
  }

  /** Cells hold the time at which the bucket is empty: 2^31 ticks are 6.8 years of one process. */
  #ticks(now: number): number {
    return Math.max(0, Math.floor((now - this.#epoch) / TICK_MS));
  }

  #add(offset: number, value: number): void {
    Atomics.add(this.#cells, this.#column * COLUMN + offset, value);
  }

  #sum(offset: number): number {
    let sum = 0;
    for (let column = 0; column < this.#columns; column++) {
      sum += Atomics.load(this.#cells, column * COLUMN + offset);
    }
    return sum;
  }
}

/** The cell of the address in each table. */
function cellsOf(address: string): [number, number] {
  const [first, second] = hashes(failureKey(address));
  return [first & (CELLS - 1), CELLS + (second & (CELLS - 1))];
}

function hashes(text: string): [number, number] {
  let first = 0x811c9dc5, second = 0x9747b28c;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x5bd1e995);
    second ^= second >>> 15;
  }
  first ^= first >>> 16;
  second ^= second >>> 13;
  return [first | 0, second | 0];
}
