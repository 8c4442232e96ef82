/**
 * Driver of ManageSieve connections: sockets, time, accounts and storage around the pure session.
 *
 * One loop per connection pulls events from `protocols/managesieve/session.ts`, carries them out and flushes when input
 * runs out, before TLS and at the end. It reads only when the session asks: that is the backpressure. A login may be given
 * up (UNAUTHENTICATE) and another follow on the same connection.
 */
import { getLogger, type Logger } from "@logtape/logtape";
import { HIGH_WATER_OCTETS, Out } from "../bytes/out.ts";
import {
  DEFAULT_MANAGESIEVE_LIMITS,
  type ManageSieveLimits,
  ManageSieveSession,
} from "../protocols/managesieve/session.ts";
import type { Credentials } from "../protocols/sasl/exchange.ts";
import { EXTENSIONS, NOTIFY_METHODS } from "../sieve/extensions.ts";
import { DEFAULT_RUN_LIMITS } from "../sieve/run.ts";
import type { Account, Store } from "../storage/store.ts";
import { BUSY_OCTETS, IDLE_OCTETS } from "./buffers.ts";
import type { Deadline, Deadlines } from "./deadline.ts";
import type { Login, SessionMechanismsOf } from "./login.ts";
import { countReply, faults, sessions as sessionsGauge } from "./managesieve/metrics.ts";
import { perform } from "./managesieve/repository.ts";
import type { Transport } from "./transport.ts";

export interface ManageSieveServices {
  readonly store: Store;
  readonly deadlines: Deadlines;
  readonly login: Login;
  readonly mechanisms: SessionMechanismsOf;
  /** Name and version, as it is told to clients. */
  readonly implementation: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A new id for a session. */
  readonly newId: () => string;
  /** A client ran into a limit before its login; left out: nobody is told. */
  readonly offence?: (address: string, offence: "protocol") => void;
}

export interface ManageSieveTimeouts {
  /** From the connection to the login, in all. */
  readonly beforeLoginMs: number;
  /** Without a command; RFC 5804 1.2 asks for 30 minutes at least. */
  readonly idleMs: number;
  /** For a client that does not read. */
  readonly stallMs: number;
}

export interface ManageSieveServerOptions {
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  readonly limits: ManageSieveLimits;
  readonly timeouts: ManageSieveTimeouts;
  /** Refused logins before the end. */
  readonly loginFailures: number;
}

export const DEFAULT_MANAGESIEVE_OPTIONS: ManageSieveServerOptions = {
  plainLoginAllowed: false,
  limits: DEFAULT_MANAGESIEVE_LIMITS,
  timeouts: { beforeLoginMs: 3 * 60_000, idleMs: 30 * 60_000, stallMs: 5 * 60_000 },
  loginFailures: 5,
};

/** A session as administration sees it. */
export interface ManageSieveSessionInfo {
  readonly id: string;
  readonly address: string;
  readonly since: number;
  readonly tls: boolean;
  readonly account: string | null;
  readonly command: string;
}

/** Serves the connections of one thread. */
export class ManageSieveServer {
  readonly #services: ManageSieveServices;
  readonly #options: ManageSieveServerOptions;
  readonly #connections: Set<Connection>;
  readonly #stopListening: () => void;

