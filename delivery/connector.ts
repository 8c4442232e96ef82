/**
 * What sending asks of the network: connections to other servers, time, and waiting. `server/outgoing.ts` implements it
 * over sockets, tests in memory.
 */
import type { PeerCertificates } from "./security/certificate_check.ts";

export interface OutgoingConnection {
  /** `address:port` of the peer. */
  readonly remote: string;
  /** Null in clear. */
  readonly tls: OutgoingTls | null;
  /**
   * At least one octet; null at the end. Rejects when the connection breaks. `waits` is called where nothing is there yet, or where
   * that cannot be told.
   */
  read(into: Uint8Array, waits?: () => void): Promise<number | null>;
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Client side of TLS; any certificate will do. The old connection must not be used afterwards. Rejects when the
   * handshake fails; the connection is closed then. `serverName`: name or address the peer was looked up by.
   */
  startTls(options: { readonly serverName: string }): Promise<OutgoingConnection>;
  /** Closes at once; pending reads end with null or reject. Safe to call twice. */
  close(): void;
}

export interface OutgoingTls {
  readonly protocol: string | null;
  readonly cipher: string | null;
  /** What the peer showed of itself. */
  certificates(): PeerCertificates;
}

export interface Connector {
  /** Rejects when there is no connection within the time. */
  connect(target: {
    /** An address, or `unix:/PATH`, where port and `from` mean nothing. */
    readonly address: string;
    readonly port: number;
    /** Our end of it; "" or left out lets the system choose. */
    readonly from?: string;
    readonly timeoutMs: number;
  }): Promise<OutgoingConnection>;
}

export interface Timers {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Calls back once after `ms`; returns the way to cancel. */
  after(ms: number, callback: () => void): () => void;
}
