/**
 * Connections to other servers over Deno sockets, and their TLS by `node:tls`.
 *
 * TLS 1.2 and 1.3 (RFC 8996). Opportunistic TLS takes any certificate (RFC 7435); `verify` demands a chain to a trusted
 * root and the name it was asked for (RFC 6125 6). Every wait has a limit: connect by the caller's, handshake by
 * {@linkcode HANDSHAKE_TIMEOUT_MS}, everything after that by the timers of the session.
 */
import tls from "node:tls";
import type { Connector, OutgoingConnection, Timers, TlsDemand } from "../delivery/connector.ts";
import { DenoTransport, peerFacts } from "./deno_transport.ts";
import { ConnStream, HANDSHAKE_TIMEOUT_MS, TlsTransport } from "./tls_transport.ts";
import type { Transport } from "./transport.ts";

export interface OutgoingOptions {
  /** PEM certificates trusted beside the roots of the runtime. */
  readonly extraRoots?: readonly string[];
}

export function denoConnector(options: OutgoingOptions = {}): Connector {
  return {
    async connect({ address, port, timeoutMs }) {
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        return new PlainConnection(await Deno.connect({ hostname: address, port, signal }), options);
      } catch (error) {
        if (signal.aborted) throw new Error("no answer in time");
        throw error;
      }
    },
  };
}

export const DENO_TIMERS: Timers = {
  now: Date.now,
  after(ms, callback) {
    const id = setTimeout(callback, ms);
    return () => clearTimeout(id);
  },
};

class PlainConnection implements OutgoingConnection {
  readonly remote: string;
  readonly tls: null;
  readonly #conn: Deno.TcpConn;
  readonly #transport: Transport;
  readonly #options: OutgoingOptions;

  constructor(conn: Deno.TcpConn, options: OutgoingOptions) {
    const { address, port } = peerFacts(conn);
    this.remote = `${address}:${port}`;
    this.tls = null;
    this.#conn = conn;
    this.#transport = DenoTransport.plain(conn, null);
    this.#options = options;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#transport.read(into);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#transport.write(bytes);
  }

  async startTls({ serverName, verify }: TlsDemand): Promise<OutgoingConnection> {
    const stream = new ConnStream(this.#conn);
    const isName = !/^[\d.]+$|:/.test(serverName);
    const socket = tls.connect({
      socket: stream,
      ...(isName && { servername: serverName }),
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      ...(this.#options.extraRoots && { ca: [...tls.rootCertificates, ...this.#options.extraRoots] }),
    });
    await handshake(socket, stream);
    const problem = verify ? certificateProblem(socket, serverName) : null;
    if (problem !== null) {
      socket.destroy();
      stream.destroy();
      throw new Error(problem);
    }
    return new TlsConnection(
      this.remote,
      new TlsTransport(socket, {
        stream,
        peer: peerFacts(this.#conn),
        asked: false,
      }),
    );
  }

  close(): void {
    this.#transport.close();
  }
}

class TlsConnection implements OutgoingConnection {
  readonly remote: string;
  readonly #transport: Transport;

  constructor(remote: string, transport: Transport) {
    this.remote = remote;
    this.#transport = transport;
  }

  get tls(): OutgoingConnection["tls"] {
    return this.#transport.tls;
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#transport.read(into);
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#transport.write(bytes);
  }

  startTls(): Promise<OutgoingConnection> {
    return Promise.reject(new Error("TLS is active already"));
  }

  close(): void {
    this.#transport.close();
  }
}

function handshake(socket: tls.TLSSocket, stream: ConnStream): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const fail = (error: Error) => {
    clearTimeout(timer);
    socket.destroy();
    stream.destroy();
    reject(error);
  };
  // The TLS layer does not watch the stream below it, and an error nobody hears ends the process.
  stream.on("error", (error) => socket.destroy(error));
  const ended = () => fail(new Error("connection closed during the TLS handshake"));
  const timer = setTimeout(() => fail(new Error("TLS handshake timed out")), HANDSHAKE_TIMEOUT_MS);
  socket.on("error", fail);
  socket.once("close", ended);
  stream.onEnd = ended;
  socket.once("secureConnect", () => {
    clearTimeout(timer);
    socket.off("error", fail);
    socket.off("close", ended);
    stream.onEnd = null;
    resolve();
  });
  return promise;
}

/** Why the certificate does not do for `serverName`; null when it does. */
function certificateProblem(socket: tls.TLSSocket, serverName: string): string | null {
  const mismatch = tls.checkServerIdentity(serverName, socket.getPeerCertificate());
  if (mismatch !== undefined) return mismatch.message;
  if (socket.authorized) return null;
  return `the certificate is not trusted (${socket.authorizationError ?? "no reason given"})`;
}
