/** Another mail server under TLS for tests of sending: STARTTLS with the certificates it is given, or none. */
import { encode } from "../../bytes/decode.ts";
import { peerFacts } from "../../server/deno_transport.ts";
import { TlsServer } from "../../server/tls_transport.ts";
import type { Issued } from "./test_ca.ts";

export class TlsSmtpServer {
  /** Commands in order, "clear " or "tls " before each. */
  readonly heard: string[] = [];
  readonly #listener: Deno.TcpListener;
  readonly #tls: TlsServer | null;
  readonly #running: Promise<void>;

  /** `chain`: the server's own first; null offers no STARTTLS. */
  constructor(hostname: string, port: number, chain: readonly Issued[] | null) {
    this.#listener = Deno.listen({ hostname, port });
    this.#tls = chain === null ? null : new TlsServer([{
      names: [],
      certificatePem: chain.map(({ pem }) => `${pem}\n`).join(""),
      keyPem: chain[0]!.keyPem,
      notAfter: Infinity,
    }]);
    this.#running = this.#accept();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  /** How messages came: "clear" or "tls" for each. */
  get messages(): string[] {
    return this.heard.filter((line) => line.endsWith(" DATA")).map((line) => line.split(" ")[0]!);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#running;
  }

  async #accept(): Promise<void> {
    const sessions: Promise<void>[] = [];
    try {
      for await (const conn of this.#listener) {
        sessions.push(
          this.#serve(conn).catch((error) => {
            if (!(error instanceof Error)) throw error; // the client has hung up
          }),
        );
      }
    } finally {
      await Promise.all(sessions);
    }
  }

  async #serve(conn: Deno.TcpConn): Promise<void> {
    let read = (into: Uint8Array) => conn.read(into);
    let write = async (bytes: Uint8Array): Promise<void> => void await conn.write(bytes);
    let close = () => conn.close();
    let way = "clear";
    let data = false;
    try {
      await write(encode("220 tls.test\r\n"));
      for (const buffer = new Uint8Array(4_096);;) {
        const octets = await read(buffer);
        if (octets === null) return;
        for (const line of new TextDecoder().decode(buffer.subarray(0, octets)).split("\r\n")) {
          if (line === "" || (data && line !== ".")) continue;
          data = false;
          this.heard.push(`${way} ${line}`);
          if (line.startsWith("EHLO")) {
            const offers = this.#tls !== null && way === "clear";
            await write(encode(offers ? "250-tls.test\r\n250 STARTTLS\r\n" : "250 tls.test\r\n"));
          } else if (line === "STARTTLS") {
            await write(encode("220 go\r\n"));
            const transport = await this.#tls!.upgrade(conn, peerFacts(conn));
            read = (into) => transport.read(into);
            write = async (bytes) => void await transport.write(bytes);
            close = () => transport.close();
            way = "tls";
          } else if (line === "DATA") {
            data = true;
            await write(encode("354 go\r\n"));
          } else await write(encode("250 2.0.0 ok\r\n"));
        }
      }
    } finally {
      close();
    }
  }
}
