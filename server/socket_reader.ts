/**
 * Reads of accepted and opened connections of the runtime's.
 *
 * A read of the runtime's is an operation, a wake-up and a step of promises. Of many clients that a busy thread has
 * answered, some have said their next words before it comes round: so a read waits for the end of this turn of the event
 * loop with all others that began in it, is then tried by `recv` on the descriptor, and goes to the runtime when nothing is there. A
 * thread that tries in vain (one client, whose answer takes longer than a turn) soon leaves its reads to the runtime, and
 * looks from time to time whether that is still best. Where the runtime does not tell the descriptor, without the C library
 * and under the runtime's own TLS the runtime reads.
 */
import { setImmediate } from "node:timers";
import { descriptorOf, NO_DESCRIPTOR } from "./descriptor.ts";
import { libc } from "./libc.ts";
import { noteRead, readNear } from "./near_read.ts";
import { isClosed } from "./socket_writer.ts";

const MSG_DONTWAIT = 0x40;
/** What a read that was worth trying adds, up to the most; each in vain takes one. A third of them must succeed. */
const HIT = 2;
const MOST = 64;
/** Of reads that go to the runtime because trying was in vain, one in so many is tried. */
const PROBE_EVERY = 32;

/** A read that waits for the end of the turn. */
interface Waiting {
  readonly conn: Deno.Conn;
  readonly descriptor: number;
  readonly into: Uint8Array<ArrayBuffer>;
  readonly waits: (() => void) | undefined;
  readonly resolve: (count: number | null | Promise<number | null>) => void;
}

/** Of this thread. */
let waiting: Waiting[] = [];
let worth = MOST / 2;
let untried = 0;

export class SocketReader {
  readonly #conn: Deno.Conn;
  readonly #descriptor: number;

  /** `direct`: what is read are the octets of the wire, and not those under the runtime's TLS. */
  constructor(
    conn: Deno.Conn,
    { direct, descriptor = descriptorOf(conn) }: { readonly direct: boolean; readonly descriptor?: number },
  ) {
    this.#conn = conn;
    this.#descriptor = direct && libc !== null ? descriptor : NO_DESCRIPTOR;
  }

  /** What comes within moments (near_read.ts); 0: {@linkcode read} is needed. */
  readNear(into: Uint8Array): number {
    if (this.#descriptor === NO_DESCRIPTOR || isClosed(this.#conn)) return 0;
    return readNear(this, this.#descriptor, into as Uint8Array<ArrayBuffer>); // none of ours lies in shared memory
  }

  /**
   * What is there, at least one octet; null at the end. One read at a time. Rejects as the runtime's does. `waits` is called where
   * nothing is there yet: who wants to know has every read tried. Where none can be, every one waits.
   */
  read(into: Uint8Array, waits?: () => void): Promise<number | null> {
    noteRead(this);
    if (this.#descriptor === NO_DESCRIPTOR || (waits === undefined && !isWorthTrying())) {
      waits?.();
      return this.#conn.read(into);
    }
    return new Promise((resolve) => {
      if (
        waiting.push({
          conn: this.#conn,
          descriptor: this.#descriptor,
          into: into as Uint8Array<ArrayBuffer>, // none of ours lies in shared memory
          waits,
          resolve,
        }) === 1
      ) setImmediate(tryAll);
    });
  }
}

function isWorthTrying(): boolean {
  if (worth > 0) return true;
  untried = (untried + 1) % PROBE_EVERY;
  return untried === 0;
}

function tryAll(): void {
  const all = waiting;
  waiting = [];
  for (const one of all) tryOne(one);
}

function tryOne({ conn, descriptor, into, waits, resolve }: Waiting): void {
  const count = isClosed(conn) ? -1 : Number(libc!.recv(descriptor, into, BigInt(into.length), MSG_DONTWAIT));
  if (count >= 0) {
    worth = Math.min(MOST, worth + HIT);
    return resolve(count === 0 ? null : count);
  }
  worth = Math.max(0, worth - 1);
  waits?.();
  resolve(conn.read(into)); // which also tells what is wrong with the connection
}
