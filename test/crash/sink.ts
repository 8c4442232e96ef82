/**
 * A next hop on loopback that notes when each message of the crash run was accepted: by its marker, answers of vacation by
 * whom they answer.
 */
import { createHash } from "node:crypto";
import { Wire, WireClosed } from "../lib/wire.ts";

/** One 250 to the end of data. */
export interface Acceptance {
  /** The process that sent it. */
  readonly life: number;
  /** performance.now() */
  readonly at: number;
  /** Of all its octets: a message that is sent again is the same, one that was made again is another. */
  readonly digest: string;
}

/** What an answer of vacation is noted by. */
export function answerTo(sender: string): string {
  return `vacation ${sender}`;
}

/** Acceptances are noted by the message's marker. */
export class Sink {
  readonly received = new Map<string, Acceptance[]>();
  /** Counts the processes of the server under test; set before each is started. */
  life = 0;
  readonly port: number;
  #listener: Deno.TcpListener;
  #done: Promise<void>;

  constructor() {
    this.#listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    this.port = this.#listener.addr.port;
    this.#done = this.#accept();
  }

  async close(): Promise<void> {
    this.#listener.close();
    await this.#done;
  }

  async #accept(): Promise<void> {
    for await (const conn of this.#listener) {
      this.#serve(new Wire(conn, 600_000)).catch((error) => {
        if (!(error instanceof WireClosed)) throw error; // the server under test was killed
      });
    }
  }

  async #serve(wire: Wire): Promise<void> {
    const { life } = this;
    await wire.write("220 sink.test ESMTP\r\n");
    for (;;) {
      const verb = (await wire.line()).slice(0, 4).toUpperCase();
      if (verb === "EHLO") {
        await wire.write("250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n");
      } else if (verb === "QUIT") return await wire.write("221 bye\r\n");
      else if (verb !== "DATA") await wire.write("250 ok\r\n");
      else {
        await wire.write("354 go\r\n");
        let marker = "", to = "", answer = false;
        const hash = createHash("sha256");
        for (let line = await wire.line(); line !== "."; line = await wire.line()) {
          hash.update(`${line}\r\n`);
          if (line.startsWith("X-Crash: ")) marker = line.slice(9);
          else if (line.startsWith("Auto-Submitted: auto-replied")) answer = true;
          else if (line.startsWith("To: ")) to = line.slice(4).replace(/[<>]/g, "");
        }
        await wire.write("250 ok\r\n");
        if (marker === "" && answer) marker = answerTo(to);
        const digest = hash.digest("hex");
        const acceptance = { life, at: performance.now(), digest };
        this.received.set(marker, [...this.received.get(marker) ?? [], acceptance]);
      }
    }
  }
}