  constructor(
    services: ManageSieveServices,
    options: ManageSieveServerOptions = DEFAULT_MANAGESIEVE_OPTIONS,
  ) {
    this.#services = services;
    this.#options = options;
    this.#connections = new Set();
    this.#stopListening = services.store.onChange((change) => {
      if (change.kind !== "directory") return;
      for (const connection of this.#connections) connection.checkAccount(change.accountId);
    });
  }

  /** Runs one connection to its end; never rejects. `options` may differ per listener. */
  async serve(transport: Transport, options: Partial<ManageSieveServerOptions> = {}): Promise<void> {
    const connection = new Connection(transport, this.#services, { ...this.#options, ...options });
    this.#connections.add(connection);
    sessionsGauge.inc();
    try {
      await connection.run();
    } finally {
      this.#connections.delete(connection);
      sessionsGauge.dec();
    }
  }

  sessions(): ManageSieveSessionInfo[] {
    return [...this.#connections].map((connection) => connection.info());
  }

  /** Ends a session by id (administration); false when there is none. */
  end(id: string, text = "Closed by the administrator"): boolean {
    const connection = [...this.#connections].find((candidate) => candidate.id === id);
    connection?.stop(text);
    return connection !== undefined;
  }

  /** Ends every session; commands that run are finished first. */
  shutdown(): void {
    this.#stopListening();
    for (const connection of this.#connections) connection.stop("The server is shutting down");
  }
}

/** The other side is gone: nothing to answer, nothing to report. */
class PeerGone extends Error {
  override readonly name = "PeerGone";
}

class Connection {
  readonly id: string;
  readonly #out: Out;
  readonly #session: ManageSieveSession;
  readonly #services: ManageSieveServices;
  readonly #options: ManageSieveServerOptions;
  readonly #log: Logger;
  readonly #since: number;
  readonly #deadline: Deadline;
  readonly #buffer: Uint8Array<ArrayBuffer>;
  #transport: Transport;
  #account: Account | null;
  #failures: number;
  #stopText: string | null;
  #reading: boolean;

  constructor(transport: Transport, services: ManageSieveServices, options: ManageSieveServerOptions) {
    this.id = services.newId();
    this.#out = new Out();
    this.#log = getLogger(["veredus", "managesieve"]).with({
      session: this.id,
      address: transport.peer.address,
    });
    this.#transport = transport;
    this.#services = services;
    this.#options = options;
    this.#since = services.now();
    this.#buffer = new Uint8Array(IDLE_OCTETS);
    this.#account = null;
    this.#failures = 0;
    this.#stopText = null;
    this.#reading = false;
    this.#session = new ManageSieveSession({
      out: this.#out,
      implementation: services.implementation,
      extensions: [...EXTENSIONS],
      notifyMethods: NOTIFY_METHODS,
      maxRedirects: DEFAULT_RUN_LIMITS.redirects,
      tlsActive: transport.tls !== null,
      startTlsAvailable: transport.canStartTls,
      plainLoginAllowed: options.plainLoginAllowed,
      mechanisms: services.mechanisms(() => this.#transport.tls),
      limits: options.limits,
      onReply: (verb, reply) => {
        countReply(verb, reply);
        // BYE is only said to clients that went too far, and at the end of the server.
        if (reply === "BYE" && this.#account === null && this.#stopText === null) {
          services.offence?.(this.#transport.peer.address, "protocol");
        }
      },
    });
    this.#deadline = services.deadlines.add(options.timeouts.beforeLoginMs, () => this.#expired());
  }

  info(): ManageSieveSessionInfo {
    return {
      id: this.id,
      address: this.#transport.peer.address,
      since: this.#since,
      tls: this.#session.tlsActive,
      account: this.#account?.address ?? null,
      command: this.#session.verb,
    };
  }

  /** Ends the session at the next place between two commands. */
  stop(text: string): void {
    this.#stopText ??= text;
    if (this.#reading) this.#leaveRead();
  }

  /** An account was changed: a login that is no longer allowed ends. */
  checkAccount(accountId: number | null): void {
    const account = this.#account;
    if (account === null || (accountId !== null && accountId !== account.id)) return;
    if (this.#services.store.directory.accountById(account.id)?.enabled !== true) {
      this.stop("The account was closed");
    }
  }

  async run(): Promise<void> {
    this.#log.debug("session opened", { tls: this.#session.tlsActive });
    try {
      this.#session.greet();
      await this.#loop();
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#deadline.cancel();
      this.#transport.close();
      this.#log.debug("session closed");
    }
  }

  async #loop(): Promise<void> {
    const session = this.#session;
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input":
          if (!await this.#read()) return;
          break;
        case "credentials":
          await this.#login(event.credentials);
          break;
        case "unauthenticate":
          this.#account = null;
          this.#deadline.extend(this.#options.timeouts.beforeLoginMs);
          break;
        case "starttls":
          await this.#startTls();
          break;
        case "script":
          await perform(session, {
            store: this.#services.store,
            accountId: this.#account!.id,
            scriptOctets: this.#options.limits.scriptOctets,
          }, event.command);
          break;
        case "close":
          await this.#flush();
          return;
        default:
          return event satisfies never;
      }
      if (this.#out.pending > HIGH_WATER_OCTETS) await this.#flush();
    }
  }

  async #login(credentials: Credentials): Promise<void> {
    const session = this.#session;
    const outcome = await this.#services.login(credentials, this.#transport.peer, this.#transport.tls);
    switch (outcome.kind) {
      case "ok":
        this.#account = outcome.account;
        this.#deadline.extend(this.#options.timeouts.idleMs);
        this.#log.info("logged in", { account: outcome.account.address, mechanism: credentials.mechanism });
        return session.loggedIn(outcome.account.address);
      case "wrong":
        session.refuse("", "Wrong user name or password");
        if (++this.#failures >= this.#options.loginFailures) session.end("Too many failed logins");
        return;
      case "unavailable":
        return session.refuse("TRYLATER", "Logins are not possible just now, try again");
      case "blocked":
        return session.end("Too many failed logins, try again later");
      default:
        return outcome satisfies never;
    }
  }

  async #startTls(): Promise<void> {
    await this.#flush();
    this.#session.dropInput();
    try {
      this.#transport = await this.#transport.startTls();
    } catch (error) {
      throw new PeerGone("the TLS handshake failed", { cause: error });
    }
    this.#session.tlsStarted();
  }

  /** Flushes and reads; false when the connection is over. */
  async #read(): Promise<boolean> {
    const session = this.#session;
    await this.#flush();
    if (this.#stopText !== null) {
      session.end(this.#stopText);
      return true;
    }
    if (this.#account !== null) this.#deadline.extend(this.#options.timeouts.idleMs);
    this.#reading = true;
    let count: number | null;
    try {
      count = await this.#transport.read(this.#buffer);
    } catch (error) {
      if (this.#stopText === null && !session.ended) throw new PeerGone("reading failed", { cause: error });
      count = null;
    }
    this.#reading = false;
    if (count === null) return false;
    session.feed(this.#buffer.subarray(0, count));
    return true;
  }

  async #flush(): Promise<void> {
    if (this.#out.pending === 0) return;
    const bytes = this.#out.take();
    try {
      if (bytes.length > BUSY_OCTETS) this.#deadline.extend(this.#options.timeouts.stallMs);
      await this.#transport.write(bytes);
    } catch (error) {
      throw new PeerGone("writing failed", { cause: error });
    }
  }

  #expired(): void {
    this.#log.info(this.#reading ? "session idle too long" : "session stalled", {
      command: this.#session.verb,
    });
    this.#stopText ??= "Too long without a command";
    if (this.#reading) this.#leaveRead();
    else this.#transport.close();
  }

  /** Tells a client we are only waiting for; closing ends the read. */
  #leaveRead(): void {
    if (this.#stopText !== null) this.#session.end(this.#stopText);
    this.#flush().catch((error) => this.#log.debug("the end was not heard", { error })).finally(() =>
      this.#transport.close()
    );
  }

  async #failed(error: unknown): Promise<void> {
    if (error instanceof PeerGone) {
      this.#log.debug("connection lost", { error });
      return;
    }
    faults.inc();
    this.#log.error("session failed", { error, command: this.#session.verb });
    this.#session.end("The server has a fault");
    await this.#flush().catch((late) => this.#log.debug("the end was not heard", { error: late }));
  }
}
