/**
 * An outgoing connection from an address of ours: `Deno.connect` cannot choose one, `node:net` can.
 *
 * Offers what DenoTransport and ConnStream use of a `Deno.TcpConn`, and nothing else of it.
 */
import net from "node:net";
import { StreamReader } from "./stream_reader.ts";

type Used = Pick<
  Deno.TcpConn,
  "read" | "write" | "closeWrite" | "close" | "localAddr" | "remoteAddr" | "setNoDelay" | "setKeepAlive"
>;

/** Rejects when there is no connection within the time, or the address is not ours. */
export function connectFrom(
  { address, port, from, signal }: {
    readonly address: string;
    readonly port: number;
    readonly from: string;
    readonly signal: AbortSignal;
  },
): Promise<Deno.TcpConn> {
  const { promise, resolve, reject } = Promise.withResolvers<Deno.TcpConn>();
  const socket = net.connect({ host: address, port, localAddress: from });
  const abort = () => socket.destroy(new Error("no answer in time"));
  signal.addEventListener("abort", abort, { once: true });
  socket.once("error", reject);
  socket.once("connect", () => {
    signal.removeEventListener("abort", abort);
    socket.off("error", reject);
    resolve(new BoundConn(socket) as Used as Deno.TcpConn);
  });
  return promise;
}

class BoundConn implements Used {
  readonly localAddr: Deno.NetAddr;
  readonly remoteAddr: Deno.NetAddr;
  readonly #socket: net.Socket;
  readonly #reader: StreamReader;

  constructor(socket: net.Socket) {
    const { localAddress = "", localPort = 0, remoteAddress = "", remotePort = 0 } = socket;
    this.localAddr = { transport: "tcp", hostname: localAddress, port: localPort };
    this.remoteAddr = { transport: "tcp", hostname: remoteAddress, port: remotePort };
    this.#socket = socket;
    this.#reader = new StreamReader(socket);
  }

  read(into: Uint8Array): Promise<number | null> {
    return this.#reader.read(into);
  }

  write(bytes: Uint8Array): Promise<number> {
    const { error } = this.#reader;
    if (error !== null) return Promise.reject(error);
    return new Promise((resolve, reject) =>
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length))
    );
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  close(): void {
    this.#reader.close();
    this.#socket.destroy();
  }

  setNoDelay(on = true): void {
    this.#socket.setNoDelay(on);
  }

  setKeepAlive(on = true): void {
    this.#socket.setKeepAlive(on);
  }
}
