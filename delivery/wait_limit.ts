/**
 * How long one connection waits for its peer at most.
 *
 * A timer for each wait would be set and taken back several times a message. One serves them all: it runs on when a wait
 * ends, and when it fires in a wait that began after it, that wait gets its whole time. So a wait ends after its time, and
 * after twice its time at most. One wait at a time.
 */
import type { Timers } from "./connector.ts";

export class WaitLimit {
  readonly #timers: Pick<Timers, "after">;
  readonly #late: () => void;
  /** Of the running timer: how long it was set to, and what takes it back. */
  #timer: { readonly ms: number; readonly cancel: () => void } | null;
  /** Milliseconds that the present wait may last; null between two. */
  #waitMs: number | null;
  /** The present wait began after the timer. */
  #younger: boolean;
  #expired: boolean;

  /** `late` ends what is waited for. */
  constructor(timers: Pick<Timers, "after">, late: () => void) {
    this.#timers = timers;
    this.#late = late;
    this.#timer = null;
    this.#waitMs = null;
    this.#younger = false;
    this.#expired = false;
  }

  /** Rejects with {@linkcode TimedOut} when the time is over. */
  async within<T>(ms: number, work: Promise<T>): Promise<T> {
    this.#waitMs = ms;
    this.#younger = this.#timer !== null && this.#timer.ms <= ms;
    if (!this.#younger) this.#start(ms);
    try {
      const value = await work;
      if (this.#expired) throw new TimedOut();
      return value;
    } catch (error) {
      throw this.#expired ? new TimedOut() : error;
    } finally {
      this.#waitMs = null;
    }
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }

  #start(ms: number): void {
    this.stop();
    this.#timer = { ms, cancel: this.#timers.after(ms, () => this.#fired()) };
  }

  #fired(): void {
    this.#timer = null;
    if (this.#waitMs === null) return;
    if (this.#younger) {
      this.#younger = false;
      return this.#start(this.#waitMs);
    }
    this.#expired = true;
    this.#late();
  }
}

export class TimedOut extends Error {
  override readonly name = "TimedOut";
}
