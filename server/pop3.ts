/**
 * Driver of POP3 connections: sockets, time, accounts, locks and storage around the pure session.
 *
 * One loop per connection pulls events from `protocols/pop3/session.ts` and carries them out (session_io.ts reads and
 * writes). A login holds the lock of its maildrop until the connection ends, however it ends (a dead peer by TCP
 * keepalive, listen_options.ts). POP3 sees INBOX as it was at login; messages that IMAP expunges meanwhile stay
 * readable (held_messages.ts). Marked messages are removed by QUIT, durably before its +OK, and by nothing else.
 */
import { setImmediate } from "node:timers";
import { getLogger, type Logger } from "@logtape/logtape";
import { HIGH_WATER_OCTETS, Out } from "../bytes/out.ts";
import { Maildrop } from "../protocols/pop3/maildrop.ts";
import { DEFAULT_POP3_LIMITS, type Pop3Limits, Pop3Session } from "../protocols/pop3/session.ts";
import type { Credentials } from "../protocols/sasl/exchange.ts";
import type { Account } from "../storage/directory_view.ts";
import type { Mailbox } from "../storage/mailboxes.ts";
import { StorageError, type Store } from "../storage/store.ts";
import type { Deadlines } from "./deadline.ts";
import type { Login, SessionMechanismsOf } from "./login.ts";
import type { MaildropLocks } from "./maildrop_locks.ts";
import { HeldMessages, type Readable } from "./pop3/held_messages.ts";
import {
  countLimit,
  countReply,
  faults,
  lockRefusals,
  retrievedOctets,
  sessions as sessionsGauge,
} from "./pop3/metrics.ts";
import { ReadAhead } from "./pop3/read_ahead.ts";
import { retrieve, type RetrieveContext, top } from "./pop3/retrieve.ts";
import { type IoTimeouts, SessionIo } from "./session_io.ts";
import { Sessions } from "./sessions.ts";
import type { Transport } from "./transport.ts";

export interface Pop3Services {
  readonly store: Store;
  readonly deadlines: Deadlines;
  readonly locks: MaildropLocks;
  readonly login: Login;
  readonly mechanisms: SessionMechanismsOf;
  readonly hostName: string;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** A new id for a session. */
  readonly newId: () => string;
  /** What bans count, of clients without a login; left out: nothing. */
  readonly offence?: (address: string, offence: "protocol") => void;
}

/** RFC 1939 3 asks for 10 minutes at least without a command. */
export interface Pop3Timeouts extends IoTimeouts {
  /** How long a login waits for the session that holds the maildrop. */
  readonly lockMs: number;
}

const DEFAULT_POP3_TIMEOUTS: Pop3Timeouts = {
  beforeLoginMs: 3 * 60_000,
  idleMs: 10 * 60_000,
  stallMs: 5 * 60_000,
  lockMs: 10_000,
};

export interface Pop3Options {
  /** Passwords are taken without TLS (loopback in local mode). */
  readonly plainLoginAllowed: boolean;
  readonly limits: Pop3Limits;
  readonly timeouts: Pop3Timeouts;
  /** Refused logins before the end. */
  readonly loginFailures: number;
  /** The oldest messages that a session shows; the next ones appear when some of these are removed. */
  readonly maildropMessages: number;
}

export const DEFAULT_POP3_OPTIONS: Pop3Options = {
  plainLoginAllowed: false,
  limits: DEFAULT_POP3_LIMITS,
  timeouts: DEFAULT_POP3_TIMEOUTS,
  loginFailures: 5,
  maildropMessages: 200_000,
};

/** A session as administration sees it. */
export interface Pop3SessionInfo {
  readonly id: string;
  readonly address: string;
  readonly since: number;
  readonly tls: boolean;
  readonly account: string | null;
  readonly command: string;
}

/** Serves the connections of one thread. */
export class Pop3Server {
  #services: Pop3Services;
  #options: Pop3Options;
  #connections = new Sessions<Pop3SessionInfo, Connection>(sessionsGauge);
  #stopListening: () => void;

  constructor(services: Pop3Services, options: Pop3Options = DEFAULT_POP3_OPTIONS) {
    this.#services = services;
    this.#options = options;
    // One listener for all sessions: a delivery must not cost a call per session.
    this.#stopListening = services.store.onChange((change) => {
      if (change.kind === "directory") {
        for (const connection of this.#connections) connection.checkAccount(change.accountId);
      } else if (change.kind === "expunged") {
        for (const connection of this.#connections) connection.expunged(change.mailboxId, change.uids);
      }
    });
  }

  /** Runs one connection to its end; never rejects. `options` may differ per listener. */
  serve(transport: Transport, options: Partial<Pop3Options> = {}): Promise<void> {
    return this.#connections.run(new Connection(transport, this.#services, { ...this.#options, ...options }));
  }

