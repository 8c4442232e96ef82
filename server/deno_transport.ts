/**
 * Transport over a Deno socket: plain TCP, or implicit TLS by `Deno.listenTls` (`tls: compact`).
 *
 * A plain connection sets TCP_NODELAY itself; a `Deno.TlsConn` cannot, its listening socket carries the option
 * (`listen_options.ts`). A read that is outstanding when `close` is called ends with null. STARTTLS goes through
 * the {@linkcode TlsUpgrader} given at construction; without one it is not offered. A browser or a TLS hello on a plain
 * connection ends it at its first octets.
 */
import { getLogger } from "@logtape/logtape";
import { ForeignHello } from "../protocols/foreign_hello.ts";
import { counter } from "../telemetry/metrics.ts";
import { descriptorOf, NO_DESCRIPTOR } from "./descriptor.ts";
import { SocketReader } from "./socket_reader.ts";
import { closeQuietly, SocketWriter } from "./socket_writer.ts";
import type { PeerFacts, TlsFacts, Transport } from "./transport.ts";

const log = getLogger(["veredus", "server"]);
const foreign = counter(
  "veredus_foreign_hello_total",
  "Browsers and TLS clients cut on a port of something else",
);

/** Turns an accepted plain connection into a TLS transport, server side. */
export interface TlsUpgrader {
  upgrade(conn: Deno.Conn, peer: PeerFacts): Promise<Transport>;
}

/** What `tls: compact` can tell about a session: that it is one. */
const COMPACT_TLS: TlsFacts = { protocol: null, cipher: null, serverName: null, clientCertificate: null };

export class DenoTransport implements Transport {
  readonly peer: PeerFacts;
  readonly tls: TlsFacts | null;
  #conn: Deno.Conn;
  #reader: SocketReader;
  #writer: SocketWriter;
  #upgrader: TlsUpgrader | null;
  #closed: boolean;
  /** Until the first words are known. */
  #hello: ForeignHello | null;

  private constructor(
    conn: Deno.Conn,
    options: {
      upgrader: TlsUpgrader | null;
      tls: TlsFacts | null;
      peer: PeerFacts | null;
      descriptor: number;
    },
  ) {
    this.peer = options.peer ?? peerFacts(conn);
    this.#hello = options.tls === null ? new ForeignHello() : null;
    this.tls = options.tls;
    this.#conn = conn;
    const direct = options.tls === null;
    const { descriptor } = options;
    this.#reader = new SocketReader(conn, { direct, descriptor });
    this.#writer = new SocketWriter(conn, { direct, descriptor });
    this.#upgrader = options.upgrader;
    this.#closed = false;
  }

  /**
   * A connection in clear; `upgrader` null means no STARTTLS. `noDelay`: it has TCP_NODELAY from its listener, or no use
   * for it; `peer`: whom it is for, where a proxy said so; `descriptor`: its own, where the runtime does not tell.
   */
  static plain(
    conn: Deno.Conn,
    upgrader: TlsUpgrader | null,
    { noDelay = false, peer = null, descriptor = descriptorOf(conn) }: {
      readonly noDelay?: boolean;
      readonly peer?: PeerFacts | null;
      readonly descriptor?: number;
    } = {},
  ): DenoTransport {
    if (!noDelay) setNoDelay(conn as Deno.TcpConn);
    return new DenoTransport(conn, { upgrader, tls: null, peer, descriptor });
  }

  /** An implicit TLS connection of `Deno.listenTls`; the handshake runs with the first read or write. */
  static compactTls(conn: Deno.TlsConn): DenoTransport {
    return new DenoTransport(conn, {
      upgrader: null,
      tls: COMPACT_TLS,
      peer: null,
      descriptor: NO_DESCRIPTOR,
    });
  }

  get canStartTls(): boolean {
    return this.tls === null && this.#upgrader !== null && !this.#closed;
  }

  readNear(into: Uint8Array): number {
    return this.#closed || this.#hello !== null ? 0 : this.#reader.readNear(into);
  }

  async read(into: Uint8Array, waits?: () => void): Promise<number | null> {
    if (this.#closed) return null;
    try {
      const count = await this.#reader.read(into, waits);
      if (this.#hello !== null && count !== null && this.#isForeign(into.subarray(0, count))) return null;
      return count;
    } catch (error) {
      if (this.#closed) return null;
      // Many clients hang up without close_notify. Our protocols end with a command, so a cut shows anyway.
      if (this.tls !== null && error instanceof Deno.errors.UnexpectedEof) return null;
      throw error;
    }
  }

  #isForeign(octets: Uint8Array): boolean {
    const words = this.#hello!.push(octets);
    if (words === "open") return false;
    this.#hello = null;
    if (words === "fine") return false;
    foreign.inc();
    log.debug("a browser or TLS client from {address} is cut", { address: this.peer.address });
    this.close();
    return true;
  }

  write(bytes: Uint8Array, options?: { readonly last?: boolean }): Promise<void> | undefined {
    return this.#writer.write(bytes, options);
  }

  async startTls(): Promise<Transport> {
    if (!this.canStartTls || this.#upgrader === null) {
      throw new Error("STARTTLS is not possible on this connection");
    }
    this.#closed = true; // the octets belong to the upgraded transport from here on
    return await this.#upgrader.upgrade(this.#conn, this.peer);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeQuietly(this.#conn);
  }
}

/** A client on a Unix socket is on this host. */
const UNIX_PEER: PeerFacts = { address: "127.0.0.1", port: 0, localAddress: "127.0.0.1", localPort: 0 };

/** The two ends of a connection; IPv4-mapped IPv6 addresses become IPv4. */
export function peerFacts(conn: Deno.Conn): PeerFacts {
  if (conn.remoteAddr.transport === "unix") return UNIX_PEER;
  const remote = conn.remoteAddr as Deno.NetAddr;
  const local = conn.localAddr as Deno.NetAddr;
  return {
    address: plainAddress(remote.hostname),
    port: remote.port,
    localAddress: plainAddress(local.hostname),
    localPort: local.port,
  };
}

/** Without brackets, zone and the IPv4-mapped prefix. */
export function plainAddress(hostname: string): string {
  let address = hostname.startsWith("[") ? hostname.slice(1, -1) : hostname;
  const zone = address.indexOf("%");
  if (zone >= 0) address = address.slice(0, zone);
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

/** A peer that reset the connection already has no socket to set options on; its first read reports it. */
function setNoDelay(conn: Deno.TcpConn): void {
  try {
    conn.setNoDelay(true);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}
