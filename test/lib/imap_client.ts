/** A plain IMAP client for tests: commands as text, responses as lines with their literals. */
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { Wire, WireClosed } from "./wire.ts";

export interface ImapResponse {
  /** The line(s) of the response, each literal written as `{n}` followed directly by the rest of the line. */
  readonly line: string;
  readonly literals: Uint8Array[];
}

export interface ImapResult {
  readonly status: "OK" | "NO" | "BAD";
  readonly text: string;
  readonly untagged: ImapResponse[];
}

export class ImapClient {
  readonly wire: Wire;
  /** Of the last command. */
  lastTag = "";
  #tagPrefix: string;
  #tag = 0;

  private constructor(wire: Wire, tagPrefix: string) {
    this.wire = wire;
    this.#tagPrefix = tagPrefix;
  }

  static async connect(
    port: number,
    options: {
      login?: string;
      password?: string;
      hostname?: string;
      timeoutMs?: number;
      tagPrefix?: string;
    } = {},
  ): Promise<ImapClient> {
    const client = new ImapClient(await Wire.connect(port, options), options.tagPrefix ?? "t");
    const greeting = await client.response();
    if (!/^\* (?:OK|PREAUTH)/.test(greeting.line)) throw new Error(`greeting: ${greeting.line}`);
    if (options.login !== undefined) {
      await client.ok(`LOGIN ${quote(options.login)} ${quote(options.password ?? "")}`);
    }
    return client;
  }

  /** One response, literals included. */
  async response(): Promise<ImapResponse> {
    const literals: Uint8Array[] = [];
    let text = "";
    for (;;) {
      const line = await this.wire.line();
      text += line;
      const literal = /\{(\d+)\}$/.exec(line);
      if (literal === null) return { line: text, literals };
      literals.push(await this.wire.octets(Number(literal[1])));
    }
  }

  /**
   * Sends a command and collects everything up to its tagged response. A literal is sent after its continuation;
   * `further` ones each follow what stands before them.
   */
  async command(
    text: string,
    literal?: Uint8Array | string,
    further: readonly { readonly before: string; readonly literal: string }[] = [],
  ): Promise<ImapResult> {
    const tag = `${this.#tagPrefix}${++this.#tag}`;
    this.lastTag = tag;
    let octets = typeof literal === "string" ? encodeLatin1(literal) : literal;
    const waiting = [...further];
    await this.wire.write(`${tag} ${text}${octets === undefined ? "" : ` {${octets.length}}`}\r\n`);
    const untagged: ImapResponse[] = [];
    for (;;) {
      const response = await this.response().catch((error) => {
        if (error instanceof WireClosed) {
          const last = untagged.at(-1)?.line ?? "nothing";
          error.message += ` after ${text.slice(0, 60)}: ${untagged.length} responses, the last ${
            last.slice(0, 200)
          }`;
        }
        throw error;
      });
      if (response.line.startsWith("+") && octets !== undefined) {
        await this.wire.write(octets);
        const next = waiting.shift();
        octets = next === undefined ? undefined : encodeLatin1(next.literal);
        await this.wire.write(next === undefined ? "\r\n" : `${next.before} {${next.literal.length}}\r\n`);
      } else if (response.line.startsWith(tag + " ")) {
        const [, status, rest] = /^\S+ (OK|NO|BAD) ?(.*)$/s.exec(response.line) ?? [];
        if (status === undefined) throw new Error(`malformed tagged response: ${response.line}`);
        return { status: status as ImapResult["status"], text: rest ?? "", untagged };
      } else untagged.push(response);
    }
  }

  /** Like {@linkcode command}, and anything but OK is an error. */
  async ok(...request: Parameters<ImapClient["command"]>): Promise<ImapResult> {
    const result = await this.command(...request);
    if (result.status !== "OK") throw new Error(`${request[0]}: ${result.status} ${result.text}`);
    return result;
  }

  async logout(): Promise<void> {
    await this.command("LOGOUT");
    this.wire.close();
  }

  close(): void {
    this.wire.close();
  }
}

/** An IMAP quoted string. */
export function quote(value: string): string {
  return `"${value.replace(/[\\"]/g, "\\$&")}"`;
}

/** The octets of the first literal of a response, as one character each; "" without one. */
export function literalText(response: ImapResponse): string {
  const first = response.literals[0];
  return first === undefined ? "" : latin1(first);
}
