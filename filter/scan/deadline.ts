/** One deadline for all waits of a scan. */
import { ScanFault } from "./result.ts";

export class Deadline {
  readonly #late: Promise<never>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number) {
    this.#late = new Promise((_, reject) => {
      this.#timer = setTimeout(() => reject(new ScanFault(`no verdict within ${ms} ms`)), ms);
    });
    this.#late.catch(() => {}); // it may pass while nobody waits
  }

  /** Rejects with ScanFault when the time is over. */
  wait<T>(what: Promise<T>): Promise<T> {
    what.catch(() => {}); // it may fail after the deadline
    return Promise.race([what, this.#late]);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}
