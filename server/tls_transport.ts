/**
 * Server-side TLS over an accepted Deno connection by `node:tls`: STARTTLS, and implicit TLS with `tls: full`.
 *
 * TLS 1.2 and 1.3 (RFC 8996 retires the rest). Several certificates chosen by SNI (RFC 6066 3), client
 * certificates on request, protocol and cipher facts. {@linkcode TlsServer.replace} changes certificates for
 * new handshakes; sessions that run keep theirs.
 *
 * The `Duplex` below reads from the socket only on demand, so backpressure passes through both layers. Nothing
 * read before the upgrade reaches the TLS layer, and nothing read after it can reach the old transport, because
 * that one has given its connection away. Limits: {@linkcode HANDSHAKE_TIMEOUT_MS} for the handshake,
 * {@linkcode READ_OCTETS} held per connection.
 */
import { createHash } from "node:crypto";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import tls from "node:tls";
import { adopt } from "./adopted_socket.ts";
import { covers } from "../dns/name.ts";
import type { Certificate } from "./certificate.ts";
import { CLOSED, NO_HELLO, readHello, TIMED_OUT } from "./client_hello.ts";
import type { TlsUpgrader } from "./deno_transport.ts";
import { noteRead } from "./near_read.ts";
import { closeQuietly, SocketWriter } from "./socket_writer.ts";
import { StreamReader } from "./stream_reader.ts";
import { tlsSessions } from "./tls_sessions.ts";
import type { PeerFacts, TlsFacts, Transport } from "./transport.ts";

/** Milliseconds a handshake may take. */
export const HANDSHAKE_TIMEOUT_MS = 30_000;
/** Octets read at once from the socket: one idle session holds this much, a busy one {@linkcode BUSY_OCTETS}. */
export const READ_OCTETS = 1_024;
const BUSY_OCTETS = 32_768;

export interface TlsServerOptions {
  /** Asks for a client certificate without demanding one. */
  readonly requestClientCertificate?: boolean;
  readonly handshakeTimeoutMs?: number;
}

/** The certificates of this thread and the handshakes made with them. */
export class TlsServer implements TlsUpgrader {
  readonly #requestClientCertificate: boolean;
  readonly #handshakeTimeoutMs: number;
  #contexts: NamedContext[];

  /** The first certificate serves clients without SNI and names no certificate covers. */
  constructor(certificates: readonly Certificate[], options: TlsServerOptions = {}) {
    this.#requestClientCertificate = options.requestClientCertificate ?? false;
    this.#handshakeTimeoutMs = options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS;
    this.#contexts = contextsOf(certificates);
  }

  /** New handshakes use these from now on. Throws on an unusable key and keeps the old ones then. */
  replace(certificates: readonly Certificate[]): void {
    this.#contexts = contextsOf(certificates);
  }

  /** Runs the handshake. Rejects when it fails or lasts too long; the connection is closed then. */
  async upgrade(conn: Deno.Conn, peer: PeerFacts): Promise<Transport> {
    const end = performance.now() + this.#handshakeTimeoutMs;
    // Chosen before the handshake begins, not within it: the runtime would keep two settings then, 14 kB each.
    const hello = this.#contexts.length === 1 ? NO_HELLO : await readHello(conn, this.#handshakeTimeoutMs);
    const context = this.#contextFor(hello.serverName);
    return await this.#handshake(conn, { peer, context, octets: hello.octets, ms: end - performance.now() });
  }

  async #handshake(conn: Deno.Conn, { peer, context, octets, ms }: HandshakeParts): Promise<Transport> {
    const stream = streamBelow(conn, octets);
    const socket = new tls.TLSSocket(stream, {
      isServer: true,
      secureContext: context,
      requestCert: this.#requestClientCertificate,
      rejectUnauthorized: false,
    });
    const asked = this.#requestClientCertificate;
    const open = () => new TlsTransport(socket, { stream, peer, asked });
    let transport: TlsTransport;
    try {
      transport = await secured(socket, { stream, event: "secure", ms, open });
    } catch (error) {
      tlsSessions.inc({ version: "failed" });
      throw error;
    }
    tlsSessions.inc({ version: transport.tls.protocol ?? "unknown" });
    return transport;
  }

  #contextFor(serverName: string): tls.SecureContext {
    const name = serverName.toLowerCase();
    const first = this.#contexts[0];
    if (first === undefined) throw new Error("no certificate is configured");
    if (name === "") return first.context;
    return (this.#contexts.find((one) => one.names.some((pattern) => covers(pattern, name))) ?? first)
      .context;
  }
}

