/**
 * Read buffers of sessions: small while idle, pooled large ones while octets stream.
 *
 * Thousands of idle sessions must not hold 64 kB each, and a message must not arrive 4 kB at a time. A session
 * borrows a busy buffer for DATA, BDAT and APPEND and gives it back after. The pool keeps
 * {@linkcode KEPT_BUFFERS} at most; more are made when needed and dropped when given back. Thousands of senders that begin a
 * message and send little of it must not hold 64 kB each either: who finds {@linkcode LENT_BUFFERS} lent makes do with its own.
 */

/** Octets of a session's buffer while lines come. */
export const IDLE_OCTETS = 4_096;
/** Octets a session that waits holds for what comes: most commands. */
export const WAITING_OCTETS = 512;
/** Octets of a pooled buffer. */
export const BUSY_OCTETS = 65_536;
/** Spare buffers a pool holds on to. */
const KEPT_BUFFERS = 64;
/** Buffers lent at one time by {@linkcode BufferPool.borrow}: 16 MB a thread. */
export const LENT_BUFFERS = 256;

export class BufferPool {
  readonly #octets: number;
  readonly #kept: number;
  #free: Uint8Array[];
  #lent: number;

  constructor(options: { octets?: number; kept?: number } = {}) {
    this.#octets = options.octets ?? BUSY_OCTETS;
    this.#kept = options.kept ?? KEPT_BUFFERS;
    this.#free = [];
    this.#lent = 0;
  }

  take(): Uint8Array {
    this.#lent++;
    return this.#free.pop() ?? new Uint8Array(this.#octets);
  }

  /** Null when too many are lent already. */
  borrow(): Uint8Array | null {
    return this.#lent < LENT_BUFFERS ? this.take() : null;
  }

  /** The caller must not touch the buffer afterwards, and no read into it may be outstanding. */
  give(buffer: Uint8Array): void {
    this.#lent--;
    if (buffer.length === this.#octets && this.#free.length < this.#kept) this.#free.push(buffer);
  }
}

/** The pools of this thread. Short sessions, as of SMTP, borrow their own buffer too. */
export const busyBuffers: BufferPool = new BufferPool();
export const idleBuffers: BufferPool = new BufferPool({ octets: IDLE_OCTETS, kept: 4 * KEPT_BUFFERS });

/**
 * The read buffer of a session that mostly waits, as of IMAP: a small one of its own, and one of the pools while more comes
 * than that holds, or is about to.
 */
export class SessionBuffer {
  readonly #own = new Uint8Array(WAITING_OCTETS);
  #pool: BufferPool | null = null;
  #current: Uint8Array = this.#own;
  #filled = false;

  /** For the next read, with so many octets to come, as far as is known. What the last read brought must be used up. */
  next(octets = 0): Uint8Array {
    const pool = octets > IDLE_OCTETS
      ? busyBuffers
      : this.#filled || octets > WAITING_OCTETS
      ? idleBuffers
      : null;
    if (pool === this.#pool) return this.#current;
    this.release();
    this.#pool = pool;
    return this.#current = pool?.take() ?? this.#own;
  }

  /** The last read brought so many octets; returns them. */
  read(count: number): Uint8Array {
    this.#filled = count === this.#current.length;
    return this.#current.subarray(0, count);
  }

  /** Gives back what was lent; no read into it may be outstanding. */
  release(): void {
    this.#pool?.give(this.#current);
    this.#pool = null;
    this.#current = this.#own;
  }
}
