/**
 * Read buffers of sessions: small while idle, pooled large ones while octets stream.
 *
 * Thousands of idle sessions must not hold 64 kB each, and a message must not arrive 4 kB at a time. A session
 * borrows a busy buffer for DATA, BDAT and APPEND and gives it back after. The pool keeps
 * {@linkcode KEPT_BUFFERS} at most; more are made when needed and dropped when given back.
 */

/** Octets of a session's own buffer. */
export const IDLE_OCTETS = 4_096;
/** Octets of a pooled buffer. */
export const BUSY_OCTETS = 65_536;
/** Spare buffers a pool holds on to. */
export const KEPT_BUFFERS = 64;

export class BufferPool {
  readonly #octets: number;
  readonly #kept: number;
  #free: Uint8Array[];

  constructor(options: { octets?: number; kept?: number } = {}) {
    this.#octets = options.octets ?? BUSY_OCTETS;
    this.#kept = options.kept ?? KEPT_BUFFERS;
    this.#free = [];
  }

  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(this.#octets);
  }

  /** The caller must not touch the buffer afterwards, and no read into it may be outstanding. */
  give(buffer: Uint8Array): void {
    if (buffer.length === this.#octets && this.#free.length < this.#kept) this.#free.push(buffer);
  }
}

/** The pools of this thread. Short sessions, as of SMTP, borrow their own buffer too. */
export const busyBuffers: BufferPool = new BufferPool();
export const idleBuffers: BufferPool = new BufferPool({ octets: IDLE_OCTETS, kept: 4 * KEPT_BUFFERS });
