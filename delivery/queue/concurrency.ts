/**
 * How many connections a destination gets: few at first, more as mail gets through, fewer when it pushes back.
 *
 * Slow start: each message that gets through allows one connection more, up to where the last push-back was; from there on
 * one more for each round of messages. A push-back (421, 4yz to a transaction, a lost or refused connection) halves; what one
 * round of connections says counts once. Never below one, never above the limit.
 *
 * What is allowed is opened only where it helps: while a destination's answers are there as soon as they are looked for, or soon
 * after, and {@linkcode BUSY_CONNECTIONS} are open, the peers wait for us, and one more would only take time from the others
 * (bench/queue.ts). Pure: times are arguments, milliseconds.
 */

/** Connections of a destination that nothing is known of. */
export const FIRST_CONNECTIONS = 5;
/** Push-backs within this time are one. */
const ROUND_MS = 1_000;
/** So many connections to peers that answer soon give the thread all the work it can do. */
export const BUSY_CONNECTIONS = 64;
/** An answer that was waited for so long came from far, or from somebody slow. */
const LONG_MS = 20;
/** Of how often an answer was waited for so long, less how often it was not: as far as this is counted. */
const MOST_SLOW = 5, LEAST_SLOW = -8;
/** Above this the peer counts as slow. */
const OFTEN_SLOW = 3;
/** Where no connection has heard anything for so long, what is known of better times does not count. */
const SILENT_MS = 100;

export class Concurrency {
  readonly #most: number;
  #window: number;
  #threshold: number;
  #cutAt: number;
  #slow: number;
  /** Null where nobody waits, or one that waits may not be the only one. */
  #silentSince: number | null;

  constructor(most: number) {
    this.#most = most;
    this.#window = Math.min(FIRST_CONNECTIONS, most);
    this.#threshold = most;
    this.#cutAt = -Infinity;
    this.#slow = OFTEN_SLOW; // the first answer says which it is
    this.#silentSince = null;
  }

  get connections(): number {
    return Math.floor(this.#window);
  }

  /** From when on a connection more helps however many there are: the peer is slow, or silent. */
  get helpsAt(): number {
    if (this.#slow > OFTEN_SLOW) return -Infinity;
    return this.#silentSince === null ? Infinity : this.#silentSince + SILENT_MS;
  }

  /** A connection looked for an answer that was not there yet. */
  waits(now: number): void {
    this.#silentSince ??= now;
  }

  /** An answer came, so long after it was looked for. */
  answered(afterMs: number): void {
    this.#slow = afterMs >= LONG_MS
      ? Math.min(MOST_SLOW, this.#slow + 1)
      : Math.max(LEAST_SLOW, this.#slow - 1);
    this.#silentSince = null;
  }

  succeeded(): void {
    const step = this.#window < this.#threshold ? 1 : 1 / this.#window;
    this.#window = Math.min(this.#most, this.#window + step);
  }

  pushedBack(now: number): void {
    if (now - this.#cutAt < ROUND_MS) return;
    this.#cutAt = now;
    this.#threshold = this.#window = Math.max(1, this.#window / 2);
  }

  /** Has the peer say how many it bears: those that are open now. */
  atMost(connections: number): void {
    this.#threshold = this.#window = Math.max(1, Math.min(this.#window, connections));
  }
}
