/**
 * One open connection to a mail server: EHLO, STARTTLS, AUTH, and message after message.
 *
 * The protocol is `protocols/smtp/client_session.ts`; here are the loop around it and its time-outs (RFC 5321 4.5.3.2),
 * and the look at the certificate. Which host it leads to is found in `delivery/outbound.ts`.
 */
import { getLogger } from "@logtape/logtape";
import { HIGH_WATER_OCTETS } from "../bytes/out.ts";
import type { Stage, TransactionResult } from "../protocols/smtp/client_result.ts";
import type { ClientSession } from "../protocols/smtp/client_session.ts";
import type { ClientTransaction } from "../protocols/smtp/client_transaction.ts";
import { replyText } from "../protocols/smtp/reply_parser.ts";
import type { OutgoingConnection, Timers } from "./connector.ts";
import { inMemory, type MessageSource, type Outgoing, writeChunks, writeData } from "./outgoing_message.ts";
import { certificateProblem, type TlsProblem } from "./security/certificate_check.ts";
import type { TlsPlan } from "./security/transport_security.ts";
import { TimedOut, WaitLimit } from "./wait_limit.ts";

const log = getLogger(["veredus", "queue"]);

/** Milliseconds; RFC 5321 4.5.3.2 asks for these at least, `connect` is ours. */
export interface OutboundTimeouts {
  readonly connect: number;
  readonly handshake: number;
  readonly block: number;
  readonly stages: Readonly<Record<Stage, number>>;
}

const MINUTE = 60_000;

export const DEFAULT_TIMEOUTS: OutboundTimeouts = {
  connect: 30_000,
  handshake: 30_000,
  block: 3 * MINUTE,
  stages: {
    "greeting": 5 * MINUTE,
    "hello": 5 * MINUTE,
    "starttls": 2 * MINUTE,
    "auth": 2 * MINUTE,
    "mail": 5 * MINUTE,
    "rcpt": 5 * MINUTE,
    "data-command": 2 * MINUTE,
    "data-end": 10 * MINUTE,
    "rset": 30_000,
    "quit": 5_000,
  },
};

/** What a connection needs besides its socket. */
export interface ConnectionIo {
  readonly timers: Timers;
  readonly timeouts: OutboundTimeouts;
  /** PBKDF2 with SHA-256 to 32 octets (SCRAM), off this thread. */
  readonly deriveKey: KeyDerivation;
}

export type KeyDerivation = (
  password: string,
  work: { readonly salt: Uint8Array; readonly iterations: number },
) => Promise<Uint8Array>;

/** Why a destination takes no mail now (`enhanced` 4.x.x) or never (5.x.x). */
export interface HopFailure {
  readonly enhanced: string;
  readonly text: string;
  readonly remote: string;
  /** The words are the peer's. */
  readonly fromPeer?: boolean;
  /** There was no connection. */
  readonly unreachable?: boolean;
  /** TLS that had to be was missing, failed, or cannot be trusted. */
  readonly trouble?: "tls";
  /** 5yz at greeting or EHLO: where all hosts say so, it is final. Holds the status without our change to 4yz. */
  readonly refused?: string | undefined;
}

const READ_OCTETS = 4_096;

/** Why there is no connection to go on with. */
export interface StartFailure {
  readonly failure: HopFailure;
  /** TLS was not as it has to be. */
  readonly problem: TlsProblem | null;
  /** The handshake broke off: a new connection in clear may get through. */
  readonly broken: boolean;
}

/** Told at each read of a connection whether and how long the peer is waited for. */
export interface Pace {
  /** Nothing is there yet. */
  waits(): void;
  /** Something came, so many milliseconds after it was looked for. */
  answered(afterMs: number): void;
}

export interface StartParts {
  readonly host: string;
  readonly session: ClientSession;
  readonly io: ConnectionIo;
  readonly plan: TlsPlan;
  /** Of our login there; "" without one. */
  readonly password: string;
  readonly pace: Pace | null;
}

