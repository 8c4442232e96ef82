/**
 * The connection below a session of lines (POP3, ManageSieve): what is read goes to the pure session, what it wrote is
 * sent when its input runs out, before TLS and at the end; deadlines, the end by administration, and faults.
 *
 * It reads only when the session asks: that is the backpressure.
 */
import type { Logger } from "@logtape/logtape";
import type { Out } from "../bytes/out.ts";
import { BUSY_OCTETS, SessionBuffer } from "./buffers.ts";
import type { Deadline, Deadlines } from "./deadline.ts";
import type { Transport } from "./transport.ts";
import { PeerGone, Wire } from "./wire.ts";

/** What the sessions of these protocols have in common. */
export interface LineSession {
  /** The last command; "" before the first. */
  readonly verb: string;
  readonly tlsActive: boolean;
  /** The last reply is written. */
  readonly ended: boolean;
  greet(): void;
  feed(bytes: Uint8Array): void;
  /** Writes the last reply. */
  end(text: string): void;
  /** Forgets what came in clear behind STARTTLS. */
  dropInput(): void;
  tlsStarted(): void;
}

export interface IoTimeouts {
  /** From the connection to the login, in all. */
  readonly beforeLoginMs: number;
  /** Without a command. */
  readonly idleMs: number;
  /** For a client that does not read. */
  readonly stallMs: number;
}

export interface SessionIoParts {
  readonly out: Out;
  readonly log: Logger;
  readonly deadlines: Deadlines;
  readonly timeouts: IoTimeouts;
  readonly faults: { inc(): void };
  /** The session is to end, by administration or by time. */
  readonly onStop?: () => void;
  /** Whether a client that was idle too long is told so. */
  readonly goodbyeAfterIdle: boolean;
}

export class SessionIo {
  readonly #session: LineSession;
  readonly #parts: SessionIoParts;
  readonly #deadline: Deadline;
  readonly #buffer: SessionBuffer;
  readonly #wire: Wire;
  #loggedIn: boolean;
  #stopText: string | null;
  #reading: boolean;

  constructor(session: LineSession, transport: Transport, parts: SessionIoParts) {
    this.#session = session;
    this.#parts = parts;
    this.#wire = new Wire(transport, {
      out: parts.out,
      log: parts.log,
      writes: (octets) => {
        if (octets > BUSY_OCTETS) this.#deadline.extend(parts.timeouts.stallMs);
      },
    });
    this.#buffer = new SessionBuffer();
    this.#loggedIn = false;
    this.#stopText = null;
    this.#reading = false;
    this.#deadline = parts.deadlines.add(parts.timeouts.beforeLoginMs, () => this.#expired());
  }

  get transport(): Transport {
    return this.#wire.transport;
  }

  /** Ends the session at the next place between two commands. */
  stop(text: string): void {
    this.#stopText ??= text;
    this.#parts.onStop?.();
    if (this.#reading) this.#leaveRead();
  }

  get stopped(): boolean {
    return this.#stopText !== null;
  }

  /** From here on the time without a command counts. */
  loggedIn(): void {
    this.#loggedIn = true;
    this.#deadline.extend(this.#parts.timeouts.idleMs);
  }

  /** The client has the time of a new connection. */
  loggedOut(): void {
    this.#loggedIn = false;
    this.#deadline.extend(this.#parts.timeouts.beforeLoginMs);
  }

  /**
   * Greets, runs `loop`, and closes; never rejects. `cutInside` says that a response was begun which must end in nothing:
   * words would be taken for a part of it.
   */
  async run(loop: () => Promise<void>, cutInside: () => boolean = () => false): Promise<void> {
    const { log } = this.#parts;
    log.debug("session opened", { tls: this.#session.tlsActive });
    try {
      this.#session.greet();
      await loop();
    } catch (error) {
      await this.#wire.failed(error, () => {
        this.#parts.faults.inc();
        log.error("session failed", { error, command: this.#session.verb });
        if (cutInside()) this.#parts.out.take();
        else this.#session.end("The server has a fault");
      });
    } finally {
      this.#deadline.cancel();
      this.#buffer.release();
      this.#wire.close();
      log.debug("session closed");
    }
  }

  /** Flushes and reads; false when the connection is over. */
  async read(): Promise<boolean> {
    const session = this.#session;
    const flushed = this.flush();
    if (flushed !== undefined) await flushed;
    if (this.#stopText !== null) {
      session.end(this.#stopText);
      return true;
    }
    if (this.#loggedIn) this.#deadline.extend(this.#parts.timeouts.idleMs);
    const buffer = this.#buffer.next();
    const near = this.#wire.transport.readNear?.(buffer) ?? 0;
    if (near > 0) {
      session.feed(this.#buffer.read(near));
      return true;
    }
    this.#reading = true;
    let count: number | null;
    try {
      count = await this.#wire.transport.read(buffer);
    } catch (error) {
      if (this.#stopText === null && !session.ended) throw new PeerGone("reading failed", { cause: error });
      count = null;
    }
    this.#reading = false;
    if (count === null) return false;
    session.feed(this.#buffer.read(count));
    return true;
  }

  /** Undefined when all was taken at once. */
  flush(): Promise<void> | undefined {
    return this.#wire.flush();
  }

  async startTls(): Promise<void> {
    await this.#wire.startTls(this.#session);
    this.#session.tlsStarted();
  }

  #expired(): void {
    this.#parts.log.info(this.#reading ? "session idle too long" : "session stalled", {
      command: this.#session.verb,
    });
    this.#stopText ??= "Too long without a command";
    this.#parts.onStop?.();
    if (this.#reading && this.#parts.goodbyeAfterIdle) this.#leaveRead();
    else this.#wire.close();
  }

  /** Tells a client we are only waiting for; closing ends the read. */
  #leaveRead(): void {
    if (this.#stopText !== null) this.#session.end(this.#stopText);
    this.#wire.leave();
  }
}
