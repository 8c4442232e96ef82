/**
 * Scans by clamd: INSTREAM over TCP or a Unix socket, several messages over one connection (IDSESSION).
 *
 * The message goes in chunks as it is read, so that no more than one is in memory; the reply is awaited from the start,
 * because clamd ends a stream that is too long with its reply and closes. A kept connection that fails before an octet of
 * a reply came is tried once more on a new one.
 */
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import type { MessageSource } from "../message_source.ts";
import type { ByteStream } from "../stream.ts";
import { MAX_REPLY_OCTETS, parseClamdReply } from "./clamd_reply.ts";
import { Deadline } from "./deadline.ts";
import { type Leased, Pool } from "./pool.ts";
import { ScanFault, type ScanResult } from "./result.ts";

const SESSION = encodeLatin1("zIDSESSION\0");
const INSTREAM = encodeLatin1("zINSTREAM\0");
const END = new Uint8Array(4);
const CHUNK_OCTETS = 64 * 1024;
/** clamd closes sessions that say nothing for 30 s (its CommandReadTimeout may be less). */
const IDLE_MS = 3_000;

export interface ClamdOptions {
  readonly connect: () => Promise<ByteStream>;
  readonly connections: number;
  readonly timeoutMs: number;
  readonly markOnly: readonly string[];
  readonly now: () => number;
}

export class Clamd {
  #options: ClamdOptions;
  #pool: Pool<{ begun: boolean }>;

  constructor(options: ClamdOptions) {
    const { connect, connections: most, now } = options;
    this.#options = options;
    this.#pool = new Pool({ connect, prepare: () => ({ begun: false }), most, idleMs: IDLE_MS, now });
  }

  /** Rejects with ScanFault, or with what the socket said. */
  async scan(message: MessageSource): Promise<ScanResult> {
    const deadline = new Deadline(this.#options.timeoutMs);
    try {
      return await this.#pool.use(deadline, async (leased) => {
        const text = await this.#instream(leased, message, deadline);
        const result = parseClamdReply(text, this.#options.markOnly);
        return { result, reusable: result.kind !== "not-scanned" };
      });
    } finally {
      deadline.end();
    }
  }

  close(): void {
    this.#pool.close();
  }

  async #instream(
    { stream, state }: Leased<{ begun: boolean }>,
    message: MessageSource,
    deadline: Deadline,
  ): Promise<string> {
    if (!state.begun) await deadline.wait(stream.write(SESSION));
    state.begun = true;
    let answered = false;
    const reply = replyOf(stream).finally(() => answered = true);
    reply.catch(() => {}); // awaited below
    try {
      await deadline.wait(stream.write(INSTREAM));
      const chunk = new Uint8Array(4 + CHUNK_OCTETS);
      for (let at = 0; at < message.octets && !answered;) {
        const octets = await message.read(at, CHUNK_OCTETS);
        if (octets.length === 0) break;
        new DataView(chunk.buffer).setUint32(0, octets.length);
        chunk.set(octets, 4);
        await deadline.wait(stream.write(chunk.subarray(0, 4 + octets.length)));
        at += octets.length;
      }
      if (!answered) await deadline.wait(stream.write(END));
    } catch (error) {
      if (error instanceof ScanFault) throw error;
      // It closed while we wrote: what it said before that counts.
    }
    return await deadline.wait(reply);
  }
}

/** Up to its NUL. Rejects with ConnectionReset at the end of the stream: a kept connection was closed. */
async function replyOf(stream: ByteStream): Promise<string> {
  let text = "";
  for (;;) {
    const octets = await stream.read();
    if (octets === null) {
      if (text === "") throw new Error("clamd closed the connection");
      throw new ScanFault("clamd closed the connection within its reply");
    }
    text += latin1(octets);
    const end = text.indexOf("\0");
    if (end >= 0) return text.slice(0, end);
    if (text.length > MAX_REPLY_OCTETS) throw new ScanFault("a reply without end");
  }
}
