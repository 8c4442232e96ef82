/** SMTP, submission and LMTP of one thread: the connections it serves (smtp/connection.ts), listed and ended from outside. */
import { reply, SHUTTING_DOWN } from "../protocols/smtp/reply.ts";
import { Connection, type SmtpSessionInfo } from "./smtp/connection.ts";
import { sessions } from "./smtp/metrics.ts";
import type { SmtpOptions, SmtpServices } from "./smtp/options.ts";
import type { Transport } from "./transport.ts";

/** Serves the connections of one thread. */
export class SmtpServer {
  #services: SmtpServices;
  #connections = new Set<Connection>();

  constructor(services: SmtpServices) {
    this.#services = services;
  }

  /** Runs one connection to its end; never rejects. */
  async serve(transport: Transport, options: SmtpOptions): Promise<void> {
    const connection = new Connection(transport, this.#services, options);
    this.#connections.add(connection);
    sessions.inc();
    try {
      await connection.run();
    } finally {
      this.#connections.delete(connection);
      sessions.dec();
    }
  }

  sessions(): SmtpSessionInfo[] {
    return [...this.#connections].map((connection) => connection.info());
  }

  /** Ends a session by id (administration); false when there is none. */
  end(id: string): boolean {
    const connection = [...this.#connections].find((candidate) => candidate.id === id);
    connection?.stop(CLOSED_BY_ADMINISTRATOR);
    return connection !== undefined;
  }

  /** Says 421 to everybody; a message that is being sent is received and answered first. */
  shutdown(): void {
    for (const connection of this.#connections) connection.stop(SHUTTING_DOWN);
  }
}

const CLOSED_BY_ADMINISTRATOR = reply(421, "4.3.2", "Closed by the administrator");