  sessions(): Pop3SessionInfo[] {
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

/** What a login has opened. */
interface Opened {
  readonly account: Account;
  readonly mailbox: Mailbox;
  readonly maildrop: Maildrop;
  readonly held: HeldMessages;
  readonly unlock: () => void;
}

/** Work at a stretch before other sessions get a turn. */
const MAX_TURN_MS = 8;

class Connection implements RetrieveContext {
  readonly id: string;
  readonly out = new Out();
  readonly blobs: Store["blobs"];

  #session: Pop3Session;
  #io: SessionIo;
  #services: Pop3Services;
  #options: Pop3Options;
  #log: Logger;
  #since: number;
  #opened: Opened | null = null;
  readonly #ahead = new ReadAhead();
  #failures = 0;
  #stopped = new AbortController();
  #turn = 0;

  constructor(transport: Transport, services: Pop3Services, options: Pop3Options) {
    this.id = services.newId();
    this.blobs = services.store.blobs;
    this.#log = getLogger(["veredus", "pop3"]).with({ session: this.id, address: transport.peer.address });
    this.#session = new Pop3Session({
      out: this.out,
      hostName: services.hostName,
      tlsActive: transport.tls !== null,
      startTlsAvailable: transport.canStartTls,
      plainLoginAllowed: options.plainLoginAllowed,
      mechanisms: services.mechanisms(() => this.#io.transport.tls),
      limits: options.limits,
      onReply: countReply,
      onLimit: (limit) => {
        countLimit(limit);
        this.#log.info("limit {limit} reached", { limit, account: this.#opened?.account.address });
        if (this.#opened === null) services.offence?.(transport.peer.address, "protocol");
      },
    });
    this.#services = services;
    this.#options = options;
    this.#since = services.now();
    this.#io = new SessionIo(this.#session, transport, {
      out: this.out,
      log: this.#log,
      deadlines: services.deadlines,
      timeouts: options.timeouts,
      faults,
      onStop: () => this.#stopped.abort(),
      goodbyeAfterIdle: false, // RFC 1939 3
    });
  }

  get utf8(): boolean {
    return this.#session.utf8;
  }

  info(): Pop3SessionInfo {
    return {
      id: this.id,
      address: this.#io.transport.peer.address,
      since: this.#since,
      tls: this.#session.tlsActive,
      account: this.#opened?.account.address ?? null,
      command: this.#session.verb,
    };
  }

  stop(text: string): void {
    this.#io.stop(text);
  }

  /** An account was changed: a login that is no longer allowed ends. */
  checkAccount(accountId: number | null): void {
    const account = this.#opened?.account;
    if (account === undefined || (accountId !== null && accountId !== account.id)) return;
    if (this.#services.store.directory.accountById(account.id)?.enabled !== true) {
      this.stop("The account was closed");
    }
  }

