/**
 * One listening address: accepts, applies the limits of the whole server, and hands transports to the protocol.
 *
 * Limits come before anything else (admissions.ts). Out of file descriptors, accepting waits instead of
 * spinning. Every socket is opened with `reusePort`, so that several threads listen on one port and a listener of
 * implicit TLS can be replaced when its certificate changes; that nobody else owns the port is checked before
 * (bind.ts). A Unix socket cannot be shared: the first thread has it.
 *
 * Connections of listed proxies begin with a PROXY header; limits then go by the address in it. TLS of such a listener is
 * `full`, because the runtime's own begins with the first octet.
 */
import { getLogger } from "@logtape/logtape";
import { counter } from "../telemetry/metrics.ts";
import { type AdmissionParts, Admissions } from "./admissions.ts";
import { onAddress } from "./bind.ts";
import type { Certificate } from "./certificate.ts";
import { isImplicitTls, type ListenerConfig } from "./config/config.ts";
import { DenoTransport, peerFacts } from "./deno_transport.ts";
import { setListenOptions } from "./listen_options.ts";
import { proxiedPeer } from "./proxied.ts";
import { closeQuietly } from "./socket_writer.ts";
import { tlsSessions } from "./tls_sessions.ts";
import type { TlsServer } from "./tls_transport.ts";
import type { PeerFacts, Transport } from "./transport.ts";

/** Wait after a failed accept, milliseconds; it doubles up to the second. */
const BACK_OFF_MS = 50;
const MAX_BACK_OFF_MS = 1_000;

const log = getLogger(["veredus", "server"]);
const handshakeFailures = counter("veredus_tls_handshake_failures_total", "TLS handshakes that failed", [
  "protocol",
]);
const acceptFailures = counter(
  "veredus_accept_failures_total",
  "Accepts that failed, as without descriptors",
);

/** What the connections of a listener meet. */
export interface ListenerParts extends AdmissionParts {
  /** Null where this runtime cannot serve TLS by `node:tls`, or no certificate is there: no STARTTLS then. */
  readonly tls: TlsServer | null;
  /** The first certificate, for `tls: compact`; null when TLS is off. */
  readonly certificate: Certificate | null;
  /** Whether connections of an address begin with a PROXY header; null where none do. */
  readonly isProxy: ((address: string) => boolean) | null;
  /** Its place in the configuration; left out: its own connections are not limited. */
  readonly at?: number;
  /** Runs one connection to its end. */
  readonly serve: (transport: Transport, config: ListenerConfig) => Promise<void>;
}

export class Listener {
  readonly config: ListenerConfig;
  readonly #parts: ListenerParts;
  #certificate: Certificate | null;
  #socket: Deno.Listener | null;
  /** TLS by `Deno.listenTls`, decided when the socket is opened. */
  #compact: boolean;
  /** Accepted connections have TCP_NODELAY and keepalive from the socket; otherwise the system's keepalive. */
  #inherits: boolean;
  #connections: Set<Deno.Conn>;
  #idle: (() => void) | null;
  readonly #admissions: Admissions;

