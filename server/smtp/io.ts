/**
 * The connection below an SMTP session: what is read, what is written and when, how long the peer may take, STARTTLS, and the end.
 *
 * The driver (connection.ts) reads through it when the session asks, and flushes when input runs out, before TLS, at the end, and
 * where the session asks. Nothing is awaited that the kernel took at once. Who is silent or slow hears 421; a wait of our own is
 * never the peer's fault.
 */
import type { Logger } from "@logtape/logtape";
import { Out } from "../../bytes/out.ts";
import { IDLE_TOO_LONG, type Reply, SERVER_FAULT } from "../../protocols/smtp/reply.ts";
import type { SmtpSession } from "../../protocols/smtp/session.ts";
import { busyBuffers, idleBuffers } from "../buffers.ts";
import type { Deadline, Deadlines } from "../deadline.ts";
import type { Transport } from "../transport.ts";
import { Wire } from "../wire.ts";
import { countLimit, faults } from "./metrics.ts";
import type { SmtpTimeouts } from "./options.ts";

export interface SmtpIoParts {
  readonly log: Logger;
  readonly deadlines: Deadlines;
  readonly timeouts: SmtpTimeouts;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** Of whom a log line is; null before a login. */
  readonly account: () => string | null;
}

export class SmtpIo {
  /** What the session writes. */
  readonly out: Out = new Out();
  /** When the message in hand must be complete, and the login done; milliseconds since the epoch. */
  messageEnds = Infinity;
  loginEnds = Infinity;

  #parts: SmtpIoParts;
  #wire: Wire;
  #deadline: Deadline;
  /** What the deadline is for: progress moves it on, a trickle of octets does not. */
  #deadlineOf = -1;
  #buffer = idleBuffers.take();
  #busy: Uint8Array | null = null;
  /** What the read under way goes into. */
  #current = this.#buffer;
  /** Reads in a row of this message that brought little. */
  #drops = 0;
  /** A read that began before the greeting. */
  #early: Promise<number | null> | null = null;
  #stopReply: Reply | null = null;
  /** What is being waited for; `work` is our own, and never the peer's fault. */
  #phase: "work" | "read" | "handshake" = "work";
  #session: SmtpSession | null = null;

  constructor(transport: Transport, parts: SmtpIoParts) {
    this.#parts = parts;
    this.#wire = new Wire(transport, { out: this.out, log: parts.log });
    this.#deadline = parts.deadlines.add(parts.timeouts.commandMs, () => this.#expired());
  }

  get transport(): Transport {
    return this.#wire.transport;
  }

  /** Before anything else: the session that writes into {@linkcode out}. */
  set session(session: SmtpSession) {
    this.#session = session;
  }

