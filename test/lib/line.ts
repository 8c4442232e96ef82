/** A conversation with a mail port, as text of one character an octet. */

const decoder = new TextDecoder();

export class Line {
  #conn: Deno.Conn;
  #text = "";
  constructor(conn: Deno.Conn) {
    this.#conn = conn;
  }

  static async tcp(port: number): Promise<Line> {
    return new Line(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  async say(text: string): Promise<void> {
    const octets = Uint8Array.from(text, (character) => character.charCodeAt(0));
    for (let at = 0; at < octets.length;) at += await this.#conn.write(octets.subarray(at));
  }

  /** Reads until the pattern has come; returns everything up to there. Fails at the end of the connection. */
  async until(pattern: RegExp): Promise<string> {
    const buffer = new Uint8Array(4_096);
    for (;;) {
      const match = pattern.exec(this.#text);
      if (match !== null) {
        const end = match.index + match[0].length;
        const found = this.#text.slice(0, end);
        this.#text = this.#text.slice(end);
        return found;
      }
      const count = await this.#conn.read(buffer);
      if (count === null) throw new Error(`the connection ended after ${JSON.stringify(this.#text)}`);
      this.#text += decoder.decode(buffer.subarray(0, count));
    }
  }

  async ask(text: string, pattern: RegExp): Promise<string> {
    await this.say(`${text}\r\n`);
    return await this.until(pattern);
  }

  /** What came until the peer closed. */
  async rest(): Promise<string> {
    const buffer = new Uint8Array(4_096);
    for (;;) {
      const count = await this.#conn.read(buffer).catch(() => null);
      if (count === null) return this.#text;
      this.#text += decoder.decode(buffer.subarray(0, count));
    }
  }

  [Symbol.dispose](): void {
    try {
      this.#conn.close();
    } catch (error) {
      if (!(error instanceof Deno.errors.BadResource)) throw error;
    }
  }
}
