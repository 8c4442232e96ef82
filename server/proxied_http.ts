/**
 * An `http` or `https` listener where proxies are listed: their connections begin with a PROXY header, and the client in it
 * is whom a request comes from. All others pass with their own address.
 *
 * The runtime's HTTP server takes no socket that somebody has read from. So this one accepts, reads the header and passes the
 * octets both ways, as they are, to a server of the runtime on loopback (with TLS there); the port of that connection says
 * whose it is. A connection to the inner port that is not ours is refused.
 * Limits: those of the whole server by the address of the client (admissions.ts), and {@linkcode DEFAULT_LIMITS}. Bans do not
 * hold here: who lifts them comes this way, and wrong tokens are slowed down by the API.
 */
import { getLogger } from "@logtape/logtape";
import { type AdmissionParts, Admissions } from "./admissions.ts";
import type { Protocol } from "./config/config.ts";
import { peerFacts } from "./deno_transport.ts";
import { proxiedPeer } from "./proxied.ts";
import { closeQuietly } from "./socket_writer.ts";

const log = getLogger(["veredus", "server"]);
export interface ProxiedLimits {
  /** Of this listener, those whose header is not read yet too. */
  readonly connections: number;
  /** Milliseconds without an octet. */
  readonly idleMs: number;
}
const DEFAULT_LIMITS: ProxiedLimits = { connections: 512, idleMs: 300_000 };
/** How long a client may take to hear the end of what was said to it. */
const LINGER_MS = 2_000;
/** Wait after a failed accept, as without descriptors. */
const BACK_OFF_MS = 500;
const COPY_OCTETS = 16_384;

/** Opens a server on loopback and a free port, with the certificate of now. */
export type OpenInner = (
  handle: (request: Request, port: number) => Response | Promise<Response>,
) => Deno.HttpServer;

export interface ProxiedOptions extends Omit<AdmissionParts, "banned"> {
  readonly protocol: Protocol;
  readonly isProxy: (address: string) => boolean;
  readonly openInner: OpenInner;
  readonly handle: (request: Request, remoteAddress: string) => Promise<Response>;
  readonly own?: ProxiedLimits;
}

export class ProxiedHttp {
  readonly #options: ProxiedOptions;
  readonly #own: ProxiedLimits;
  readonly #admissions: Admissions;
  readonly #socket: Deno.Listener;
  #inner: Deno.HttpServer;
  /** By the port from which we speak to the inner server: the address of the client. */
  readonly #clients = new Map<number, string>();
  readonly #connections = new Set<Deno.Conn>();
  readonly #work = new Set<Promise<void>>();
  #accepting: Promise<void>;

  /** Owns `socket`, and accepts from now on. */
  constructor(socket: Deno.Listener, options: ProxiedOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#own = options.own ?? DEFAULT_LIMITS;
    this.#admissions = new Admissions(options.protocol, options);
    this.#inner = this.#open();
    this.#accepting = this.#accept();
  }

  /** New connections meet a new inner server; the old one ends when its requests have. */
  async renew(): Promise<void> {
    const old = this.#inner;
    this.#inner = this.#open();
    await old.shutdown();
  }

  /** Requests under way come to their end. */
  async shutdown(): Promise<void> {
    this.#socket.close();
    await this.#accepting;
    await this.#inner.shutdown();
    for (const connection of this.#connections) closeQuietly(connection);
    await Promise.all(this.#work);
  }

  #open(): Deno.HttpServer {
    return this.#options.openInner((request, port) => {
      const client = this.#clients.get(port);
      if (client !== undefined) return this.#options.handle(request, client);
      return new Response("no connections here\n", { status: 403, headers: { connection: "close" } });
    });
  }

  async #accept(): Promise<void> {
    for (;;) {
      let connection: Deno.Conn;
      try {
        connection = await this.#socket.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        log.error("a connection could not be accepted: {error}", { error });
        await new Promise((resolve) => setTimeout(resolve, BACK_OFF_MS));
        continue;
      }
      if (this.#work.size >= this.#own.connections) {
        const { address } = peerFacts(connection);
        this.#admissions.refuse(connection, { address, limit: "listener" });
        continue;
      }
      const work: Promise<void> = this.#serve(connection).finally(() => this.#work.delete(work));
      this.#work.add(work);
    }
  }

  /** To its end; never rejects. */
  async #serve(connection: Deno.Conn): Promise<void> {
    this.#connections.add(connection);
    try {
      const { address } = peerFacts(connection);
      const client = this.#options.isProxy(address)
        ? await proxiedPeer(connection, () => closeQuietly(connection))
        : { address };
      if (client !== null) await this.#admit(connection, client.address);
    } catch (error) {
      log.debug("a connection ended: {error}", { error });
    } finally {
      closeQuietly(connection);
      this.#connections.delete(connection);
    }
  }

  async #admit(connection: Deno.Conn, address: string): Promise<void> {
    const admission = this.#admissions.admit(connection, address);
    if (admission !== "admitted") {
      return await this.#admissions.refuse(connection, { address, limit: admission });
    }
    try {
      await this.#pass(connection, address);
    } finally {
      this.#admissions.leave(address);
    }
  }

  async #pass(outer: Deno.Conn, address: string): Promise<void> {
    const { port } = this.#inner.addr as Deno.NetAddr;
    const inner = await Deno.connect({ hostname: "127.0.0.1", port });
    const from = inner.localAddr.port;
    const cut = () => {
      closeQuietly(outer);
      closeQuietly(inner);
    };
    const { idleMs } = this.#own;
    let timer = setTimeout(cut, idleMs);
    const alive = (ms = idleMs) => {
      clearTimeout(timer);
      timer = setTimeout(cut, ms);
    };
    this.#clients.set(from, address); // before the first octet of a request
    try {
      await Promise.all([
        copy(outer, inner, alive),
        copy(inner, outer, alive).then(() => alive(LINGER_MS)),
      ]);
    } finally {
      clearTimeout(timer);
      this.#clients.delete(from); // before its port is free for others
      cut();
    }
  }
}

/** Until the end of `from`, which `to` is told. Rejects when either is gone. */
async function copy(from: Deno.Conn, to: Deno.Conn, alive: () => void): Promise<void> {
  const buffer = new Uint8Array(COPY_OCTETS);
  for (let count = await from.read(buffer); count !== null; count = await from.read(buffer)) {
    alive();
    for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
  }
  await to.closeWrite();
}