/** A peer so far away, milliseconds, is sent several messages at a time, however few wait for it. */
const FAR_MS = 20;
/** The longest message that others are sent behind. */
const LONGEST_WHOLE_OCTETS = 64 * 1024;

/** An open session with a host, ready for messages. */
export class OutboundConnection {
  /** Messages sent over it. */
  messages: number;
  /** So many messages may be without an answer (RFC 3030 4.2), where it `takesWhole`; 1: one, and the envelope of the next. */
  ahead: number;
  readonly host: string;
  /** What is wrong with the certificate, where that is only told of. */
  tlsProblem: TlsProblem | null;
  #connection: OutgoingConnection;
  #session: ClientSession;
  #io: ConnectionIo;
  #buffer: Uint8Array;
  #closed: boolean;
  /** Sent behind the message before, in this order, and asked for by none yet. */
  #begun: Outgoing[];
  /** What was to follow but could not; nothing is asked for before it is sent. */
  #stuck: ClientTransaction | null;
  /** How many may be behind the first: one more for each that gets through. */
  #window: number;
  #roundTripMs: number;
  readonly #limit: WaitLimit;
  readonly #pace: Pace | null;
  /** Since when the read that is under way waits; null where it found something at once. */
  #waitsSince: number | null;
  readonly #waits: () => void;

