/**
 * A circuit breaker: after so many faults in a row the other side is left alone for a while, which grows while it
 * stays silent.
 */
const FAULTS = 3;
const FIRST_MS = 60_000;
const MAX_MS = 3_600_000;

export class Breaker {
  #now: () => number;
  #faults: number;
  #openUntil: number;
  #waitMs: number;

  /** `now` in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#faults = 0;
    this.#openUntil = 0;
    this.#waitMs = FIRST_MS;
  }

  /** Nothing is to be asked now. */
  get open(): boolean {
    return this.#openUntil > 0 && this.#now() < this.#openUntil;
  }

  worked(): void {
    this.#faults = 0;
    this.#waitMs = FIRST_MS;
  }

  /** True when this fault opened it. `atOnce`: it was no accident. */
  failed(atOnce = false): boolean {
    this.#faults++;
    if (!atOnce && this.#faults < FAULTS) return false;
    this.#openUntil = this.#now() + this.#waitMs;
    this.#waitMs = Math.min(MAX_MS, this.#waitMs * 2);
    this.#faults = FAULTS - 1; // one more after the wait opens it again
    return true;
  }
}
