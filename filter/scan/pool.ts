/**
 * Connections to one scanner: at most so many at a time, kept for the next scan for a moment.
 *
 * Who finds all of them busy waits in line until its deadline. A connection that is not given back as reusable is closed.
 */
import type { ByteStream } from "../stream.ts";
import type { Deadline } from "./deadline.ts";
import { ScanFault } from "./result.ts";

export interface PoolOptions<T> {
  readonly connect: () => Promise<ByteStream>;
  /** What goes with each connection, made when it opens. */
  readonly prepare: () => T;
  readonly most: number;
  /** Longer ones may have been closed at the other side. */
  readonly idleMs: number;
  /** Milliseconds. */
  readonly now: () => number;
}

export interface Leased<T> {
  readonly stream: ByteStream;
  readonly state: T;
  /** It has served a scan before: the other side may have closed it meanwhile. */
  readonly used: boolean;
}

interface Idle<T> extends Leased<T> {
  readonly since: number;
}

export class Pool<T> {
  #options: PoolOptions<T>;
  #idle: Idle<T>[];
  #open: number;
  #waiting: (() => void)[];
  #closed: boolean;

  constructor(options: PoolOptions<T>) {
    this.#options = options;
    this.#idle = [];
    this.#open = 0;
    this.#waiting = [];
    this.#closed = false;
  }

  /**
   * Runs `scan` with a connection, which is kept when that says so. One that failed after it had served another scan is
   * replaced and `scan` run anew, but for the scanner's own words: the other side may have closed it meanwhile.
   */
  async use<R>(
    deadline: Deadline,
    scan: (leased: Leased<T>) => Promise<{ readonly result: R; readonly reusable: boolean }>,
  ): Promise<R> {
    for (;;) {
      const leased = await this.#lease(deadline);
      let keep = false;
      try {
        const { result, reusable } = await scan(leased);
        keep = reusable;
        return result;
      } catch (error) {
        if (!leased.used || error instanceof ScanFault) throw error;
      } finally {
        this.#give(leased, keep);
      }
    }
  }

  async #lease(deadline: Deadline): Promise<Leased<T>> {
    for (;;) {
      const idle = this.#idle.pop();
      if (idle !== undefined) {
        if (this.#options.now() - idle.since < this.#options.idleMs) return { ...idle, used: true };
        this.#give(idle, false);
        continue;
      }
      if (this.#open < this.#options.most) break;
      await this.#turn(deadline);
    }
    this.#open++;
    const connecting = this.#options.connect();
    try {
      const stream = await deadline.wait(connecting);
      return { stream, state: this.#options.prepare(), used: false };
    } catch (error) {
      connecting.then((stream) => stream.close(), () => {}); // it may open after the deadline
      this.#freed();
      throw error;
    }
  }

  #give({ stream, state }: Leased<T>, reusable: boolean): void {
    if (reusable && !this.#closed) {
      this.#idle.push({ stream, state, used: true, since: this.#options.now() });
      this.#waiting.shift()?.();
      return;
    }
    stream.close();
    this.#freed();
  }

  close(): void {
    this.#closed = true;
    for (const idle of this.#idle.splice(0)) this.#give(idle, false);
  }

  #freed(): void {
    this.#open--;
    this.#waiting.shift()?.();
  }

  async #turn(deadline: Deadline): Promise<void> {
    let turn: () => void = () => {};
    const mine = new Promise<void>((resolve) => this.#waiting.push(turn = resolve));
    try {
      await deadline.wait(mine);
    } catch (error) {
      const at = this.#waiting.indexOf(turn);
      if (at >= 0) this.#waiting.splice(at, 1);
      else this.#waiting.shift()?.(); // it was our turn just now: the next one's
      throw error;
    }
  }
}
