/** The IMAP sessions of one thread: they are counted, listed, ended, and told of closed accounts. */
import { Connection, type ImapSessionInfo } from "./imap/connection.ts";
import { noteAnnotations } from "./imap/metadata.ts";
import { sessions as sessionsGauge } from "./imap/metrics.ts";
import { DEFAULT_IMAP_OPTIONS, type ImapOptions, type ImapServices } from "./imap/options.ts";
import type { Transport } from "./transport.ts";

/** Serves the connections of one thread. */
export class ImapServer {
  #services: ImapServices;
  #options: ImapOptions;
  #connections = new Set<Connection>();
  /** Those who used NOTIFY. */
  #watchers = new Set<Connection>();
  #stopListening: () => void;

  constructor(services: ImapServices, options: ImapOptions = DEFAULT_IMAP_OPTIONS) {
    this.#services = services;
    this.#options = options;
    // One listener for all sessions: a delivery must not cost a call per session.
    this.#stopListening = services.store.onChange((change) => {
      for (const connection of this.#watchers) connection.noteChange(change);
      if (change.kind === "annotations") {
        for (const connection of this.#connections) noteAnnotations(connection, change);
      }
      if (change.kind !== "directory") return;
      for (const connection of this.#connections) connection.checkAccount(change.accountId);
    });
  }

  /** Runs one connection to its end; never rejects. `options` may differ per listener. */
  async serve(transport: Transport, options: Partial<ImapOptions> = {}): Promise<void> {
    const connection = new Connection(transport, this.#services, {
      options: { ...this.#options, ...options },
      watchers: this.#watchers,
    });
    this.#connections.add(connection);
    sessionsGauge.inc();
    try {
      await connection.run();
    } finally {
      this.#connections.delete(connection);
      this.#watchers.delete(connection);
      sessionsGauge.dec();
    }
  }

  sessions(): ImapSessionInfo[] {
    return [...this.#connections].map((connection) => connection.info());
  }

  /** Ends sessions by id (administration); false when there is none. */
  end(id: string, text = "Closed by the administrator"): boolean {
    const connection = [...this.#connections].find((candidate) => candidate.id === id);
    connection?.stop(text);
    return connection !== undefined;
  }

  /** Says BYE to everybody; commands that run are finished first. */
  shutdown(): void {
    this.#stopListening();
    for (const connection of this.#connections) connection.stop("The server is shutting down");
  }
}
