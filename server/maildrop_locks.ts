/**
 * Exclusive locks of maildrops over all threads (RFC 1939 4): one POP3 session per account.
 *
 * They lie in one SharedArrayBuffer: buckets of 64-bit cells, each free (0) or an account and the column of the thread
 * that holds it. To lock is to claim a free cell of the account's bucket and then to look for another cell of the same
 * account: two threads that claim at the same instant both see each other and both step back; never do both get it.
 * Whoever waits tries again after a short random time. The column of a thread that died is freed by main. An account
 * whose bucket is full has to wait, which takes {@linkcode CELLS} other sessions that hash to it.
 */

/** Buckets; a power of two. */
const BUCKETS = 1_024;
const CELLS = 32;
const COLUMN_BITS = 16n;
const COLUMN_MASK = (1n << COLUMN_BITS) - 1n;
/** Between two tries of a session that waits, milliseconds; up to the half more. */
const RETRY_MS = 80;

export interface MaildropLocksOptions {
  /** The calling thread's number, from 0. */
  readonly column: number;
  readonly sleep?: (ms: number) => Promise<void>;
  /** 0 to 1. */
  readonly random?: () => number;
}

export class MaildropLocks {
  #cells: BigInt64Array;
  #column: bigint;
  #sleep: (ms: number) => Promise<void>;
  #random: () => number;

  constructor(buffer: SharedArrayBuffer, options: MaildropLocksOptions) {
    this.#cells = new BigInt64Array(buffer);
    this.#column = BigInt(options.column + 1);
    this.#sleep = options.sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    this.#random = options.random ?? Math.random;
  }

  static buffer(): SharedArrayBuffer {
    return new SharedArrayBuffer(BUCKETS * CELLS * 8);
  }

  /** Locks at once or not at all; returns the way to unlock (once), or null. */
  tryLock(accountId: number): (() => void) | null {
    const mine = (BigInt(accountId) << COLUMN_BITS) | this.#column;
    const first = (Math.imul(accountId, 0x9e3779b1) >>> 16 & (BUCKETS - 1)) * CELLS;
    let claimed = -1;
    for (let at = first; at < first + CELLS && claimed < 0; at++) {
      if (Atomics.compareExchange(this.#cells, at, 0n, mine) === 0n) claimed = at;
    }
    if (claimed < 0) return null;
    for (let at = first; at < first + CELLS; at++) {
      if (at === claimed || Atomics.load(this.#cells, at) >> COLUMN_BITS !== BigInt(accountId)) continue;
      Atomics.store(this.#cells, claimed, 0n);
      return null;
    }
    let held = true;
    return () => {
      if (held) Atomics.store(this.#cells, claimed, 0n);
      held = false;
    };
  }

  /** Locks, waiting up to `waitMs` while somebody else holds it; null when that was not enough or `signal` ended it. */
  async lock(
    accountId: number,
    options: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<(() => void) | null> {
    for (let waitedMs = 0;;) {
      const unlock = this.tryLock(accountId);
      if (unlock !== null) return unlock;
      if (waitedMs >= options.waitMs || options.signal.aborted) return null;
      const ms = Math.min(options.waitMs - waitedMs, RETRY_MS * (1 + this.#random() / 2));
      await this.#sleep(ms);
      waitedMs += ms;
    }
  }

  /** Locks held now, by all threads. */
  count(): number {
    let held = 0;
    for (let at = 0; at < this.#cells.length; at++) if (Atomics.load(this.#cells, at) !== 0n) held++;
    return held;
  }

  /** Frees what a thread that died had locked. */
  clearColumn(column: number): void {
    for (let at = 0; at < this.#cells.length; at++) {
      const cell = Atomics.load(this.#cells, at);
      if ((cell & COLUMN_MASK) === BigInt(column + 1)) Atomics.compareExchange(this.#cells, at, cell, 0n);
    }
  }
}
