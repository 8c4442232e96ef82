/**
 * DNS servers without sockets, and time as a number: {@linkcode FakeClock.settle} lets it pass only when everything
 * waits for it.
 */
import {
  CLASS_IN,
  decodeMessage,
  encodeMessage,
  type Message,
  type ResourceRecord,
} from "../../dns/message.ts";
import type { Network, ServerAddress, TcpStream, Timing, UdpSocket } from "../../dns/network.ts";
import type { RandomBelow } from "../../dns/query.ts";
import type { RecordData } from "../../dns/rdata.ts";
import { CachingResolver, type CachingResolverOptions } from "../../dns/caching_resolver.ts";
import { ForwardSource } from "../../dns/forward.ts";
import type { UpstreamOptions } from "../../dns/upstream.ts";

/** Turns of the microtask queue that the longest chain of promises under test takes, with room. */
const TURNS = 2_000;

export class FakeClock implements Timing {
  #now = 1_000;
  #timers = new Set<{ at: number; callback: () => void }>();

  now = (): number => this.#now;

  after = (ms: number, callback: () => void): () => void => {
    const timer = { at: this.#now + ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  get pending(): number {
    return this.#timers.size;
  }

  advance(ms: number): void {
    this.#now += ms;
  }

  /** The outcome of `promise`; while it waits, time jumps from timer to timer. */
  async settle<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    const done = () => void (settled = true);
    promise.then(done, done);
    for (;;) {
      for (let turn = 0; turn < TURNS && !settled; turn++) await Promise.resolve();
      if (settled) return await promise;
      const next = [...this.#timers].sort((a, b) => a.at - b.at)[0];
      if (next === undefined) throw new Error("waits for something that no timer brings");
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
    }
  }
}

export interface Datagram {
  readonly octets: Uint8Array;
  /** The server that was asked, unless told. */
  readonly from?: ServerAddress;
  readonly delayMs?: number;
}

export interface FakeServer {
  /** Datagrams in answer; none is silence. */
  udp(query: Message): readonly Datagram[];
  /** The octets in answer, an empty connection, or none at all. Left out: refused. */
  tcp?(query: Message): Uint8Array | "close" | "silence";
}

export class FakeNetwork implements Network {
  readonly servers: Map<string, FakeServer>;
  readonly clock: FakeClock;
  /** `udp 192.0.2.53` and `tcp 192.0.2.53`, in order. */
  readonly log: string[];
  readonly queries: Message[];
  openSockets: number;

  constructor(clock: FakeClock, servers: Readonly<Record<string, FakeServer>>) {
    this.clock = clock;
    this.servers = new Map(Object.entries(servers));
    this.log = [];
    this.queries = [];
    this.openSockets = 0;
  }

  udp(server: ServerAddress): UdpSocket {
    this.log.push(`udp ${server.address}`);
    this.openSockets++;
    const inbox: { octets: Uint8Array; from: ServerAddress }[] = [];
    let wake = () => {};
    let closed = false;
    return {
      send: async (octets, to) => {
        for (const datagram of this.servers.get(to.address)?.udp(this.#read(octets)) ?? []) {
          const arrive = () => {
            inbox.push({ octets: datagram.octets, from: datagram.from ?? to });
            wake();
          };
          if (datagram.delayMs === undefined) arrive();
          else this.clock.after(datagram.delayMs, arrive);
        }
      },
      receive: async () => {
        while (inbox.length === 0 && !closed) await new Promise<void>((resolve) => wake = resolve);
        return inbox.shift() ?? null;
      },
      close: () => {
        if (!closed) this.openSockets--;
        closed = true;
        wake();
      },
    };
  }

  async tcp(server: ServerAddress): Promise<TcpStream> {
    this.log.push(`tcp ${server.address}`);
    const answer = this.servers.get(server.address)?.tcp;
    if (answer === undefined) throw new Error("connection refused");
    this.openSockets++;
    let output: Uint8Array | "silence" = new Uint8Array(0);
    let wake = () => {};
    let closed = false;
    return {
      write: async (octets) => {
        const reply = answer(this.#read(octets.subarray(2)));
        if (reply === "silence") output = reply;
        else if (reply !== "close") output = Uint8Array.of(reply.length >> 8, reply.length & 0xff, ...reply);
      },
      // Three octets at a time: a message arrives in pieces.
      read: async (buffer) => {
        while (output === "silence" && !closed) await new Promise<void>((resolve) => wake = resolve);
        if (output === "silence") return 0;
        const piece = output.subarray(0, Math.min(3, buffer.length));
        buffer.set(piece);
        output = output.subarray(piece.length);
        return piece.length;
      },
      close: () => {
        if (!closed) this.openSockets--;
        closed = true;
        wake();
      },
    };
  }

  #read(octets: Uint8Array): Message {
    const query = decodeMessage(octets);
    if (query === null) throw new Error("a query that is no message");
    this.queries.push(query);
    return query;
  }
}

/** A small linear congruential generator: the same seed, the same ids and letters. */
export function seededBelow(seed: number): RandomBelow {
  let state = seed >>> 0 || 1;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * limit);
  };
}

export function record(name: string, data: RecordData, ttlSeconds = 300): ResourceRecord {
  return { name, class: CLASS_IN, ttlSeconds, data };
}

/** What a well-behaved recursive server sends. */
export function reply(query: Message, parts: Partial<Message> = {}): Message {
  return {
    ...query,
    response: true,
    recursionAvailable: true,
    edns: query.edns && { ...query.edns, udpOctets: 1_232 },
    ...parts,
  };
}

export function replyOctets(query: Message, parts: Partial<Message> = {}): Uint8Array {
  return encodeMessage(reply(query, parts));
}

/** A server that answers every question the same way over both transports. */
export function serverOf(answer: (query: Message) => Partial<Message>): Required<FakeServer> {
  return {
    udp: (query) => [{ octets: replyOctets(query, answer(query)) }],
    tcp: (query) => replyOctets(query, answer(query)),
  };
}

export interface Setup {
  readonly clock: FakeClock;
  readonly network: FakeNetwork;
  readonly resolver: CachingResolver;
}

export function setup(
  servers: Readonly<Record<string, FakeServer>>,
  options: Partial<CachingResolverOptions & UpstreamOptions> = {},
): Setup {
  const clock = new FakeClock();
  const network = new FakeNetwork(clock, servers);
  const all = {
    servers: Object.keys(servers).map((address) => ({ address, port: 53 })),
    network,
    timing: clock,
    random: seededBelow(1),
    timeoutMs: 2_000,
    cacheEntries: 1_000,
    ...options,
  };
  const resolver = resolverOver(all);
  return { clock, network, resolver };
}

/** A resolver that forwards and does not validate. */
export function resolverOver(
  options: UpstreamOptions & Omit<CachingResolverOptions, "source">,
): CachingResolver {
  return new CachingResolver({ source: new ForwardSource({ ...options, dnssec: false }), ...options });
}
