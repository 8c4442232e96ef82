/**
 * Connections to other servers over Deno sockets, and their TLS by `node:tls`.
 *
 * TLS 1.2 and 1.3 (RFC 8996). Any certificate is taken here; what it is worth is judged by whoever asks
 * (delivery/security/certificate_check.ts). Every wait has a limit: connect by the caller's, handshake by
 * {@linkcode HANDSHAKE_TIMEOUT_MS}, everything after that by the timers of the session.
 */
import tls from "node:tls";
import type { Connector, OutgoingConnection, OutgoingTls } from "../delivery/connector.ts";
import { MAX_CHAIN, type PeerCertificates } from "../delivery/security/certificate_check.ts";
import { connectFrom } from "./bound_conn.ts";
import { NO_DESCRIPTOR } from "./descriptor.ts";
import { DenoTransport, peerFacts } from "./deno_transport.ts";
import { openedDescriptor } from "./opened_descriptor.ts";
import { HANDSHAKE_TIMEOUT_MS, secured, streamBelow, TlsTransport } from "./tls_transport.ts";
import type { Transport } from "./transport.ts";

export interface OutgoingOptions {
  /** PEM certificates trusted beside the roots of the runtime. */
  readonly extraRoots?: readonly string[];
}

export function denoConnector(options: OutgoingOptions = {}): Connector {
  return {
    async connect({ address, port, from = "", timeoutMs }) {
      if (address.startsWith("unix:")) {
        const conn = await Deno.connect({ transport: "unix", path: address.slice(5) });
        return new PlainConnection(conn, address, { ...options, descriptor: NO_DESCRIPTOR });
      }
      const signal = AbortSignal.timeout(timeoutMs);
      try {
        const conn = from === ""
          ? await Deno.connect({ hostname: address, port, signal })
          : await connectFrom({ address, port, from, signal });
        const peer = peerFacts(conn);
        const descriptor = from === "" ? openedDescriptor(conn) : NO_DESCRIPTOR;
        return new PlainConnection(conn, `${peer.address}:${peer.port}`, { ...options, descriptor });
      } catch (error) {
        if (signal.aborted) throw new Error("no answer in time");
        throw error;
      }
    },
  };
}

class PlainConnection implements OutgoingConnection {
  readonly remote: string;
  readonly tls: null;
  readonly #conn: Deno.Conn;
  readonly #transport: Transport;
  readonly #options: OutgoingOptions;

  constructor(
    conn: Deno.Conn,
    remote: string,
    { descriptor, ...options }: OutgoingOptions & { readonly descriptor: number },
  ) {
    this.remote = remote;
    this.tls = null;
    this.#conn = conn;
    this.#transport = DenoTransport.plain(conn, null, { noDelay: remote.startsWith("unix:"), descriptor });
    this.#options = options;
  }

  read(into: Uint8Array, waits?: () => void): Promise<number | null> {
    return this.#transport.read(into, waits);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#transport.write(bytes);
  }

  async startTls({ serverName }: { readonly serverName: string }): Promise<OutgoingConnection> {
    const stream = streamBelow(this.#conn);
    const isName = !/^[\d.]+$|:/.test(serverName);
    const socket = tls.connect({
      socket: stream,
      ...(isName && { servername: serverName }),
      rejectUnauthorized: false,
      minVersion: "TLSv1.2",
      maxVersion: "TLSv1.3",
      ...(this.#options.extraRoots && { ca: [...tls.rootCertificates, ...this.#options.extraRoots] }),
    });
    const peer = peerFacts(this.#conn);
    const open = () => new TlsTransport(socket, { stream, peer, asked: false });
    const transport = await secured(socket, {
      stream,
      event: "secureConnect",
      ms: HANDSHAKE_TIMEOUT_MS,
      open,
    });
    return new TlsConnection(this.remote, transport, peerCertificates(socket));
  }

  close(): void {
    this.#transport.close();
  }
}

class TlsConnection implements OutgoingConnection {
  readonly remote: string;
  readonly tls: OutgoingTls;
  readonly #transport: Transport;

  constructor(remote: string, transport: Transport, certificates: PeerCertificates) {
    this.remote = remote;
    const { protocol, cipher } = transport.tls!;
    this.tls = { protocol, cipher, certificates: () => certificates };
    this.#transport = transport;
  }

  read(into: Uint8Array, waits?: () => void): Promise<number | null> {
    waits?.(); // what is there cannot be told below TLS
    return this.#transport.read(into);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#transport.write(bytes);
  }

  startTls(): Promise<OutgoingConnection> {
    return Promise.reject(new Error("TLS is active already"));
  }

  close(): void {
    this.#transport.close();
  }
}

function peerCertificates(socket: tls.TLSSocket): PeerCertificates {
  const chain: Uint8Array[] = [];
  let next: tls.DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(new Uint8Array(next.raw));
    const { fingerprint256 }: tls.DetailedPeerCertificate = next;
    next = next.issuerCertificate;
    if (next?.fingerprint256 === fingerprint256) break; // a root is its own issuer
  }
  const untrusted = socket.authorized ? null : `${socket.authorizationError ?? "no reason given"}`;
  return { chain, untrusted };
}
