/**
 * An outgoing connection from an address of ours: `Deno.connect` cannot choose one, `node:net` can.
 *
 * Offers what DenoTransport and ConnStream use of a `Deno.TcpConn`, and nothing else of it.
 */
import net from "node:net";

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
  #socket: net.Socket;
  /** What a read handed out only in part. */
  #rest: Uint8Array | null;
  #ended: boolean;
  #error: Error | null;
  #wake: (() => void) | null;

  constructor(socket: net.Socket) {
    const { localAddress = "", localPort = 0, remoteAddress = "", remotePort = 0 } = socket;
    this.localAddr = { transport: "tcp", hostname: localAddress, port: localPort };
    this.remoteAddr = { transport: "tcp", hostname: remoteAddress, port: remotePort };
    this.#socket = socket;
    this.#rest = null;
    this.#ended = false;
    this.#error = null;
    this.#wake = null;
    const ended = () => {
      this.#ended = true;
      this.#signal();
    };
    socket.on("readable", () => this.#signal());
    socket.on("end", ended);
    socket.on("close", ended);
    socket.on("error", (error: Error) => {
      this.#error ??= error;
      this.#signal();
    });
  }

  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      const chunk = this.#rest ?? this.#socket.read() as Uint8Array | null;
      if (chunk !== null && chunk.length > 0) {
        const octets = Math.min(chunk.length, into.length);
        into.set(octets === chunk.length ? chunk : chunk.subarray(0, octets));
        this.#rest = octets === chunk.length ? null : chunk.subarray(octets);
        return octets;
      }
      if (this.#error !== null) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  write(bytes: Uint8Array): Promise<number> {
    if (this.#error !== null) return Promise.reject(this.#error);
    return new Promise((resolve, reject) =>
      this.#socket.write(bytes, (error) => error ? reject(error) : resolve(bytes.length))
    );
  }

  closeWrite(): Promise<void> {
    return new Promise((resolve) => this.#socket.end(() => resolve()));
  }

  close(): void {
    this.#ended = true;
    this.#signal();
    this.#socket.destroy();
  }

  setNoDelay(on = true): void {
    this.#socket.setNoDelay(on);
  }

  setKeepAlive(on = true): void {
    this.#socket.setKeepAlive(on);
  }

  #signal(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
