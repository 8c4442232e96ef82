/** The sessions of one protocol in one thread: counted, listed and ended. */

export interface Session<Info> {
  readonly id: string;
  /** To its end; never rejects. */
  run(): Promise<void>;
  info(): Info;
  /** Ends it at the next place between two commands. */
  stop(text: string): void;
}

export class Sessions<Info, S extends Session<Info>> implements Iterable<S> {
  readonly #gauge: { inc(): void; dec(): void };
  readonly #open: Set<S>;

  constructor(gauge: { inc(): void; dec(): void }) {
    this.#gauge = gauge;
    this.#open = new Set();
  }

  [Symbol.iterator](): Iterator<S> {
    return this.#open.values();
  }

  async run(session: S): Promise<void> {
    this.#open.add(session);
    this.#gauge.inc();
    try {
      await session.run();
    } finally {
      this.#open.delete(session);
      this.#gauge.dec();
    }
  }

  list(): Info[] {
    return [...this.#open].map((session) => session.info());
  }

  /** Ends a session by id (administration); false when there is none. */
  end(id: string, text = "Closed by the administrator"): boolean {
    const session = [...this.#open].find((candidate) => candidate.id === id);
    session?.stop(text);
    return session !== undefined;
  }

  /** Ends every session; commands that run are finished first. */
  shutdown(): void {
    for (const session of this.#open) session.stop("The server is shutting down");
  }
}
