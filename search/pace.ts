/**
 * How the indexer shares a processor: so long at work, so long away, again and again.
 *
 * In a thread of its own the system's scheduler does most of it (server/indexer_part.ts gives the thread a low
 * priority); in the only thread of `threads: 0` the slices are short, so that sessions wait little for them. A thread that
 * only takes idle moments still takes memory caches and the disk's journal from the others: in a rush of deliveries
 * it waits.
 */
export interface Pace {
  /** Milliseconds at a stretch; one message is never interrupted. */
  readonly workMs: number;
  readonly restMs: number;
  /** For how long a rush of new mail goes first; what has come by then is indexed beside it. */
  readonly rushMs: number;
}

export const OWN_THREAD: Pace = { workMs: 50, restMs: 10, rushMs: 10_000 };
export const SHARED_THREAD: Pace = { workMs: 5, restMs: 20, rushMs: 10_000 };
/** For commands that do nothing else. */
export const ALONE: Pace = { workMs: 200, restMs: 0, rushMs: 0 };

/** Messages in a window that are a rush: 200 a second. */
const RUSH_MESSAGES = 100;
const WINDOW_MS = 500;
/** Between two looks whether the rush is over. */
const LOOK_MS = 100;

/** How fast mail comes in, by the last whole window of time and the one that runs. */
class Rush {
  #windowBegan = 0;
  #inWindow = 0;
  #before = 0;

  arrived(messages: number): void {
    this.#turn(performance.now());
    this.#inWindow += messages;
  }

  get on(): boolean {
    this.#turn(performance.now());
    return Math.max(this.#before, this.#inWindow) >= RUSH_MESSAGES;
  }

  #turn(now: number): void {
    const windows = Math.floor((now - this.#windowBegan) / WINDOW_MS);
    if (windows === 0) return;
    this.#before = windows === 1 ? this.#inWindow : 0;
    this.#inWindow = 0;
    this.#windowBegan = now;
  }
}

export class Breather {
  #pace: Pace;
  #since: number;
  #rush: Rush;
  /** By performance.now(); null outside a rush. */
  #rushSince: number | null;

  constructor(pace: Pace) {
    this.#pace = pace;
    this.#since = performance.now();
    this.#rush = new Rush();
    this.#rushSince = null;
  }

  /** So many messages have come into mailboxes. */
  arrived(messages: number): void {
    this.#rush.arrived(messages);
  }

  /** To be awaited between messages. */
  async breathe(): Promise<void> {
    await this.#waitOutRush();
    if (performance.now() - this.#since < this.#pace.workMs) return;
    await pause(this.#pace.restMs);
    this.#since = performance.now();
  }

  async #waitOutRush(): Promise<void> {
    while (this.#rush.on) {
      this.#rushSince ??= performance.now();
      if (performance.now() - this.#rushSince >= this.#pace.rushMs) return;
      await pause(LOOK_MS);
    }
    this.#rushSince = null;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