  get session(): SmtpSession {
    if (this.#session === null) throw new Error("a connection without its session");
    return this.#session;
  }

  /** Ends the session now, or when the message that is being received has its reply. */
  stop(reply: Reply): void {
    this.#stopReply ??= reply;
    if (this.#phase === "read" && !this.session.receiving) this.#leaveRead();
  }

  /** The session has used up its input: its time begins, and what it wrote is sent. As {@linkcode flush}. */
  awaitPeer(): Promise<void> | undefined {
    this.#extendDeadline();
    return this.flush();
  }

  /** Nothing more is read: the session is over, or ends now. */
  endsInstead(): boolean {
    const { session } = this;
    if (this.#stopReply !== null && !session.receiving) session.end(this.#stopReply);
    return session.ended;
  }

  /** What comes next, for {@linkcode feed}; null when the connection is over. */
  read(): Promise<number | null> {
    this.#current = this.#readBuffer();
    this.#phase = "read"; // until it is fed: a fault in it is the peer's
    const early = this.#early;
    this.#early = null;
    return early ?? this.#wire.transport.read(this.#current);
  }

  /** Gives the session what the last read brought; false when the connection is over. */
  feed(count: number | null): boolean {
    this.#phase = "work";
    if (count === null) return false;
    const { session } = this;
    if (session.streaming) this.#drops = count < TRICKLE_OCTETS ? this.#drops + 1 : 0;
    session.feed(this.#current.subarray(0, count));
    return true;
  }

  /** Waits before the greeting, and tells whether the client does not. What it says is kept. */
  async speaksWithin(ms: number): Promise<boolean> {
    this.#early = this.#wire.transport.read(this.#buffer);
    this.#early.catch(() => {}); // told when it is awaited
    let timer: ReturnType<typeof setTimeout> | undefined;
    const quiet = new Promise<"quiet">((resolve) => timer = setTimeout(() => resolve("quiet"), ms));
    const first = await Promise.race([quiet, this.#early.catch(() => null)]);
    clearTimeout(timer);
    return typeof first === "number";
  }

  /** Sends what the session wrote; undefined when the kernel took it at once. */
  flush(): Promise<void> | undefined {
    return this.#wire.flush();
  }

  /** As {@linkcode flush}, when nothing but {@linkcode close} follows. */
  flushLast(): Promise<void> | undefined {
    return this.#wire.flush({ last: true });
  }

  async startTls(): Promise<void> {
    this.#extendDeadline();
    this.#phase = "handshake";
    await this.#wire.startTls(this.session);
    this.#phase = "work";
  }

  /** Of a peer that is gone nothing is said; a fault of ours is told with 421. */
  async failed(error: unknown): Promise<void> {
    const { session } = this;
    const { log } = this.#parts;
    if (this.#phase === "read") return log.debug("connection lost", { error });
    await this.#wire.failed(error, () => {
      faults.inc();
      log.error("session failed", { error, verbs: session.lastVerbs });
      session.end(SERVER_FAULT);
      this.#deadline.extend(LAST_WORD_MS);
    });
  }

  close(): void {
    this.#deadline.cancel();
    this.#giveBusy();
    idleBuffers.give(this.#buffer);
    this.#wire.close();
  }

  /** Sets the deadline for the peer's next step. A command that comes octet by octet does not move it. */
  #extendDeadline(): void {
    const { session } = this;
    const { commandMs } = this.#parts.timeouts;
    const last = Math.min(this.messageEnds, this.loginEnds) - this.#parts.now();
    if (session.streaming) {
      this.#deadlineOf = -1;
      this.#deadline.extend(Math.max(0, Math.min(commandMs, last)));
      return;
    }
    const step = session.commands;
    if (step === this.#deadlineOf && !session.betweenCommands) return;
    this.#deadlineOf = step;
    this.#deadline.extend(Math.max(0, Math.min(commandMs, last)));
  }

  /** A large one while a message streams in, the session's own otherwise, and while it comes in drops. */
  #readBuffer(): Uint8Array {
    if (!this.session.streaming) this.#drops = 0;
    else if (this.#drops <= SOME_DROPS) {
      this.#busy ??= busyBuffers.borrow();
      if (this.#busy !== null) return this.#busy;
    }
    this.#giveBusy();
    return this.#buffer;
  }

  #giveBusy(): void {
    if (this.#busy === null) return;
    busyBuffers.give(this.#busy);
    this.#busy = null;
  }

  #expired(): void {
    const { session } = this;
    const { log, timeouts, account } = this.#parts;
    if (this.#phase === "work" && !this.#wire.writing) {
      // Delivery or a login takes its time: the peer is not to blame.
      return this.#deadline.extend(timeouts.commandMs);
    }
    if (!session.ended) {
      countLimit("time");
      log.info("session timed out", { account: account() ?? undefined, verbs: session.lastVerbs });
    }
    if (session.ended || this.#phase !== "read") return this.#wire.close();
    this.#stopReply = IDLE_TOO_LONG;
    this.#leaveRead();
  }

  /** Says 421 to a client we are only waiting for; closing ends the read. */
  #leaveRead(): void {
    if (this.#stopReply !== null) this.session.end(this.#stopReply);
    // A client that does not even take this is cut a little later.
    this.#deadline.extend(LAST_WORD_MS);
    this.#wire.leave();
  }
}

/** A read that brings less is a drop. After more than one in a row (a header line often comes alone) 64 kB are for others. */
const TRICKLE_OCTETS = 512;
const SOME_DROPS = 1;

/** Milliseconds for the last reply to be taken. */
const LAST_WORD_MS = 10_000;
