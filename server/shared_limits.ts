/**
 * Limits of the whole server: connections per address and in all, failed logins per address.
 *
 * The counts lie in one SharedArrayBuffer, one column per thread: a thread writes to its own column only, everybody
 * reads the sum, and the column of a thread that died is zeroed. Addresses are hashed into two tables and the
 * smaller sum counts (a count-min sketch): memory is fixed however many addresses come, a count is never too low,
 * and too high only when an address shares its cell in both tables. An IPv6 peer counts as its /64, because that is
 * what one customer gets. Two threads that admit at the same instant may both be refused; never both let in.
 */

/** Cells of one table; a power of two. */
const CELLS = 4_096;
const TABLES = 2;

/** What one thread writes, as offsets into its column of 32-bit cells. */
const CONNECTIONS = 0;
const FAILURES = CONNECTIONS + TABLES * CELLS;
/** Second (of the injected clock) of the newest failure in a cell. */
const FAILED_AT = FAILURES + TABLES * CELLS;
const TOTAL = FAILED_AT + TABLES * CELLS;
const COLUMN = TOTAL + 1;

export interface SharedLimitOptions {
  /** Connections at one time in all. */
  readonly connections: number;
  /** Connections at one time from one address (IPv6: from one /64). */
  readonly connectionsPerAddress: number;
  /** Milliseconds after which failed logins of an address are forgotten. */
  readonly loginFailureWindowMs: number;
}

export const DEFAULT_SHARED_LIMITS: SharedLimitOptions = {
  connections: 10_000,
  connectionsPerAddress: 200,
  loginFailureWindowMs: 15 * 60_000,
};

/** `admitted`, or which limit stands in the way. */
export type Admission = "admitted" | "address" | "total";

export class SharedLimits {
  readonly buffer: SharedArrayBuffer;
  readonly #column: number;
  readonly #columns: number;
  readonly #cells: Int32Array;
  readonly #now: () => number;
  #options: SharedLimitOptions;

  /** The view of the thread that owns `column`; `now` in milliseconds, common to all threads. */
  constructor(
    buffer: SharedArrayBuffer,
    parts: { column: number; options?: SharedLimitOptions; now: () => number },
  ) {
    this.buffer = buffer;
    this.#column = parts.column;
    this.#columns = buffer.byteLength / (COLUMN * 4);
    this.#cells = new Int32Array(buffer);
    this.#now = parts.now;
    this.#options = parts.options ?? DEFAULT_SHARED_LIMITS;
  }

  static buffer(columns: number): SharedArrayBuffer {
    return new SharedArrayBuffer(columns * COLUMN * 4);
  }

  /** New limits for connections to come. */
  configure(options: SharedLimitOptions): void {
    this.#options = options;
  }

  /** Counts a connection in when it may come; {@linkcode release} counts it out. */
  admit(address: string): Admission {
    const [first, second] = cellsOf(address);
    this.#add(CONNECTIONS + first, 1);
    this.#add(CONNECTIONS + second, 1);
    this.#add(TOTAL, 1);
    const perAddress = Math.min(this.#sum(CONNECTIONS + first), this.#sum(CONNECTIONS + second));
    const verdict = this.#sum(TOTAL) > this.#options.connections
      ? "total"
      : perAddress > this.#options.connectionsPerAddress
      ? "address"
      : "admitted";
    if (verdict !== "admitted") this.release(address);
    return verdict;
  }

  release(address: string): void {
    const [first, second] = cellsOf(address);
    this.#add(CONNECTIONS + first, -1);
    this.#add(CONNECTIONS + second, -1);
    this.#add(TOTAL, -1);
  }

  /** Connections of all threads. */
  connections(): number {
    return this.#sum(TOTAL);
  }

  connectionsOf(address: string): number {
    const [first, second] = cellsOf(address);
    return Math.min(this.#sum(CONNECTIONS + first), this.#sum(CONNECTIONS + second));
  }

  loginFailed(address: string): void {
    const base = this.#column * COLUMN;
    for (const cell of cellsOf(address)) {
      if (!this.#fresh(this.#column, cell)) Atomics.store(this.#cells, base + FAILURES + cell, 0);
      this.#add(FAILURES + cell, 1);
      Atomics.store(this.#cells, base + FAILED_AT + cell, this.#second());
    }
  }

  /** A right password: this thread's count of the address starts anew. */
  loginSucceeded(address: string): void {
    for (const cell of cellsOf(address)) {
      Atomics.store(this.#cells, this.#column * COLUMN + FAILURES + cell, 0);
    }
  }

  /** Failed logins of the address within the window, as all threads saw them. */
  loginFailures(address: string): number {
    const counts = cellsOf(address).map((cell) => {
      let count = 0;
      for (let column = 0; column < this.#columns; column++) {
        if (this.#fresh(column, cell)) {
          count += Atomics.load(this.#cells, column * COLUMN + FAILURES + cell);
        }
      }
      return count;
    });
    return Math.min(...counts);
  }

  /** Forgets what a thread that died had counted. */
  clearColumn(column: number): void {
    this.#cells.fill(0, column * COLUMN, (column + 1) * COLUMN);
  }

  #fresh(column: number, cell: number): boolean {
    const at = Atomics.load(this.#cells, column * COLUMN + FAILED_AT + cell);
    return (this.#second() - at) * 1000 <= this.#options.loginFailureWindowMs;
  }

  /** Seconds since the epoch fit 32 bits signed until 2038, unsigned differences for long after. */
  #second(): number {
    return Math.floor(this.#now() / 1000) | 0;
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
  const network = networkOf(address);
  let first = 0x811c9dc5, second = 0x9747b28c;
  for (let at = 0; at < network.length; at++) {
    const code = network.charCodeAt(at);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x5bd1e995);
    second ^= second >>> 15;
  }
  first ^= first >>> 16;
  second ^= second >>> 13;
  return [first & (CELLS - 1), CELLS + (second & (CELLS - 1))];
}

/** IPv4 addresses whole, IPv6 addresses by their first 64 bits. */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  if (tail !== undefined) {
    const after = tail === "" ? 0 : tail.split(":").length + (tail.includes(".") ? 1 : 0);
    while (groups.length + after < 8) groups.push("0");
    groups.push(...tail.split(":"));
  }
  return groups.slice(0, 4).map((group) => group.toLowerCase().replace(/^0+(?=.)/, "")).join(":") + "::/64";
}
