/** The sockets and the clock of the DNS client: Deno's. */
import { canonicalAddress, parseIpv4 } from "../dns/ip_address.ts";
import type { Network, ServerAddress, TcpStream, Timing, UdpSocket } from "../dns/network.ts";
import type { RandomBelow } from "../dns/query.ts";

/** Ports from here on may be the source of a query (RFC 5452 9.2). */
const FIRST_PORT = 1_024;
/** Draws before the choice is left to the system, which has half as many ports to choose from. */
const MAX_DRAWS = 4;

export function denoNetwork(random: RandomBelow): Network {
  return {
    udp: (server) => new DenoUdpSocket(bindAnywhere(parseIpv4(server.address) ? "0.0.0.0" : "::", random)),
    tcp: async (server, signal) =>
      new DenoTcpStream(await Deno.connect({ hostname: server.address, port: server.port, signal })),
  };
}

export const DENO_TIMING: Timing = {
  now: () => performance.now(),
  after: (ms, callback) => {
    const id = setTimeout(callback, ms);
    return () => clearTimeout(id);
  },
};

/** Uniform by rejection; octets are drawn many at once. */
export function cryptoRandomBelow(): RandomBelow {
  const pool = new Uint32Array(256);
  let used = pool.length;
  return (limit) => {
    const fair = Math.floor(2 ** 32 / limit) * limit;
    for (;;) {
      if (used === pool.length) {
        crypto.getRandomValues(pool);
        used = 0;
      }
      const value = pool[used++]!;
      if (value < fair) return value % limit;
    }
  };
}

function bindAnywhere(hostname: string, random: RandomBelow): Deno.DatagramConn {
  for (let draw = 0; draw < MAX_DRAWS; draw++) {
    const port = FIRST_PORT + random(0x10000 - FIRST_PORT);
    try {
      return Deno.listenDatagram({ hostname, port, transport: "udp" });
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse || error instanceof Deno.errors.PermissionDenied)) {
        throw error;
      }
    }
  }
  return Deno.listenDatagram({ hostname, port: 0, transport: "udp" });
}

class DenoUdpSocket implements UdpSocket {
  readonly #socket: Deno.DatagramConn;
  #closed: boolean;

  constructor(socket: Deno.DatagramConn) {
    this.#socket = socket;
    this.#closed = false;
  }

  async send(octets: Uint8Array, to: ServerAddress): Promise<void> {
    await this.#socket.send(octets, { hostname: to.address, port: to.port, transport: "udp" });
  }

  async receive(buffer: Uint8Array): Promise<{ octets: Uint8Array; from: ServerAddress } | null> {
    try {
      const [octets, from] = await this.#socket.receive(buffer);
      const { hostname, port } = from as Deno.NetAddr;
      return { octets, from: { address: canonicalAddress(hostname) ?? hostname, port } };
    } catch (error) {
      if (this.#closed) return null;
      throw error;
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }
}

class DenoTcpStream implements TcpStream {
  readonly #connection: Deno.TcpConn;
  #closed: boolean;

  constructor(connection: Deno.TcpConn) {
    this.#connection = connection;
    this.#closed = false;
  }

  async read(buffer: Uint8Array): Promise<number> {
    try {
      return await this.#connection.read(buffer) ?? 0;
    } catch (error) {
      if (this.#closed) return 0;
      throw error;
    }
  }

  async write(octets: Uint8Array): Promise<void> {
    for (let at = 0; at < octets.length;) at += await this.#connection.write(octets.subarray(at));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#connection.close();
  }
}
