/**
 * IDLE (RFC 2177): tells changes as they come, and that we are still here.
 *
 * Changes of one commit arrive in one go and are told in one write, at the end of the turn they arrived in. While a
 * write waits for a slow client nothing more is produced: what comes meanwhile is remembered by the view.
 */
import type { Deadline, Deadlines } from "../deadline.ts";
import type { ImapContext } from "./context.ts";
import { tell } from "./tell.ts";

export class Idling {
  #context: ImapContext;
  #flush: () => Promise<void> | undefined;
  #onEnd: (error: unknown) => void;
  #stillHere: Deadline;
  #telling: Promise<void> | null = null;
  #again = false;
  #ended = false;

  constructor(
    context: ImapContext,
    options: {
      readonly deadlines: Deadlines;
      readonly stillHereMs: number;
      readonly flush: () => Promise<void> | undefined;
      /** The session ended (null) or telling failed; the connection is to be closed. */
      readonly onEnd: (error: unknown) => void;
    },
  ) {
    this.#context = context;
    this.#flush = options.flush;
    this.#onEnd = options.onEnd;
    this.#stillHere = options.deadlines.add(options.stillHereMs, () => {
      this.#context.out.text("* OK Still here\r\n");
      this.#stillHere.extend(options.stillHereMs);
      this.wake();
    });
  }

  /** Something is to be told. */
  wake(): void {
    this.#again = true;
    // A microtask later: all changes of one commit have arrived then.
    this.#telling ??= Promise.resolve().then(() => this.#tell()).catch(this.#onEnd).finally(() => {
      this.#telling = null;
      if (this.#again && !this.#ended) this.wake();
    });
  }

  /** Resolves when nothing more is written from here; the command loop tells what is left. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#stillHere.cancel();
    await this.#telling;
  }

  async #tell(): Promise<void> {
    while (this.#again && !this.#ended) {
      this.#again = false;
      await tell(this.#context, { expunges: true });
      await this.#flush();
      if (this.#context.session.ended) return this.#onEnd(null);
    }
  }
}
