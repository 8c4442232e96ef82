/**
 * How the indexer shares a processor: so long at work, so long away, again and again.
 *
 * In a thread of its own the system's scheduler does most of it (server/indexer_part.ts gives the thread a low
 * priority); in the only thread of `threads: 0` the slices are short, so that sessions wait little for them.
 */
export interface Pace {
  /** Milliseconds at a stretch; one message is never interrupted. */
  readonly workMs: number;
  readonly restMs: number;
}

export const OWN_THREAD: Pace = { workMs: 50, restMs: 10 };
export const SHARED_THREAD: Pace = { workMs: 5, restMs: 20 };
/** For commands that do nothing else. */
export const ALONE: Pace = { workMs: 200, restMs: 0 };

export class Breather {
  #pace: Pace;
  #since: number;

  constructor(pace: Pace) {
    this.#pace = pace;
    this.#since = performance.now();
  }

  /** To be awaited between messages. */
  async breathe(): Promise<void> {
    if (performance.now() - this.#since < this.#pace.workMs) return;
    await new Promise((resolve) => setTimeout(resolve, this.#pace.restMs));
    this.#since = performance.now();
  }
}
