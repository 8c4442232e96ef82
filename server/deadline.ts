/**
 * Deadlines of all sessions of a thread on one coarse timer.
 *
 * Thousands of waiting sessions cost one tick instead of one timer each. Moving a deadline later, which every
 * command does, is one assignment: the entry is looked at again when its old tick comes. A deadline fires up to
 * {@linkcode TICK_MS} late, never early. A cancelled one is taken
 * out at once: with thousands of short connections a second, what they held must not wait for its tick. Clock and tick
 * source are injected.
 */

/** Resolution in milliseconds. */
export const TICK_MS = 500;

/** One wait of one session. */
export interface Deadline {
  /** Moves it to `ms` from now, earlier or later; a cancelled or expired one starts again. */
  extend(ms: number): void;
  /** After this the callback does not run, until `extend`. */
  cancel(): void;
}

export interface DeadlineOptions {
  /** Milliseconds, steady. */
  readonly now?: () => number;
  readonly tickMs?: number;
  /** Starts the repeating tick; returns the way to stop it. */
  readonly every?: (ms: number, tick: () => void) => () => void;
}

class Entry implements Deadline {
  readonly callback: () => void;
  /** When to fire, in clock milliseconds; Infinity when cancelled. */
  at: number;
  /** The tick this entry waits in; -1 in none. */
  tick: number;
  /** Its place there. */
  index: number;
  #deadlines: Deadlines;

  constructor(deadlines: Deadlines, callback: () => void) {
    this.callback = callback;
    this.at = Infinity;
    this.tick = -1;
    this.index = 0;
    this.#deadlines = deadlines;
  }

  extend(ms: number): void {
    this.#deadlines.move(this, ms);
  }

  cancel(): void {
    this.at = Infinity;
    this.#deadlines.remove(this);
  }
}

export class Deadlines {
  readonly #now: () => number;
  readonly #tickMs: number;
  readonly #stop: () => void;
  /** Entries by the tick in which they are looked at next. */
  #buckets: Map<number, Entry[]>;
  #current: number;

  constructor(options: DeadlineOptions = {}) {
    this.#now = options.now ?? (() => performance.now());
    this.#tickMs = options.tickMs ?? TICK_MS;
    this.#buckets = new Map();
    this.#current = Math.floor(this.#now() / this.#tickMs);
    this.#stop = (options.every ?? everyInterval)(this.#tickMs, () => this.tick());
  }

  /** Entries held, with all that their callbacks hold. */
  get waiting(): number {
    let sum = 0;
    for (const bucket of this.#buckets.values()) sum += bucket.length;
    return sum;
  }

  /** Calls back once, `ms` from now at the earliest. */
  add(ms: number, callback: () => void): Deadline {
    const entry = new Entry(this, callback);
    this.move(entry, ms);
    return entry;
  }

  /** Stops the timer; nothing fires any more. */
  close(): void {
    this.#stop();
    this.#buckets.clear();
  }

  /** For {@linkcode Entry} only. */
  move(entry: Entry, ms: number): void {
    entry.at = this.#now() + ms;
    const tick = this.#tickOf(entry.at);
    // Later than where it waits already: found again there.
    if (entry.tick >= 0 && entry.tick <= tick) return;
    this.remove(entry);
    this.#put(entry, tick);
  }

  /** For {@linkcode Entry} only. */
  remove(entry: Entry): void {
    const bucket = this.#buckets.get(entry.tick);
    if (bucket === undefined) return; // nowhere, or in the tick that is being looked at
    const last = bucket.pop()!;
    if (last !== entry) {
      bucket[entry.index] = last;
      last.index = entry.index;
    }
    if (bucket.length === 0) this.#buckets.delete(entry.tick);
    entry.tick = -1;
  }

  /** Fires what is due. Runs by itself; public for tests with a clock of their own. */
  tick(): void {
    const now = this.#now();
    const upTo = Math.floor(now / this.#tickMs);
    while (this.#current <= upTo) {
      const due = this.#buckets.get(this.#current);
      this.#buckets.delete(this.#current);
      this.#current++; // before the callbacks: what they add must not go where nobody looks again
      for (const entry of due ?? []) this.#visit(entry, now);
    }
  }

  #visit(entry: Entry, now: number): void {
    entry.tick = -1;
    if (entry.at === Infinity) return;
    if (entry.at > now) return this.#put(entry, this.#tickOf(entry.at));
    entry.at = Infinity;
    entry.callback();
  }

  /** The first tick that begins at or after the time. */
  #tickOf(at: number): number {
    return Math.max(Math.ceil(at / this.#tickMs), this.#current);
  }

  #put(entry: Entry, tick: number): void {
    entry.tick = tick;
    const bucket = this.#buckets.get(tick);
    entry.index = bucket?.length ?? 0;
    if (bucket === undefined) this.#buckets.set(tick, [entry]);
    else bucket.push(entry);
  }
}

/** An interval that does not keep the process alive. */
function everyInterval(ms: number, tick: () => void): () => void {
  const id = setInterval(tick, ms);
  Deno.unrefTimer(id);
  return () => clearInterval(id);
}