  constructor(config: ListenerConfig, parts: ListenerParts) {
    this.config = config;
    this.#parts = parts;
    this.#certificate = parts.certificate;
    this.#socket = null;
    this.#compact = false;
    this.#inherits = false;
    this.#connections = new Set();
    this.#idle = null;
    const { at } = parts;
    const { connections } = config;
    this.#admissions = new Admissions(
      config.protocol,
      parts,
      at === undefined ? undefined : { at, connections },
    );
  }

  /** Binds and accepts from now on. Throws when an address cannot be bound; what was opened before stays so. */
  static openAll(listeners: readonly Listener[]): void {
    for (const listener of listeners) {
      listener.#compact = isImplicitTls(listener.config.protocol) && listener.config.tls === "compact" &&
        listener.#parts.isProxy === null;
      listener.#socket = listener.#bind();
    }
    const problems = setListenOptions(listeners.flatMap((listener) => listener.#port() ?? []));
    for (const listener of listeners) listener.#begin(problems.get(listener.#port() ?? 0) ?? null);
  }

  /** As {@linkcode Listener.openAll}, of this one. */
  open(): void {
    Listener.openAll([this]);
  }

  /** `problem`: why the options of its socket could not be set. */
  #begin(problem: string | null): void {
    this.#inherits = problem === null;
    const { protocol, port } = this.config;
    if (this.#compact && problem !== null && this.#parts.tls !== null) {
      log.warn("{protocol} on port {port} uses tls: full, because TCP_NODELAY cannot be set: {problem}", {
        protocol,
        port,
        problem,
      });
      this.#bindAgain(false);
    } else if (!this.#compact && isImplicitTls(protocol) && this.#parts.tls === null) {
      log.warn("{protocol} on port {port} uses tls: compact: this runtime has no other", { protocol, port });
      this.#bindAgain(true);
    }
    if (this.#socket !== null) this.#acceptLoop(this.#socket);
  }

  #bindAgain(compact: boolean): void {
    this.#socket?.close();
    this.#compact = compact;
    this.#socket = this.#bind();
    this.#setOptions();
  }

  /** New connections get this certificate; `tls: full` and STARTTLS are the shared TlsServer's matter. */
  replaceCertificate(certificate: Certificate): void {
    this.#certificate = certificate;
    const old = this.#socket;
    if (!this.#compact || old === null) return;
    this.#socket = this.#bind();
    this.#setOptions();
    this.#acceptLoop(this.#socket);
    old.close();
  }

  /** No new connections from now on. */
  stop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Resolves when the last connection has ended; call after {@linkcode stop}. */
  async drained(): Promise<void> {
    while (this.#connections.size > 0) await new Promise<void>((resolve) => this.#idle = resolve);
  }

  /** Cuts every connection. */
  cut(): void {
    for (const connection of this.#connections) closeQuietly(connection);
  }

  #setOptions(): void {
    const port = this.#port();
    this.#inherits = port === null || !setListenOptions([port]).has(port);
  }

  /** Null of a Unix socket, which has no such options. */
  #port(): number | null {
    const address = this.#socket?.addr;
    return address?.transport === "tcp" ? address.port : null;
  }

  #bind(): Deno.Listener {
    const { address, port } = this.config;
    if (address.startsWith("unix:")) return listenUnix(address.slice("unix:".length));
    return onAddress(address, (hostname) => {
      if (!this.#compact) return Deno.listen({ hostname, port, reusePort: true });
      if (this.#certificate === null) throw new Error("implicit TLS needs a certificate");
      const { certificatePem: cert, keyPem: key } = this.#certificate;
      return Deno.listenTls({ hostname, port, reusePort: true, cert, key });
    });
  }

  async #acceptLoop(socket: Deno.Listener): Promise<void> {
    let backOffMs = 0;
    for (;;) {
      let connection: Deno.Conn;
      try {
        connection = await socket.accept();
      } catch (error) {
        if (error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted) return;
        if (error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.ConnectionAborted) {
          continue;
        }
        acceptFailures.inc();
        if (backOffMs === 0) {
          log.error("accept on port {port} failed: {error}", { port: this.config.port, error });
        }
        backOffMs = Math.min(MAX_BACK_OFF_MS, backOffMs * 2 || BACK_OFF_MS);
        await new Promise((resolve) => setTimeout(resolve, backOffMs));
        continue;
      }
      backOffMs = 0;
      this.#accepted(connection);
    }
  }

  #accepted(connection: Deno.Conn): void {
    const peer = peerFacts(connection);
    if (this.#parts.isProxy?.(peer.address) !== true) return this.#admit(connection, peer);
    // Counted when it is known for whom it is.
    this.#connections.add(connection);
    proxiedPeer(connection, () => closeQuietly(connection)).then((client) => {
      this.#connections.delete(connection);
      if (client !== null && this.#socket !== null) return this.#admit(connection, client);
      closeQuietly(connection);
      if (this.#connections.size === 0) this.#idle?.();
    }).catch((error) => log.error("reading a PROXY header failed: {error}", { error }));
  }

  #admit(connection: Deno.Conn, peer: PeerFacts): void {
    const { address } = peer;
    const admission = this.#admissions.admit(connection, address);
    if (admission !== "admitted") {
      this.#admissions.refuse(connection, { address, limit: admission });
      return;
    }
    this.#connections.add(connection);
    this.#run(connection, peer);
  }

  async #run(connection: Deno.Conn, peer: PeerFacts): Promise<void> {
    const { address } = peer;
    try {
      await this.#serve(connection, peer);
    } catch (error) {
      const { protocol } = this.config;
      log.error("{protocol} connection from {address} ended by a fault of ours: {error}", {
        protocol,
        address,
        error,
      });
    }
    closeQuietly(connection);
    this.#connections.delete(connection);
    this.#admissions.leave(address);
    if (this.#connections.size === 0) this.#idle?.();
  }

  #serve(connection: Deno.Conn, peer: PeerFacts): Promise<void> {
    const { serve, tls } = this.#parts;
    if (this.#compact) return this.#serveCompact(connection as Deno.TlsConn);
    if (!this.#inherits) keepAlive(connection as Deno.TcpConn);
    if (isImplicitTls(this.config.protocol)) return this.#serveTls(connection, peer);
    return serve(DenoTransport.plain(connection, tls, { noDelay: this.#inherits, peer }), this.config);
  }

  #serveCompact(connection: Deno.TlsConn): Promise<void> {
    // It runs with the first read or write; asked for here, it tells how it ended.
    connection.handshake().then(() => tlsSessions.inc({ version: "unknown" }), (error) => {
      tlsSessions.inc({ version: "failed" });
      this.#handshakeFailed(error);
    });
    return this.#parts.serve(DenoTransport.compactTls(connection), this.config);
  }

  async #serveTls(connection: Deno.Conn, peer: PeerFacts): Promise<void> {
    const { serve, tls } = this.#parts;
    let transport: Transport;
    try {
      (connection as Deno.TcpConn).setNoDelay(true);
      transport = await tls!.upgrade(connection, peer);
    } catch (error) {
      return this.#handshakeFailed(error);
    }
    await serve(transport, this.config);
  }

  #handshakeFailed(error: unknown): void {
    const { protocol, port } = this.config;
    handshakeFailures.inc({ protocol });
    log.debug("TLS handshake on port {port} failed: {error}", {
      port,
      error: error instanceof Error ? error.message : String(error),
    });
  }
}

/** A peer that reset the connection already has no socket to set options on; its first read reports it. */
function keepAlive(connection: Deno.TcpConn): void {
  try {
    connection.setKeepAlive(true);
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

/** A socket file that a dead server left behind goes; the lock on the data folder says that it is dead. */
function listenUnix(path: string): Deno.Listener {
  try {
    if (Deno.lstatSync(path).isSocket) Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return Deno.listen({ transport: "unix", path }) as unknown as Deno.Listener;
}