  /** Messages are gone from a mailbox; those of this session must stay readable. */
  expunged(mailboxId: number, uids: readonly number[]): void {
    const opened = this.#opened;
    // Our own removals come by here too: nothing is read after QUIT.
    if (opened === null || opened.mailbox.id !== mailboxId || this.#session.verb === "QUIT") return;
    try {
      for (const uid of uids) {
        const number = opened.maildrop.numberOf(uid);
        if (number > 0) opened.held.pin(number);
      }
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#log.warn("an expunged message may become unreadable", { error });
    }
  }

  async drain(): Promise<void> {
    if (this.out.pending > HIGH_WATER_OCTETS) {
      await this.#io.flush();
      this.#turn = performance.now();
    } else if (performance.now() - this.#turn > MAX_TURN_MS) {
      await new Promise((resolve) => setImmediate(resolve)); // a timer would wait for a millisecond
      this.#turn = performance.now();
    }
  }

  async run(): Promise<void> {
    const retrieving = () => this.#session.verb === "RETR" || this.#session.verb === "TOP";
    await this.#io.run(() => this.#loop(), retrieving);
    this.#close();
  }

  async #loop(): Promise<void> {
    const session = this.#session;
    this.#turn = performance.now();
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input":
          if (this.#ahead.next > 0) {
            const flushed = this.#io.flush();
            if (flushed !== undefined) await flushed;
            this.#readAhead();
          }
          if (!await this.#io.read()) return;
          this.#turn = performance.now();
          break;
        case "drain":
          await this.drain();
          break;
        case "retrieve": {
          const pending = this.#retrieve(event.number, event.lines);
          if (pending !== undefined) await pending;
          break;
        }
        case "credentials":
          await this.#login(event.credentials);
          break;
        case "starttls":
          await this.#io.startTls();
          break;
        case "update":
          await this.#update();
          break;
        case "close":
          await this.#io.flush();
          return;
        default:
          return event satisfies never;
      }
      if (this.out.pending > HIGH_WATER_OCTETS) await this.#io.flush();
    }
  }

  /** Behind the last response, which the client reads meanwhile. */
  #readAhead(): void {
    const number = this.#ahead.next;
    if (this.#opened === null || !this.#opened.maildrop.has(number)) return;
    const { maildrop, held } = this.#opened;
    this.#ahead.prepare(number, held.message(number, maildrop.sizeOctets(number)), this);
  }

  /** Only long messages and TOP make it wait. The address of the login is good for hours (compaction's grace). */
  #retrieve(number: number, lines: number | null): Promise<void> | undefined {
    const { maildrop, held } = this.#opened!;
    if (lines === null && this.#ahead.take(number, this.out)) {
      retrievedOctets.inc(maildrop.sizeOctets(number));
      this.#retrieved();
      return undefined;
    }
    try {
      const pending = this.#send(held.message(number, maildrop.sizeOctets(number)), lines);
      if (pending !== undefined) {
        return pending.then(() => this.#retrieved(), (error) => this.#retrieveMoved(error, number, lines));
      }
      this.#retrieved();
    } catch (error) {
      return this.#retrieveMoved(error, number, lines);
    }
  }

  #send(message: Readable, lines: number | null): Promise<void> | undefined {
    return lines === null ? retrieve(this, message) : top(this, message, lines);
  }

  /** The driver's own +OK. */
  #retrieved(): void {
    countReply(this.#session.verb, true);
  }

  /** The octets are not where they were at login: compaction may have moved them long ago. */
  async #retrieveMoved(fault: unknown, number: number, lines: number | null): Promise<void> {
    if (!(fault instanceof StorageError)) throw fault;
    const { mailbox, maildrop } = this.#opened!;
    const row = this.#services.store.messages.row(mailbox.id, maildrop.uid(number), { withImap: false });
    try {
      if (row === null) throw fault;
      await this.#send(row, lines);
      this.#retrieved();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#log.error("a message cannot be read", { error, mailbox: mailbox.id, uid: maildrop.uid(number) });
      this.#session.refuse("SYS/TEMP", "The message cannot be read just now");
    }
  }

  async #login(credentials: Credentials): Promise<void> {
    const outcome = await this.#services.login(credentials, this.#io.transport.peer, this.#io.transport.tls);
    switch (outcome.kind) {
      case "ok":
        return await this.#open(outcome.account, credentials.mechanism);
      case "wrong":
        this.#session.refuse("AUTH", "Wrong user name or password");
        if (++this.#failures >= this.#options.loginFailures) this.#session.end("Too many failed logins");
        return;
      case "unavailable":
        return this.#session.refuse("SYS/TEMP", "Logins are not possible just now, try again");
      case "blocked":
        return this.#session.end("Too many failed logins, try again later");
      default:
        return outcome satisfies never;
    }
  }

  /** Locks the maildrop and takes the list of its messages (RFC 1939 4). */
  async #open(account: Account, mechanism: string): Promise<void> {
    const { locks, store } = this.#services;
    const unlock = await locks.lock(account.id, {
      waitMs: this.#options.timeouts.lockMs,
      signal: this.#stopped.signal,
    });
    if (unlock === null) {
      lockRefusals.inc();
      this.#log.info("maildrop in use", { account: account.address });
      return this.#session.refuse("IN-USE", "Another session has this maildrop");
    }
    const mailbox = store.mailboxes.byName(account.id, "INBOX");
    if (mailbox === null) {
      unlock();
      return this.#session.refuse("SYS/TEMP", "The maildrop is not there");
    }
    const maildrop = new Maildrop(mailbox.uidValidity, store.messages.keptUidls(mailbox.id));
    const held = new HeldMessages(store.blobs);
    this.#opened = { account, mailbox, maildrop, held, unlock };
    await held.load(store, maildrop, { mailboxId: mailbox.id, limit: this.#options.maildropMessages });
    this.#io.loggedIn();
    this.#log.info("logged in", { account: account.address, mechanism, messages: maildrop.count });
    this.#session.loggedIn(maildrop);
  }

  /** RFC 1939 6: the marked messages go, then the lock, then the reply. */
  async #update(): Promise<void> {
    const { mailbox, maildrop } = this.#opened!;
    const uids = maildrop.deletedRanges();
    if (uids.length > 0) {
      const result = await this.#services.store.write({
        kind: "expunge",
        mailboxId: mailbox.id,
        uids,
        onlyDeleted: false,
      });
      if (!result.ok) {
        this.#log.error("deletions failed: {fault}", { fault: result.fault, detail: result.detail });
        return this.#session.refuse("SYS/TEMP", "The messages could not be removed just now");
      }
      this.#log.info("removed {count} messages", { count: maildrop.count - maildrop.remaining });
    }
    this.#close();
    this.#session.updated();
  }

  /** Unlocks the maildrop and lets go of its messages. */
  #close(): void {
    const opened = this.#opened;
    this.#opened = null;
    this.#ahead.release();
    opened?.held.release();
    opened?.unlock();
  }
}
