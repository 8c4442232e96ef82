/** An IMAP client that waits for tagged lines and looks at nothing else: one command at a time, timed. */
import { DOMAIN, PASSWORD } from "../target.ts";

const decoder = new TextDecoder("latin1");
const encoder = new TextEncoder();
/** A tagged line is shorter. */
const TAIL_OCTETS = 4_096;

export class ImapClient {
  #conn: Deno.TcpConn;
  #buffer = new Uint8Array(512 * 1024);
  #tail = "";
  #sequence = 0;
  #kept: string | null = null;

  private constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  static async login(port: number, user: string): Promise<ImapClient> {
    const client = new ImapClient(await Deno.connect({ hostname: "127.0.0.1", port }));
    client.#conn.setNoDelay(true);
    await client.#until(/^\* OK [^\r\n]*\r\n$/m);
    await client.command(`LOGIN ${user}@${DOMAIN} ${PASSWORD}`);
    return client;
  }

  /** Milliseconds until its tagged OK; anything else throws. */
  async command(text: string): Promise<number> {
    const tag = `t${++this.#sequence}`;
    const begin = performance.now();
    await this.#conn.write(encoder.encode(`${tag} ${text}\r\n`));
    const [line] = await this.#until(new RegExp(`^${tag} [^\\r\\n]*\\r\\n$`, "m"));
    const ms = performance.now() - begin;
    if (!line.startsWith(`${tag} OK`)) throw new Error(`${text}: ${line.trim()}`);
    return ms;
  }

  /** What a short command is answered with. */
  async reply(text: string): Promise<string> {
    this.#kept = "";
    await this.command(text);
    const kept = this.#kept;
    this.#kept = null;
    return kept;
  }

  close(): void {
    this.#conn.close();
  }

  async #until(last: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = last.exec(this.#tail);
      if (found !== null) {
        this.#tail = "";
        return found;
      }
      const count = await this.#conn.read(this.#buffer);
      if (count === null) throw new Error("the server hung up");
      if (this.#kept !== null) this.#kept += decoder.decode(this.#buffer.subarray(0, count));
      const start = Math.max(0, count - TAIL_OCTETS);
      this.#tail = (this.#tail + decoder.decode(this.#buffer.subarray(start, count))).slice(-TAIL_OCTETS);
    }
  }
}