  private constructor(connection: OutgoingConnection, parts: StartParts) {
    this.messages = 0;
    this.ahead = 1;
    this.tlsProblem = null;
    this.host = parts.host;
    this.#connection = connection;
    this.#session = parts.session;
    this.#io = parts.io;
    this.#buffer = new Uint8Array(READ_OCTETS);
    this.#closed = false;
    this.#begun = [];
    this.#stuck = null;
    this.#window = 1;
    this.#roundTripMs = 0;
    this.#limit = new WaitLimit(parts.io.timers, () => this.#connection.close());
    this.#pace = parts.pace;
    this.#waitsSince = null;
    this.#waits = () => {
      this.#waitsSince = parts.io.timers.now();
      this.#pace?.waits();
    };
  }

  /** From the greeting until it is ready for mail. */
  static async start(
    connection: OutgoingConnection,
    parts: StartParts,
  ): Promise<OutboundConnection | StartFailure> {
    const { plan } = parts;
    const opened = new OutboundConnection(connection, parts);
    const failed = (
      enhanced: string,
      text: string,
      more: Omit<Partial<StartFailure>, "failure"> & { failure?: Partial<HopFailure> } = {},
    ): StartFailure => ({
      problem: null,
      broken: false,
      ...more,
      failure: {
        ...{ enhanced, text, remote: opened.remote },
        ...(more.problem && { trouble: "tls" as const }),
        ...more.failure,
      },
    });
    for (;;) {
      const event = opened.#session.next();
      switch (event.kind) {
        case "ready":
          return opened;
        case "need-input": {
          const askedAt = parts.io.timers.now();
          await opened.#exchange(event.stage);
          if (event.stage === "hello") opened.#roundTripMs = parts.io.timers.now() - askedAt;
          break;
        }
        case "starttls": {
          try {
            opened.#connection = await opened.#connection.startTls({ serverName: plan.serverName });
          } catch (error) {
            if (!(error instanceof Error)) throw error;
            opened.close();
            const text = `the TLS handshake failed: ${error.message}`;
            log.warn("{remote}: {text}", { remote: opened.remote, text });
            return failed("4.7.5", text, { problem: { result: "validation-failure", text }, broken: true });
          }
          const problem = opened.#certificateProblem(plan);
          if (problem !== null && plan.enforce) {
            opened.close(); // not even QUIT is said to somebody else
            return failed("4.7.5", `TLS failed: ${problem.text}`, { problem });
          }
          opened.tlsProblem = problem;
          opened.#session.tlsStarted();
          break;
        }
        case "derive-key":
          opened.#session.derived(await parts.io.deriveKey(parts.password, event));
          break;
        case "starttls-refused":
          log.warn("{remote} refused STARTTLS, mail goes in clear: {reply}", {
            remote: opened.remote,
            reply: replyText(event.reply),
          });
          break;
        case "unusable": {
          await opened.#farewell();
          const { failure } = event;
          const text = failure.reply === null ? failure.text : replyText(failure.reply);
          const noTls = failure.stage === "starttls" || failure.enhanced === "4.7.4";
          const refused = failure.outcome === "permanent" &&
            (failure.stage === "greeting" || failure.stage === "hello");
          // Another host may take it and the next attempt may find this one mended: not final by itself.
          return failed(failure.enhanced.replace(/^5/, "4"), text, {
            problem: noTls ? { result: "starttls-not-supported", text } : null,
            failure: { fromPeer: failure.reply !== null, ...(refused && { refused: failure.enhanced }) },
          });
        }
        case "closed":
          opened.close();
          return failed("4.4.2", "the connection was closed");
        case "data":
        case "result":
          throw new Error(`${event.kind} before a message`);
        default:
          event satisfies never;
      }
    }
  }

  #certificateProblem({ check }: TlsPlan): TlsProblem | null {
    const { tls } = this.#connection;
    return tls === null ? null : certificateProblem(check, tls.certificates(), this.#io.timers.now());
  }

  /** `mx.example.org[192.0.2.1]:25` */
  get remote(): string {
    return remoteName(this.host, this.#connection.remote);
  }

  get tls(): OutgoingConnection["tls"] {
    return this.#connection.tls;
  }

  get offersEightBit(): boolean {
    return this.#session.offersEightBit;
  }

  get offersSmtpUtf8(): boolean {
    return this.#session.offersSmtpUtf8;
  }

  get offersDsn(): boolean {
    return this.#session.offersDsn;
  }

  /** False when no further message can go over it; those that were sent behind others are still to be asked for. */
  get usable(): boolean {
    return this.#begun.length > 0 || (!this.#closed && this.#session.ready);
  }

  get open(): boolean {
    return !this.#closed;
  }

  /** Messages were sent behind others, and what became of them is still to be asked for. */
  get owes(): boolean {
    return this.#begun.length > 0;
  }

  /** The peer can be given a message before it has answered to the one before. */
  get takesWhole(): boolean {
    return this.#session.offersWhole;
  }

  /** It is so far away that waiting for its answers costs more than anything else. */
  get far(): boolean {
    return this.#roundTripMs >= FAR_MS;
  }

  /**
   * Sends one message. Rejects only when the message cannot be read; the connection is closed then. `following` is asked
   * for the next ones when the message is written: where they can go behind it, `send` of those same ones goes on with
   * them. What it gives has to be sent next, in that order, in any case.
   */
  async send(message: Outgoing, following: () => Outgoing | null = () => null): Promise<TransactionResult> {
    const session = this.#session;
    let result: TransactionResult | null = null;
    let writing = message;
    let more = this.#stuck === null || this.#stuck === message.transaction;
    if (more) this.#stuck = null;
    const goOn = async () => {
      if (!more || !session.takesBehind || session.underWay > this.#window) return;
      const next = following();
      if (next === null) return void (more = false);
      const whole = this.#isWhole(next);
      const ready = whole ? await inMemory(next) : next;
      more = ready !== null && session.sendBehind(next.transaction, { whole });
      if (more) this.#begun.push(writing = ready!);
      else this.#stuck = next.transaction;
    };
    if (this.#begun[0]?.transaction === message.transaction) {
      this.#begun.shift();
      await goOn();
    } else session.send(message.transaction, { whole: this.#isWhole(message) });
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input":
          await this.#exchange(event.stage);
          break;
        case "data": {
          if (await this.#write(writing.source, event.by)) await goOn();
          break;
        }
        case "result":
          result = event.result;
          this.messages++;
          this.#learn(result);
          if (this.#begun.length > 0) return result;
          break;
        case "ready":
          if (result === null) throw new Error("the session is ready without a result");
          return result;
        case "closed":
          await this.#farewell();
          if (result === null) throw new Error("the session ended without a result");
          return result;
        case "starttls":
        case "derive-key":
        case "starttls-refused":
        case "unusable":
          throw new Error(`${event.kind} in a transaction`);
        default:
          event satisfies never;
      }
    }
  }

  /** The first message on a connection goes by itself: who refuses it is not sent more in vain. */
  #isWhole({ source, transaction: { probe = false } }: Outgoing): boolean {
    return this.ahead > 1 && this.messages > 0 && !probe && source.octets <= LONGEST_WHOLE_OCTETS;
  }

  #learn({ recipients }: TransactionResult): void {
    if (recipients.some(({ outcome }) => outcome === "delivered")) {
      this.#window = Math.max(1, Math.min(this.ahead - 1, this.#window + 1));
    } else if (recipients.some(({ outcome, stage }) => outcome === "temporary" && stage !== "rcpt")) {
      this.#window = 1;
    }
  }

  /** QUIT, answered or not. */
  async quit(): Promise<void> {
    if (!this.usable) return this.close();
    this.#session.quit();
    for (;;) {
      const event = this.#session.next();
      if (event.kind !== "need-input") break;
      await this.#exchange(event.stage);
    }
    this.close();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#limit.stop();
    this.#connection.close();
  }

  /** Writes what waits, reads once; trouble of the connection goes into the session. */
  async #exchange(stage: Stage): Promise<void> {
    const waitMs = this.#io.timeouts.stages[stage];
    try {
      await this.#flush();
      this.#waitsSince = null;
      const octets = await this.#limit.within(waitMs, this.#connection.read(this.#buffer, this.#waits));
      this.#pace?.answered(this.#waitedMs);
      if (octets === null) this.#session.lost(`the connection was lost (${stage})`);
      else this.#session.feed(this.#buffer.subarray(0, octets));
    } catch (error) {
      this.#lost(error, stage);
    }
  }

  get #waitedMs(): number {
    return this.#waitsSince === null ? 0 : this.#io.timers.now() - this.#waitsSince;
  }

  /** False when the connection was lost on the way. Without its end the peer throws away what it has of a message. */
  async #write(source: MessageSource, by: "DATA" | "BDAT"): Promise<boolean> {
    const flush = () => this.#flushWhenFull();
    try {
      return await (by === "DATA" ? writeData : writeChunks)(this.#session, source, flush);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async #flushWhenFull(): Promise<boolean> {
    if (this.#session.out.pending <= HIGH_WATER_OCTETS) return true;
    try {
      await this.#flush();
      return true;
    } catch (error) {
      this.#lost(error, "data-end");
      return false;
    }
  }

  async #flush(): Promise<void> {
    const { out } = this.#session;
    if (out.pending === 0) return;
    const octets = out.take();
    await this.#limit.within(this.#io.timeouts.block, this.#connection.write(octets));
    out.give(octets);
  }

  /** The last words, sent without waiting for an answer. */
  async #farewell(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#flush();
    } catch (error) {
      if (!(error instanceof Error)) throw error; // gone already
    }
    this.close();
  }

  #lost(error: unknown, stage: Stage): void {
    if (!(error instanceof Error)) throw error;
    this.close();
    this.#session.lost(
      error instanceof TimedOut ? `no answer in time (${stage})` : `the connection was lost (${stage})`,
    );
  }
}

/** `mx.example.org[192.0.2.1]:25` */
export function remoteName(host: string, at: string): string {
  const address = at.slice(0, at.lastIndexOf(":"));
  return address === host || at === host ? at : `${host}[${address}]${at.slice(at.lastIndexOf(":"))}`;
}
