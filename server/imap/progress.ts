/**
 * INPROGRESS (RFC 9585): a client that waits for a long command is told how far it is.
 *
 * Nothing is said of a command that is done within {@linkcode QUIET_MS}; afterwards once in that time. To be called
 * between batches, where the caller drains: what is told is sent then, and does not wait for the answer.
 */
import type { ImapContext } from "./context.ts";

export const QUIET_MS = 5_000;

export class Progress {
  readonly #context: ImapContext;
  readonly #goal: number;
  #toldAt: number;
  #done = 0;

  /** `goal` in the same unit as what `add` counts. */
  constructor(context: ImapContext, goal: number) {
    this.#context = context;
    this.#goal = goal;
    this.#toldAt = context.now();
  }

  add(done: number): void {
    this.#done += done;
    const now = this.#context.now();
    if (now - this.#toldAt < QUIET_MS) return;
    this.#toldAt = now;
    const { out, session: { tag } } = this.#context;
    // RFC 9585 4: a tag with a bracket would end the response code.
    const named = tag.includes("]") ? "NIL" : `"${tag}"`;
    // The progress stays below the goal until the command is done.
    const progress = Math.min(this.#done, this.#goal - 1);
    out.text(`* OK [INPROGRESS (${named} ${progress} ${this.#goal})] Still at it\r\n`);
    this.#context.drainSoon();
  }
}
