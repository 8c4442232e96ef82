/** What the client needs from outside: sockets and time. `server/dns_network.ts` is the real one. */

export interface ServerAddress {
  /** In the form of `canonicalAddress` (dns/ip_address.ts). */
  readonly address: string;
  readonly port: number;
}

export interface UdpSocket {
  send(octets: Uint8Array, to: ServerAddress): Promise<void>;
  /** The next datagram, in `buffer`; null once closed. Rejects on trouble of the network. */
  receive(buffer: Uint8Array): Promise<{ octets: Uint8Array; from: ServerAddress } | null>;
  /** Wakes a waiting `receive`. May be called twice. */
  close(): void;
}

export interface TcpStream {
  /** Octets read into `buffer`; 0 at the end, and once closed. */
  read(buffer: Uint8Array): Promise<number>;
  /** All of it. */
  write(octets: Uint8Array): Promise<void>;
  /** Wakes a waiting `read`. May be called twice. */
  close(): void;
}

export interface Network {
  /** A socket of its own for one query, on an unpredictable port (RFC 5452 9.2), of the family of `server`. */
  udp(server: ServerAddress): UdpSocket;
  /** Rejects when refused, unreachable or aborted. */
  tcp(server: ServerAddress, signal: AbortSignal): Promise<TcpStream>;
}

export interface Timing {
  /** Milliseconds, steady. */
  now(): number;
  /** Calls back once after `ms`; returns the way to prevent it. */
  after(ms: number, callback: () => void): () => void;
}
