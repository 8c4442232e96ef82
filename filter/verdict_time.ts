/** The time that everything which judges one message has together, and what becomes of a message when it is over. */
import { PUT_OFF_LATE, type Verdict } from "./verdict.ts";

/** What was not answered in time: delivered with a mark, or put off (451). */
export type WhenLate = "mark" | "defer";

const LATE = "the time for a verdict was over";

export class VerdictTime {
  readonly #now: () => number;
  readonly #until: number;
  readonly #whenLate: () => WhenLate;
  #found: WhenLate | null;

  /** Begins now. `now` in milliseconds, never backwards; `whenLate` is asked once, and only for a message that is late. */
  constructor(
    { ms, whenLate, now = () => performance.now() }: {
      readonly ms: number;
      readonly whenLate: () => WhenLate;
      readonly now?: () => number;
    },
  ) {
    this.#now = now;
    this.#until = now() + ms;
    this.#whenLate = whenLate;
    this.#found = null;
  }

  get whenLate(): WhenLate {
    return this.#found ??= this.#whenLate();
  }

  /** Milliseconds, 0 when it is over. */
  get left(): number {
    return Math.max(0, this.#until - this.#now());
  }

  /** Who sent it may take half of it: whoever owns a slow server of DNS must not take all from scanners. */
  get half(): number {
    return this.left / 2;
  }

  /** Of a check that has no answer, and no word of its own for that. It speaks neither for nor against the message. */
  get verdict(): Verdict {
    return this.whenLate === "defer"
      ? { action: "defer", reason: LATE, reply: PUT_OFF_LATE }
      : { action: "tag", reason: `not asked to the end: ${LATE}`, points: 0 };
  }

  /** What is there or comes in time, else `late`. What rejects later is left alone. */
  within<T, L>(work: T | Promise<T>, late: () => L): T | L | Promise<T | L> {
    return work instanceof Promise ? this.#awaited(work, late) : work;
  }

  async #awaited<T, L>(work: Promise<T>, late: () => L): Promise<T | L> {
    const { left } = this;
    work.catch(() => {});
    if (left === 0) return late();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise<L>((resolve) => timer = setTimeout(() => resolve(late()), left));
    try {
      return await Promise.race([work, over]);
    } finally {
      clearTimeout(timer);
    }
  }
}
