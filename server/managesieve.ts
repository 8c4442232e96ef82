/**
 * Driver of ManageSieve connections: sockets, time, accounts and storage around the pure session.
 *
 * One loop per connection pulls events from `protocols/managesieve/session.ts` and carries them out (session_io.ts reads
 * and writes). A login may be given up (UNAUTHENTICATE) and another follow on the same connection.
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
import type { Account } from "../storage/directory_view.ts";
import type { Store } from "../storage/store.ts";
import type { Deadlines } from "./deadline.ts";
import type { Login, SessionMechanismsOf } from "./login.ts";
import { countReply, faults, sessions as sessionsGauge } from "./managesieve/metrics.ts";
import { perform } from "./managesieve/repository.ts";
import { type IoTimeouts, SessionIo } from "./session_io.ts";
import { Sessions } from "./sessions.ts";
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

export interface ManageSieveServerOptions {
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  readonly limits: ManageSieveLimits;
  /** RFC 5804 1.2 asks for 30 minutes at least without a command. */
  readonly timeouts: IoTimeouts;
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
  readonly #connections: Sessions<ManageSieveSessionInfo, Connection>;
  readonly #stopListening: () => void;

  constructor(
    services: ManageSieveServices,
    options: ManageSieveServerOptions = DEFAULT_MANAGESIEVE_OPTIONS,
  ) {
    this.#services = services;
    this.#options = options;
    this.#connections = new Sessions(sessionsGauge);
    this.#stopListening = services.store.onChange((change) => {
      if (change.kind !== "directory") return;
      for (const connection of this.#connections) connection.checkAccount(change.accountId);
    });
  }

  /** Runs one connection to its end; never rejects. `options` may differ per listener. */
  serve(transport: Transport, options: Partial<ManageSieveServerOptions> = {}): Promise<void> {
    return this.#connections.run(new Connection(transport, this.#services, { ...this.#options, ...options }));
  }

  sessions(): ManageSieveSessionInfo[] {
    return this.#connections.list();
  }

  end(id: string): boolean {
    return this.#connections.end(id);
  }

  /** Ends every session; commands that run are finished first. */
  shutdown(): void {
    this.#stopListening();
    this.#connections.shutdown();
  }
}

class Connection {
  readonly id: string;
  readonly #out: Out;
  readonly #session: ManageSieveSession;
  readonly #services: ManageSieveServices;
  readonly #options: ManageSieveServerOptions;
  readonly #log: Logger;
  readonly #since: number;
  readonly #io: SessionIo;
  #account: Account | null;
  #failures: number;

  constructor(transport: Transport, services: ManageSieveServices, options: ManageSieveServerOptions) {
    this.id = services.newId();
    this.#out = new Out();
    this.#log = getLogger(["veredus", "managesieve"]).with({
      session: this.id,
      address: transport.peer.address,
    });
    this.#services = services;
    this.#options = options;
    this.#since = services.now();
    this.#account = null;
    this.#failures = 0;
    this.#session = new ManageSieveSession({
      out: this.#out,
      implementation: services.implementation,
      extensions: [...EXTENSIONS],
      notifyMethods: NOTIFY_METHODS,
      maxRedirects: DEFAULT_RUN_LIMITS.redirects,
      tlsActive: transport.tls !== null,
      startTlsAvailable: transport.canStartTls,
      plainLoginAllowed: options.plainLoginAllowed,
      mechanisms: services.mechanisms(() => this.#io.transport.tls),
      limits: options.limits,
      onReply: (verb, reply) => {
        countReply(verb, reply);
        // BYE is only said to clients that went too far, and at the end of the server.
        if (reply === "BYE" && this.#account === null && !this.#io.stopped) {
          services.offence?.(transport.peer.address, "protocol");
        }
      },
    });
    this.#io = new SessionIo(this.#session, transport, {
      out: this.#out,
      log: this.#log,
      deadlines: services.deadlines,
      timeouts: options.timeouts,
      faults,
      goodbyeAfterIdle: true,
    });
  }

  info(): ManageSieveSessionInfo {
    return {
      id: this.id,
      address: this.#io.transport.peer.address,
      since: this.#since,
      tls: this.#session.tlsActive,
      account: this.#account?.address ?? null,
      command: this.#session.verb,
    };
  }

  stop(text: string): void {
    this.#io.stop(text);
  }

  /** An account was changed: a login that is no longer allowed ends. */
  checkAccount(accountId: number | null): void {
    const account = this.#account;
    if (account === null || (accountId !== null && accountId !== account.id)) return;
    if (this.#services.store.directory.accountById(account.id)?.enabled !== true) {
      this.stop("The account was closed");
    }
  }

  run(): Promise<void> {
    return this.#io.run(() => this.#loop());
  }

  async #loop(): Promise<void> {
    const session = this.#session;
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input":
          if (!await this.#io.read()) return;
          break;
        case "credentials":
          await this.#login(event.credentials);
          break;
        case "unauthenticate":
          this.#account = null;
          this.#io.loggedOut();
          break;
        case "starttls":
          await this.#io.startTls();
          break;
        case "script":
          await perform(session, {
            store: this.#services.store,
            accountId: this.#account!.id,
            scriptOctets: this.#options.limits.scriptOctets,
          }, event.command);
          break;
        case "close":
          await this.#io.flush();
          return;
        default:
          return event satisfies never;
      }
      if (this.#out.pending > HIGH_WATER_OCTETS) await this.#io.flush();
    }
  }

  async #login(credentials: Credentials): Promise<void> {
    const session = this.#session;
    const outcome = await this.#services.login(credentials, this.#io.transport.peer, this.#io.transport.tls);
    switch (outcome.kind) {
      case "ok":
        this.#account = outcome.account;
        this.#io.loggedIn();
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
}
