/**
 * How many connections a destination gets: few at first, more as mail gets through, fewer when it pushes back.
 *
 * Slow start: each message that gets through allows one connection more, up to where the last push-back was; from there on
 * one more for each round of messages. A push-back (421, 4yz to a transaction, a lost or refused connection) halves; what one
 * round of connections says counts once. Never below one, never above the limit. Pure: times are arguments, milliseconds.
 */

/** Connections of a destination that nothing is known of. */
export const FIRST_CONNECTIONS = 5;
/** Push-backs within this time are one. */
const ROUND_MS = 1_000;

export class Concurrency {
  readonly #most: number;
  #window: number;
  #threshold: number;
  #cutAt: number;

  constructor(most: number) {
    this.#most = most;
    this.#window = Math.min(FIRST_CONNECTIONS, most);
    this.#threshold = most;
    this.#cutAt = -Infinity;
  }

  get connections(): number {
    return Math.floor(this.#window);
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