interface HandshakeParts {
  readonly peer: PeerFacts;
  readonly context: tls.SecureContext;
  /** What the client said already; may be nothing. */
  readonly octets: Uint8Array;
  readonly ms: number;
}

interface NamedContext {
  readonly names: readonly string[];
  readonly context: tls.SecureContext;
}

function contextsOf(certificates: readonly Certificate[]): NamedContext[] {
  if (certificates.length === 0) throw new Error("TLS needs at least one certificate");
  return certificates.map(({ names, certificatePem, keyPem }) => ({
    names,
    context: tls.createSecureContext({
      cert: certificatePem,
      key: keyPem,
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
    }),
  }));
}

/**
 * What `open` makes of the socket when the handshake is done, at once: an error that came before somebody hears it would end the
 * process. Rejects when the handshake fails or lasts longer than `ms`; socket and stream are destroyed then.
 */
export function secured<T>(
  socket: tls.TLSSocket,
  { stream, event, ms, open }: {
    /** Below the socket. */
    readonly stream: Duplex;
    /** How a server's socket says so, or a client's. */
    readonly event: "secure" | "secureConnect";
    readonly ms: number;
    readonly open: () => T;
  },
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const fail = (error: Error) => {
    clearTimeout(timer);
    socket.destroy();
    stream.destroy();
    reject(error);
  };
  // The TLS layer does not watch the stream below it, and an error nobody hears ends the process.
  stream.on("error", (error) => socket.destroy(error));
  const ended = () => fail(new Error(CLOSED));
  const timer = setTimeout(() => fail(new Error(TIMED_OUT)), ms);
  socket.on("error", fail);
  socket.once("close", ended);
  onPeerEnd(stream, ended);
  socket.once(event, () => {
    clearTimeout(timer);
    socket.off("error", fail);
    socket.off("close", ended);
    onPeerEnd(stream, null);
    resolve(open());
  });
  return promise;
}

/** The TLS session as drivers see it. */
export class TlsTransport implements Transport {
  readonly peer: PeerFacts;
  readonly tls: TlsFacts;
  readonly canStartTls: boolean;
  readonly #socket: tls.TLSSocket;
  readonly #stream: Duplex;
  readonly #reader: StreamReader;
  #closed: boolean;

  constructor(socket: tls.TLSSocket, parts: { stream: Duplex; peer: PeerFacts; asked: boolean }) {
    this.peer = parts.peer;
    this.tls = factsOf(socket, parts.asked);
    this.canStartTls = false;
    this.#socket = socket;
    this.#stream = parts.stream;
    this.#reader = new StreamReader(socket);
    this.#closed = false;
  }

  read(into: Uint8Array): Promise<number | null> {
    noteRead(this);
    return this.#reader.read(into);
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#reader.error !== null) throw this.#reader.error;
    if (this.#closed) throw new Error("the TLS connection is closed");
    // Until the callback the layers below hold the span, so waiting for it spares a copy.
    await new Promise<void>((resolve, reject) =>
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve())
    );
  }

  startTls(): Promise<Transport> {
    return Promise.reject(new Error("the connection is under TLS already"));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#reader.close();
    // `end` sends what was written and close_notify (RFC 8446 6.1); a peer that reads nothing is cut off.
    const timer = setTimeout(() => this.#cut(), CLOSE_TIMEOUT_MS);
    this.#socket.once("close", () => clearTimeout(timer));
    this.#socket.end(() => {
      clearTimeout(timer);
      this.#cut();
    });
    this.#socket.resume();
  }

  #cut(): void {
    this.#socket.destroy();
    this.#stream.destroy();
  }
}

/** Milliseconds the last octets and close_notify may take after `close`. */
const CLOSE_TIMEOUT_MS = 2_000;

function factsOf(socket: tls.TLSSocket, asked: boolean): TlsFacts {
  const name = (socket as tls.TLSSocket & { servername?: string | false | null }).servername;
  const raw = asked ? (socket.getPeerCertificate(true) as tls.PeerCertificate | undefined)?.raw : undefined;
  const cipher = socket.getCipher() as tls.CipherNameAndProtocol | undefined;
  return {
    protocol: socket.getProtocol(),
    cipher: cipher?.standardName ?? cipher?.name ?? null,
    clientCertificate: raw === undefined ? null : createHash("sha256").update(raw).digest("hex"),
    serverName: typeof name === "string" && name !== "" ? name : null,
  };
}

