/**
 * One connection as the protocol drivers see it, whatever carries it.
 *
 * `deno_transport.ts` implements it over `Deno.TcpConn` and `Deno.TlsConn`, `tls_transport.ts` over a
 * `node:tls` socket. Drivers hold no other handle on the network.
 */

/** Facts about the two ends; addresses without brackets or zone. */
export interface PeerFacts {
  readonly address: string;
  readonly port: number;
  readonly localAddress: string;
  readonly localPort: number;
}

/** Facts about the TLS session; `cipher` and `serverName` are null where the carrier cannot tell. */
export interface TlsFacts {
  /** As in `TLSv1.3`; null where the carrier cannot tell. */
  readonly protocol: string | null;
  readonly cipher: string | null;
  /** SNI of the client. */
  readonly serverName: string | null;
  /** SHA-256 of the client's certificate in DER, lower-case hex; null without one. Nobody has checked who issued it. */
  readonly clientCertificate: string | null;
}

export interface Transport {
  readonly peer: PeerFacts;
  /** Null in clear. */
  readonly tls: TlsFacts | null;
  /** True when {@linkcode startTls} can work: plain connection, certificate at hand, runtime able. */
  readonly canStartTls: boolean;
  /**
   * Reads what is there, at least one octet; null at the end. Rejects when the connection breaks. A plain connection calls `waits`
   * where nothing is there yet, as far as it can tell.
   */
  read(into: Uint8Array, waits?: () => void): Promise<number | null>;
  /** What comes within moments, without a turn of the event loop; 0: {@linkcode read} is needed. */
  readNear?(into: Uint8Array): number;
  /**
   * Writes everything; undefined when it was taken at once, otherwise resolves when the kernel (or TLS layer) took it, so
   * that awaiting it is backpressure. `last`: {@linkcode close} follows at once, and the octets may wait for it.
   */
  write(bytes: Uint8Array, options?: { readonly last?: boolean }): Promise<void> | undefined;
  /**
   * Server side of STARTTLS. Octets the peer sent before the handshake are the caller's to drop. The old
   * transport must not be used afterwards. Rejects when the handshake fails; the connection is closed then.
   */
  startTls(): Promise<Transport>;
  /** Closes at once; pending reads end with null or reject. Safe to call twice. */
  close(): void;
}
