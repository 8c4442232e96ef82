/**
 * Two transports joined in memory, for tests of protocol drivers without sockets.
 *
 * `write` resolves only when the other side has read what was written (up to a window), so that backpressure
 * shows as it would on a socket. Either side can be closed or broken. STARTTLS joins the two sides again as a
 * fresh pair that claims TLS facts: what one side wrote before its upgrade and the other has not read is kept
 * apart, as on the wire, and readable on the old transport only.
 */
import type { PeerFacts, TlsFacts, Transport } from "../../server/transport.ts";

export interface MemoryOptions {
  readonly peer?: Partial<PeerFacts>;
  readonly tls?: TlsFacts | null;
  readonly canStartTls?: boolean;
  /** Octets that may be under way before `write` waits. */
  readonly windowOctets?: number;
}

export const TEST_PEER: PeerFacts = {
  address: "192.0.2.1",
  port: 40_000,
  localAddress: "192.0.2.25",
  localPort: 25,
};

export const TEST_TLS: TlsFacts = {
  clientCertificate: null,
  protocol: "TLSv1.3",
  cipher: "TLS_AES_256_GCM_SHA384",
  serverName: "mx.example.test",
};

/** One direction. */
class Pipe {
  readonly windowOctets: number;
  chunks: Uint8Array[];
  octets: number;
  ended: boolean;
  broken: Error | null;
  #waiters: (() => void)[];

  constructor(windowOctets: number) {
    this.windowOctets = windowOctets;
    this.chunks = [];
    this.octets = 0;
    this.ended = false;
    this.broken = null;
    this.#waiters = [];
  }

  changed(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter();
  }

  wait(): Promise<void> {
    return new Promise((resolve) => this.#waiters.push(resolve));
  }
}

export class MemoryTransport implements Transport {
  readonly peer: PeerFacts;
  readonly tls: TlsFacts | null;
  readonly canStartTls: boolean;
  /** The other end. */
  other!: MemoryTransport;
  closed: boolean;
  #in: Pipe;
  #out: Pipe;
  #options: MemoryOptions;
  #near = false;
  /** The pair after STARTTLS: set by whichever side comes first. */
  #upgraded: MemoryTransport | null;

  constructor(pipes: { in: Pipe; out: Pipe }, options: MemoryOptions) {
    this.peer = { ...TEST_PEER, ...options.peer };
    this.tls = options.tls ?? null;
    this.canStartTls = options.canStartTls ?? false;
    this.closed = false;
    this.#in = pipes.in;
    this.#out = pipes.out;
    this.#options = options;
    this.#upgraded = null;
  }

  async read(into: Uint8Array): Promise<number | null> {
    const pipe = this.#in;
    for (;;) {
      if (this.closed) return null;
      if (pipe.broken !== null) throw pipe.broken;
      const octets = this.#take(into);
      if (octets > 0) return octets;
      if (pipe.ended) return null;
      await pipe.wait();
    }
  }

  /** Every second time, so that drivers read both ways. */
  readNear(into: Uint8Array): number {
    this.#near = !this.#near;
    return this.closed || this.#in.broken !== null || !this.#near ? 0 : this.#take(into);
  }

  #take(into: Uint8Array): number {
    const pipe = this.#in;
    const chunk = pipe.chunks[0];
    if (chunk === undefined) return 0;
    const octets = Math.min(chunk.length, into.length);
    into.set(chunk.subarray(0, octets));
    if (octets === chunk.length) pipe.chunks.shift();
    else pipe.chunks[0] = chunk.subarray(octets);
    pipe.octets -= octets;
    pipe.changed();
    return octets;
  }

  async write(bytes: Uint8Array): Promise<void> {
    const pipe = this.#out;
    if (this.closed || pipe.ended) throw new Deno.errors.BrokenPipe("the other side is gone");
    if (bytes.length === 0) return;
    pipe.chunks.push(bytes.slice());
    pipe.octets += bytes.length;
    pipe.changed();
    while (pipe.octets > pipe.windowOctets && !this.closed && !pipe.ended) await pipe.wait();
  }

  async startTls(): Promise<Transport> {
    if (!this.canStartTls) throw new Error("STARTTLS is not possible on this connection");
    this.closed = true;
    return await Promise.resolve(this.#upgrade());
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#out.ended = true;
    this.#in.ended = true;
    this.#out.changed();
    this.#in.changed();
  }

  /** The peer's next read rejects, as after a reset. */
  breakPeer(error: Error = new Deno.errors.ConnectionReset("connection reset by peer")): void {
    this.#out.broken = error;
    this.#out.changed();
  }

  #upgrade(): MemoryTransport {
    if (this.#upgraded !== null) return this.#upgraded;
    const options = { ...this.#options, tls: TEST_TLS, canStartTls: false };
    const [mine, theirs] = memoryTransports(options);
    this.#upgraded = mine;
    this.other.#upgraded = theirs;
    return mine;
  }

  /** Client side of STARTTLS in a test: this side's end of the fresh pair. */
  upgraded(): MemoryTransport {
    return this.#upgrade();
  }
}

/** A connected pair: the server's end first. */
export function memoryTransports(options: MemoryOptions = {}): [MemoryTransport, MemoryTransport] {
  const windowOctets = options.windowOctets ?? 1 << 20;
  const up = new Pipe(windowOctets), down = new Pipe(windowOctets);
  const server = new MemoryTransport({ in: up, out: down }, options);
  const client = new MemoryTransport({ in: down, out: up }, options);
  server.other = client;
  client.other = server;
  return [server, client];
}
