/**
 * Scans by an ICAP server (RFC 3507): RESPMOD of the message as if it were fetched by HTTP, with the preview that the
 * server asks for, and `Allow: 204` so that a clean message is not sent back.
 *
 * Some servers begin to send a message back before they have scanned all of it, and cut it off where they find something:
 * what comes back without the name of a find is compared with what was sent. Connections are kept after a 204.
 */
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import type { MessageSource } from "../message_source.ts";
import type { ByteStream } from "../stream.ts";
import { Deadline } from "./deadline.ts";
import { encapsulatedHead, type IcapHead, icapResult, MAX_HEAD_OCTETS, parseIcapHead } from "./icap_reply.ts";
import { type Leased, Pool } from "./pool.ts";
import { ScanFault, type ScanResult } from "./result.ts";

const CHUNK_OCTETS = 64 * 1024;
const IDLE_MS = 3_000;
const MAX_PREVIEW = 64 * 1024;
const MAX_CHUNK_LINE = 1_000;
const MAX_OPTIONS_MS = 3_600_000;

export interface IcapOptions {
  readonly connect: () => Promise<ByteStream>;
  /** `icap://HOST:PORT/SERVICE`. */
  readonly url: string;
  readonly connections: number;
  readonly timeoutMs: number;
  readonly markOnly: readonly string[];
  readonly now: () => number;
}

/** Octets that were read too many, for the next reply. */
interface Connection {
  rest: string;
}

export class Icap {
  #options: IcapOptions;
  #pool: Pool<Connection>;
  /** What OPTIONS said; null asks again. */
  #service: { readonly preview: number | null; readonly until: number } | null;

  constructor(options: IcapOptions) {
    const { connect, connections: most, now } = options;
    this.#options = options;
    this.#service = null;
    this.#pool = new Pool({ connect, prepare: () => ({ rest: "" }), most, idleMs: IDLE_MS, now });
  }

