/**
 * A line-and-literal reader over a loopback TCP or TLS connection, for test clients.
 *
 * Blocking in style (`await line()`), with a deadline on every wait so that a test fails instead of hanging.
 */
import { latin1 } from "../../bytes/decode.ts";

/** The peer closed or broke the connection, or was silent too long. */
export class WireClosed extends Error {
  override readonly name = "WireClosed";
}

export class Wire {
  #conn: Deno.Conn;
  #buffer = new Uint8Array(64 * 1024);
  #start = 0;
  #end = 0;
  readonly timeoutMs: number;

  constructor(conn: Deno.Conn, timeoutMs = 20_000) {
    this.#conn = conn;
    this.timeoutMs = timeoutMs;
  }

  static async connect(port: number, options: { hostname?: string; timeoutMs?: number } = {}): Promise<Wire> {
    const conn = await Deno.connect({ hostname: options.hostname ?? "127.0.0.1", port });
    conn.setNoDelay(true);
    return new Wire(conn, options.timeoutMs);
  }

  /** The same connection after a client-side TLS handshake (STARTTLS); any certificate is accepted from `caCerts`. */
  async startTls(caCerts: string[], hostname = "localhost"): Promise<void> {
    this.#conn = await Deno.startTls(this.#conn as Deno.TcpConn, { hostname, caCerts });
  }

  /** One line without its CRLF, one character per octet. */
  async line(): Promise<string> {
    for (;;) {
      const lf = this.#buffer.subarray(0, this.#end).indexOf(0x0a, this.#start);
      if (lf >= 0) {
        const end = lf > this.#start && this.#buffer[lf - 1] === 0x0d ? lf - 1 : lf;
        const text = latin1(this.#buffer, this.#start, end);
        this.#start = lf + 1;
        return text;
      }
      await this.#fill();
    }
  }

  /** Exactly `count` octets, in an array of their own. */
  async octets(count: number): Promise<Uint8Array<ArrayBuffer>> {
    const result = new Uint8Array(count);
    let at = 0;
    while (at < count) {
      if (this.#start === this.#end) await this.#fill();
      const take = Math.min(count - at, this.#end - this.#start);
      result.set(this.#buffer.subarray(this.#start, this.#start + take), at);
      this.#start += take;
      at += take;
    }
    return result;
  }

  async write(data: Uint8Array | string): Promise<void> {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    try {
      for (let at = 0; at < bytes.length;) at += await this.#conn.write(bytes.subarray(at));
    } catch (cause) {
      throw new WireClosed("write failed", { cause });
    }
  }

  close(): void {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error; // closed already
    }
  }

  async #fill(): Promise<void> {
    if (this.#start > 0) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
    if (this.#end === this.#buffer.length) {
      const grown = new Uint8Array(this.#buffer.length * 2);
      grown.set(this.#buffer);
      this.#buffer = grown;
    }
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new WireClosed(`no octets within ${this.timeoutMs} ms`));
        this.close();
      }, this.timeoutMs);
    });
    let count: number | null;
    try {
      count = await Promise.race([this.#conn.read(this.#buffer.subarray(this.#end)), late]);
    } catch (cause) {
      if (cause instanceof WireClosed) throw cause;
      throw new WireClosed("read failed", { cause });
    } finally {
      clearTimeout(timer);
    }
    if (count === null) throw new WireClosed("closed by the peer");
    this.#end += count;
  }
}
