/** The IMAP sessions of one thread: they are counted, listed, ended, and told of closed accounts. */
import { Connection, type ImapSessionInfo } from "./imap/connection.ts";
import { noteAnnotations } from "./imap/metadata.ts";
import { sessions as sessionsGauge } from "./imap/metrics.ts";
import { DEFAULT_IMAP_OPTIONS, type ImapOptions, type ImapServices } from "./imap/options.ts";
import { Sessions } from "./sessions.ts";
import type { Transport } from "./transport.ts";

/** Serves the connections of one thread. */
export class ImapServer {
  #services: ImapServices;
  #options: ImapOptions;
  #connections = new Sessions<ImapSessionInfo, Connection>(sessionsGauge);
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
      if (change.kind === "acl" || change.kind === "directory") {
        for (const connection of this.#connections) connection.noteRights();
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
    await this.#connections.run(connection);
    this.#watchers.delete(connection);
  }

  sessions(): ImapSessionInfo[] {
    return this.#connections.list();
  }

  end(id: string): boolean {
    return this.#connections.end(id);
  }

  /** Says BYE to everybody; commands that run are finished first. */
  shutdown(): void {
    this.#stopListening();
    this.#connections.shutdown();
  }
}