  /** Rejects with ScanFault, or with what the socket said. */
  async scan(message: MessageSource): Promise<ScanResult> {
    const deadline = new Deadline(this.#options.timeoutMs);
    try {
      return await this.#pool.use<ScanResult>(deadline, async (leased) => {
        const head = await this.#ask(leased, message, deadline);
        const { start, end } = encapsulatedHead(head);
        const http = head.status === 204 ? "" : (await this.#octets(leased, end, deadline)).slice(start);
        const result = icapResult(head, http, this.#options.markOnly);
        const reusable = head.status === 204 && head.fields.get("connection")?.toLowerCase() !== "close";
        if (result.kind !== "clean" || head.status === 204) return { result, reusable };
        const cameBack = await this.#cameBack(leased, message, deadline);
        return { result: cameBack ? result : { kind: "infected", name: "cut off by the scanner" }, reusable };
      });
    } catch (error) {
      this.#service = null;
      throw error;
    } finally {
      deadline.end();
    }
  }

  close(): void {
    this.#pool.close();
  }

  async #ask(leased: Leased<Connection>, message: MessageSource, deadline: Deadline): Promise<IcapHead> {
    const { stream } = leased;
    const preview = await this.#preview(leased, deadline);
    const write = (octets: Uint8Array) => deadline.wait(stream.write(octets));
    const first = preview === null ? 0 : Math.min(preview, message.octets);
    await write(encodeLatin1(this.#head(message.octets, preview)));
    let at = 0;
    const send = async (to: number) => {
      while (at < to) {
        const octets = await message.read(at, Math.min(CHUNK_OCTETS, to - at));
        if (octets.length === 0) throw new ScanFault("the message could not be read");
        await write(encodeLatin1(`${octets.length.toString(16)}\r\n`));
        await write(octets);
        await write(CRLF);
        at += octets.length;
      }
    };
    if (preview !== null) {
      await send(first);
      if (at >= message.octets) {
        await write(encodeLatin1("0; ieof\r\n\r\n"));
        return await this.#reply(leased, deadline);
      }
      await write(LAST_CHUNK);
      const head = await this.#reply(leased, deadline);
      if (head.status !== 100) return head;
    }
    await send(message.octets);
    await write(LAST_CHUNK);
    return await this.#reply(leased, deadline);
  }

  #head(octets: number, preview: number | null): string {
    const { url } = this.#options;
    const request = "GET http://mail.invalid/message.eml HTTP/1.1\r\nHost: mail.invalid\r\n\r\n";
    const response = `HTTP/1.1 200 OK\r\nContent-Type: message/rfc822\r\nContent-Length: ${octets}\r\n\r\n`;
    const body = request.length + response.length;
    return [
      `RESPMOD ${url} ICAP/1.0`,
      `Host: ${hostOf(url)}`,
      "Allow: 204",
      ...(preview === null ? [] : [`Preview: ${Math.min(preview, octets)}`]),
      `Encapsulated: req-hdr=0, res-hdr=${request.length}, res-body=${body}`,
      "",
      request + response,
    ].join("\r\n");
  }

  /** RFC 3507 4.10; null: the server wants none. */
  async #preview(leased: Leased<Connection>, deadline: Deadline): Promise<number | null> {
    const { url, now } = this.#options;
    if (this.#service === null || this.#service.until <= now()) {
      const request = `OPTIONS ${url} ICAP/1.0\r\nHost: ${hostOf(url)}\r\nEncapsulated: null-body=0\r\n\r\n`;
      await deadline.wait(leased.stream.write(encodeLatin1(request)));
      const { status, fields } = await this.#reply(leased, deadline);
      if (status !== 200) throw new ScanFault(`ICAP status ${status} to OPTIONS`);
      if (!/\bRESPMOD\b/i.test(fields.get("methods") ?? "RESPMOD")) {
        throw new ScanFault("the service does not take RESPMOD");
      }
      const preview = /^\d{1,9}$/.exec(fields.get("preview") ?? "")?.[0];
      const ttlMs = Number(/^\d{1,9}$/.exec(fields.get("options-ttl") ?? "")?.[0] ?? 3_600) * 1_000;
      this.#service = {
        preview: preview === undefined ? null : Math.min(Number(preview), MAX_PREVIEW),
        until: now() + Math.min(ttlMs, MAX_OPTIONS_MS),
      };
    }
    return this.#service.preview;
  }

  async #reply({ stream, state }: Leased<Connection>, deadline: Deadline): Promise<IcapHead> {
    for (;;) {
      const end = state.rest.indexOf("\r\n\r\n");
      if (end >= 0) {
        const block = state.rest.slice(0, end);
        state.rest = state.rest.slice(end + 4);
        return parseIcapHead(block);
      }
      if (state.rest.length > MAX_HEAD_OCTETS) throw new ScanFault("an ICAP reply without end");
      await more(stream, state, deadline);
    }
  }

  /** The body of the reply is the message, octet for octet (chunked: RFC 3507 4.4.2). */
  async #cameBack(leased: Leased<Connection>, message: MessageSource, deadline: Deadline): Promise<boolean> {
    const { stream, state } = leased;
    let at = 0;
    try {
      for (;;) {
        while (!state.rest.includes("\r\n") && state.rest.length < MAX_CHUNK_LINE) {
          await more(stream, state, deadline);
        }
        const line = state.rest.slice(0, state.rest.indexOf("\r\n"));
        const size = /^([0-9a-f]{1,7})[ \t]*(?:;|$)/i.exec(line);
        if (size === null) throw new ScanFault("a chunk without its size");
        state.rest = state.rest.slice(line.length + 2);
        let left = parseInt(size[1]!, 16);
        if (left === 0) return at === message.octets;
        while (left > 0) {
          if (state.rest === "") await more(stream, state, deadline);
          const piece = state.rest.slice(0, left);
          if (piece !== latin1(await message.read(at, piece.length))) return false;
          state.rest = state.rest.slice(piece.length);
          at += piece.length;
          left -= piece.length;
        }
        while (state.rest.length < 2) await more(stream, state, deadline);
        state.rest = state.rest.slice(2);
      }
    } catch (error) {
      if (error instanceof ScanFault) throw error;
      return false; // it ended before the message did
    }
  }

  async #octets({ stream, state }: Leased<Connection>, count: number, deadline: Deadline): Promise<string> {
    while (state.rest.length < count) await more(stream, state, deadline);
    const octets = state.rest.slice(0, count);
    state.rest = state.rest.slice(count);
    return octets;
  }
}

async function more(stream: ByteStream, state: Connection, deadline: Deadline): Promise<void> {
  const octets = await deadline.wait(stream.read());
  if (octets === null) throw new Error("the ICAP server closed the connection");
  state.rest += latin1(octets);
}

const CRLF = encodeLatin1("\r\n");
const LAST_CHUNK = encodeLatin1("0\r\n\r\n");

function hostOf(url: string): string {
  return /^icap:\/\/([^/]+)/.exec(url)?.[1] ?? "";
}
