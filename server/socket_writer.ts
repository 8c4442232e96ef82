/**
 * Writes to and closes accepted and opened connections of the runtime's.
 *
 * A write of the runtime's costs a turn of its event loop, and what a reply holds is nearly always taken by the kernel at
 * once: so it is offered to the kernel first, by `send` on the descriptor. Where the runtime does not tell it, without the
 * C library and under the runtime's own TLS the runtime writes. The number of a descriptor is given to the next socket as soon as its own is closed: that is why
 * every connection is closed by {@linkcode closeQuietly}, and nothing is sent on one that was.
 */
import { descriptorOf, NO_DESCRIPTOR } from "./descriptor.ts";
import { libc } from "./libc.ts";

const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
/** More follows at once: what is sent waits for it, for 200 ms at most. */
const MSG_MORE = 0x8000;

/** Closed by us already: asking the runtime again would cost an exception for each connection. */
const closed = new WeakSet<Deno.Conn>();
/** What else ends with a connection. */
const along = new WeakMap<Deno.Conn, { destroy(): void }>();

export class SocketWriter {
  readonly #conn: Deno.Conn;
  readonly #descriptor: number;
  /** The last write that the kernel did not take at once: what comes behind it must not overtake. */
  #last: Promise<void> | null;

  /** `direct`: what is written are the octets of the wire, and not those under the runtime's TLS. */
  constructor(
    conn: Deno.Conn,
    { direct, descriptor = descriptorOf(conn) }: { readonly direct: boolean; readonly descriptor?: number },
  ) {
    this.#conn = conn;
    this.#descriptor = direct ? descriptor : NO_DESCRIPTOR;
    this.#last = null;
  }

  /**
   * Writes everything, in the order of the calls; undefined when the kernel took it at once, otherwise resolves when it did. The
   * octets must stay as they are until then. `last`: {@linkcode closeQuietly} follows at once, whose FIN goes out in the same
   * segment; the peer is woken once and not twice.
   */
  write(bytes: Uint8Array, { last = false }: { readonly last?: boolean } = {}): Promise<void> | undefined {
    const before = this.#last;
    const sent = before === null ? this.#offer(bytes, last) : 0;
    if (sent === bytes.length) return undefined;
    const writing = this.#writeRest(bytes, sent, before);
    this.#last = writing;
    writing.then(() => {
      if (this.#last === writing) this.#last = null;
    }, () => {}); // its caller is told, and whoever writes behind it
    return writing;
  }

  /** How many octets the kernel took: fewer than all, or none, where its buffer is full or the connection broke. */
  #offer(bytes: Uint8Array, last: boolean): number {
    if (libc === null || this.#descriptor === NO_DESCRIPTOR || closed.has(this.#conn)) return 0;
    const octets = bytes as Uint8Array<ArrayBuffer>; // none of ours lies in shared memory
    const flags = MSG_DONTWAIT | MSG_NOSIGNAL | (last ? MSG_MORE : 0);
    const sent = libc.send(this.#descriptor, octets, BigInt(octets.length), flags);
    return Math.max(0, Number(sent));
  }

  async #writeRest(bytes: Uint8Array, sent: number, before: Promise<void> | null): Promise<void> {
    await before;
    for (let at = sent; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
  }
}

/** {@linkcode closeQuietly} of the connection ends this too. */
export function endAlong(conn: Deno.Conn, other: { destroy(): void }): void {
  along.set(conn, other);
}

/** By {@linkcode closeQuietly}: its descriptor may be another connection's by now. */
export function isClosed(conn: Deno.Conn): boolean {
  return closed.has(conn);
}

/** Closes a connection that its peer or another path may have closed already. */
export function closeQuietly(conn: Deno.Conn): void {
  if (closed.has(conn)) return;
  closed.add(conn);
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
  along.get(conn)?.destroy();
}
