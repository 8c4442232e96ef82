/**
 * One open connection to a mail server: EHLO, STARTTLS, AUTH, and message after message.
 *
 * The protocol is `protocols/smtp/client_session.ts`; here are the loop around it and its time-outs (RFC 5321 4.5.3.2),
 * and the look at the certificate. Which host it leads to is found in `delivery/outbound.ts`.
 */
import { getLogger } from "@logtape/logtape";
import { HIGH_WATER_OCTETS, Out } from "../bytes/out.ts";
import type { Stage, TransactionResult } from "../protocols/smtp/client_result.ts";
import type { ClientSession } from "../protocols/smtp/client_session.ts";
import type { ClientTransaction } from "../protocols/smtp/client_transaction.ts";
import { DotStuffer } from "../protocols/smtp/dot_stuff.ts";
import { replyText } from "../protocols/smtp/reply_parser.ts";
import type { OutgoingConnection, Timers } from "./connector.ts";
import { certificateProblem, type TlsProblem } from "./security/certificate_check.ts";
import type { TlsPlan } from "./security/transport_security.ts";

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

/** The octets of a message; the whole is read at once only when small. */
export interface MessageSource {
  readonly octets: number;
  read(start: number, end: number): Uint8Array | Promise<Uint8Array>;
}

const READ_OCTETS = 4_096;
const PIECE_OCTETS = 64 * 1024;

/** Why there is no connection to go on with. */
export interface StartFailure {
  readonly failure: HopFailure;
  /** TLS was not as it has to be. */
  readonly problem: TlsProblem | null;
  /** The handshake broke off: a new connection in clear may get through. */
  readonly broken: boolean;
}

export interface StartParts {
  readonly host: string;
  readonly session: ClientSession;
  readonly io: ConnectionIo;
  readonly plan: TlsPlan;
  /** Of our login there; "" without one. */
  readonly password: string;
}

/** An open session with a host, ready for messages. */
export class OutboundConnection {
  /** Messages sent over it. */
  messages: number;
  readonly host: string;
  /** What is wrong with the certificate, where that is only told of. */
  tlsProblem: TlsProblem | null;
  #connection: OutgoingConnection;
  #session: ClientSession;
  #io: ConnectionIo;
  #buffer: Uint8Array;
  #closed: boolean;
  /** The envelope of this one was sent behind the message before. */
  #begun: ClientTransaction | null;

  private constructor(connection: OutgoingConnection, parts: StartParts) {
    this.messages = 0;
    this.tlsProblem = null;
    this.host = parts.host;
    this.#connection = connection;
    this.#session = parts.session;
    this.#io = parts.io;
    this.#buffer = new Uint8Array(READ_OCTETS);
    this.#closed = false;
    this.#begun = null;
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
        case "need-input":
          await opened.#exchange(event.stage);
          break;
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

  get offersDsn(): boolean {
    return this.#session.offersDsn;
  }

  /** False when no further message can go over it; one whose envelope is sent already is still to be asked for. */
  get usable(): boolean {
    return this.#begun !== null || (!this.#closed && this.#session.ready);
  }

  /**
   * Sends one message. Rejects only when the message cannot be read; the connection is closed then. `following` is asked
   * for the next one when the message is written: where it can go behind it, `send` of that same transaction goes on with
   * it. What it gives has to be sent next in any case.
   */
  async send(
    transaction: ClientTransaction,
    source: MessageSource,
    following: () => ClientTransaction | null = () => null,
  ): Promise<TransactionResult> {
    const session = this.#session;
    let result: TransactionResult | null = null;
    if (this.#begun !== transaction) session.send(transaction);
    this.#begun = null;
    for (;;) {
      const event = session.next();
      switch (event.kind) {
        case "need-input":
          await this.#exchange(event.stage);
          break;
        case "data": {
          const written = event.by === "DATA" ? await this.#data(source) : await this.#chunks(source);
          const next = written && !session.emptyData ? following() : null;
          if (next !== null && session.sendBehind(next)) this.#begun = next;
          break;
        }
        case "result":
          result = event.result;
          this.messages++;
          if (this.#begun !== null) return result;
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
    this.#connection.close();
  }

  /** Writes what waits, reads once; trouble of the connection goes into the session. */
  async #exchange(stage: Stage): Promise<void> {
    const waitMs = this.#io.timeouts.stages[stage];
    try {
      await this.#flush();
      const octets = await this.#within(waitMs, this.#connection.read(this.#buffer));
      if (octets === null) this.#session.lost(`the connection was lost (${stage})`);
      else this.#session.feed(this.#buffer.subarray(0, octets));
    } catch (error) {
      this.#lost(error, stage);
    }
  }

  /** False when the connection was lost on the way. */
  async #data(source: MessageSource): Promise<boolean> {
    const { out } = this.#session;
    const stuffer = new DotStuffer(out);
    const octets = this.#session.emptyData ? 0 : source.octets;
    for (let at = 0; at < octets; at += PIECE_OCTETS) {
      stuffer.push(await this.#piece(source, at));
      if (!await this.#flushWhenFull()) return false;
    }
    stuffer.finish();
    this.#session.dataSent();
    return true;
  }

  /** RFC 3030: a chunk for each piece, and an empty last one that ends a line where the message did not. */
  async #chunks(source: MessageSource): Promise<boolean> {
    const piece = new Out();
    const lines = new DotStuffer(piece, { dots: false });
    for (let at = 0; at < source.octets; at += PIECE_OCTETS) {
      lines.push(await this.#piece(source, at));
      const last = at + PIECE_OCTETS >= source.octets;
      if (last) lines.finish();
      this.#session.chunk(piece.take(), last);
      if (!await this.#flushWhenFull()) return false;
    }
    if (source.octets === 0) this.#session.chunk(new Uint8Array(0), true);
    this.#session.dataSent();
    return true;
  }

  async #piece(source: MessageSource, at: number): Promise<Uint8Array> {
    try {
      return await source.read(at, Math.min(source.octets, at + PIECE_OCTETS));
    } catch (error) {
      this.close(); // without the end the peer throws away what it has
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
    if (out.pending > 0) await this.#within(this.#io.timeouts.block, this.#connection.write(out.take()));
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

  async #within<T>(ms: number, work: Promise<T>): Promise<T> {
    let late = false;
    const cancel = this.#io.timers.after(ms, () => {
      late = true;
      this.#connection.close();
    });
    try {
      const value = await work;
      if (late) throw new TimedOut();
      return value;
    } catch (error) {
      throw late ? new TimedOut() : error;
    } finally {
      cancel();
    }
  }
}

class TimedOut extends Error {
  override readonly name = "TimedOut";
}

/** `mx.example.org[192.0.2.1]:25` */
export function remoteName(host: string, at: string): string {
  const address = at.slice(0, at.lastIndexOf(":"));
  return address === host || at === host ? at : `${host}[${address}]${at.slice(at.lastIndexOf(":"))}`;
}