/** A connection as the stream that node's TLS wants below it; `first` is what was read from it before. */
export function streamBelow(conn: Deno.Conn, first: Uint8Array = NO_HELLO.octets): Duplex {
  return adopt(conn, first) ?? new ConnStream(conn, first);
}

/** During a handshake; null afterwards. A layer over a stream of ours would wait for the rest. */
function onPeerEnd(stream: Duplex, told: (() => void) | null): void {
  if (stream instanceof ConnStream) stream.onEnd = told;
}

/** For connections that cannot be adopted. */
class ConnStream extends Duplex {
  /** Called when the peer will send no more. */
  onEnd: (() => void) | null;
  #conn: Deno.Conn;
  #writer: SocketWriter;
  #reading: boolean;
  #size: number;
  /** What was read from the connection before. */
  #first: Uint8Array | null;

  constructor(conn: Deno.Conn, first: Uint8Array) {
    super({ allowHalfOpen: true, highWaterMark: BUSY_OCTETS });
    this.#first = first.length === 0 ? null : first;
    this.onEnd = null;
    this.#conn = conn;
    this.#writer = new SocketWriter(conn, { direct: true });
    this.#reading = false;
    this.#size = READ_OCTETS;
  }

  override _read(): void {
    if (this.#reading) return;
    this.#reading = true;
    if (this.#first === null) this.#readOnce();
    else setImmediate(() => this.#pushFirst()); // a TLSSocket is not ready before
  }

  #pushFirst(): void {
    const first = this.#first;
    this.#first = null;
    this.#reading = false;
    if (!this.destroyed) this.push(first);
  }

  async #readOnce(): Promise<void> {
    const buffer = new Uint8Array(this.#size);
    let octets: number | null;
    try {
      octets = await this.#conn.read(buffer);
    } catch (error) {
      this.#reading = false;
      if (!this.destroyed) this.destroy(error instanceof Error ? error : new Error(String(error)));
      return;
    }
    this.#reading = false;
    if (this.destroyed) return;
    // A full buffer means a busy peer: read more at once, and go back when it calms down.
    if (octets === this.#size) this.#size = BUSY_OCTETS;
    else if (octets !== null && octets < READ_OCTETS) this.#size = READ_OCTETS;
    if (octets === null) this.onEnd?.();
    if (!this.destroyed) this.push(octets === null ? null : buffer.subarray(0, octets));
  }

  override _write(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    const written = this.#writer.write(chunk);
    if (written === undefined) done();
    else written.then(() => done(), (error) => done(error));
  }

  override _final(done: (error?: Error | null) => void): void {
    // The peer may be gone already: there is nobody left to tell then.
    this.#conn.closeWrite().then(() => done(), () => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    closeQuietly(this.#conn);
    done(error);
  }
}

/** Milliseconds the probe waits for a sign of life. */
const PROBE_TIMEOUT_MS = 250;

/** The Deno known to be able. Trying it takes 50 ms of every start, so only older ones are tried. */
const ABLE_SINCE = { major: 2, minor: 9 };

/**
 * Whether this runtime has server-side TLS in `node:tls`: older ones construct the socket and never answer.
 * Feeds octets that are no TLS record and waits for the protest.
 */
export async function canServeTls(certificate: Certificate): Promise<boolean> {
  const [major = 0, minor = 0] = Deno.version.deno.split(".").map(Number);
  if (major > ABLE_SINCE.major || (major === ABLE_SINCE.major && minor >= ABLE_SINCE.minor)) return true;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let fed = false;
  const stream = new Duplex({
    read() {
      // Later than the constructor's own deferred start: octets before it would meet a half-made socket.
      if (!fed) setTimeout(() => this.push(new TextEncoder().encode("QUIT\r\n\r\n\r\n")), 0);
      fed = true;
    },
    write(_chunk, _encoding, done) {
      resolve(true);
      done();
    },
  });
  const socket = new tls.TLSSocket(stream, {
    isServer: true,
    secureContext: tls.createSecureContext({ cert: certificate.certificatePem, key: certificate.keyPem }),
  });
  socket.on("error", () => resolve(true));
  const timer = setTimeout(() => resolve(false), PROBE_TIMEOUT_MS);
  const able = await promise;
  clearTimeout(timer);
  socket.destroy();
  stream.destroy();
  return able;
}
