/**
 * The octets of one message in flight, by DATA or BDAT: end, dot-stuffing, bare line ends and the size limit.
 *
 * Once a message is refused nothing more of it is handed out, but all of it is read. Size is counted as it will be
 * stored. Limit: octets of a message.
 */
import { NUL } from "../../bytes/ascii.ts";
import { DataReader } from "./data_reader.ts";
import { LineEndChecker, LineEndConverter } from "./line_ends.ts";
import { BARE_LINE_END, type Reply, TOO_BIG } from "./reply.ts";

const NOTHING = new Uint8Array(0);

export class MessageData {
  /** What the last call found, which may be empty; valid until the next one. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  /** Octets handed out, and those of the span that went over the limit. */
  octets = 0;
  #limit: number;
  #tooBig = false;
  #convert = false;
  #binary = false;
  #chunkNul = false;
  #reader = new DataReader();
  #checker = new LineEndChecker();
  #converter = new LineEndConverter();

  constructor(limitOctets: number) {
    this.#limit = limitOctets;
  }

  /**
   * A new message. `convert`: bare line ends become CRLF instead of refusing it; `binary`: they are data (RFC 3030 3).
   */
  open(lineEnds: "refuse" | "convert" | "binary"): void {
    this.#convert = lineEnds === "convert";
    this.#binary = lineEnds === "binary";
    this.octets = 0;
    this.#tooBig = this.#chunkNul = false;
    this.#reader.reset();
    this.#checker.reset();
    this.#converter.reset();
    this.#nothing();
  }

  /** The end of DATA is behind us. */
  get done(): boolean {
    return this.#reader.done;
  }

  /** Why the message cannot be taken; asked where a chunk or the message ends, it does not depend on how octets came. */
  get refusal(): Reply | null {
    if (this.#bare) return BARE_LINE_END;
    return this.#tooBig ? TOO_BIG : null;
  }

  /** NUL was in it, which IMAP and POP3 cannot show. Not looked for where it is `binary`. */
  get holdsNul(): boolean {
    return this.#reader.nul || this.#checker.nul || this.#chunkNul;
  }

  /** Takes one span of DATA; returns the offset behind what was used. */
  readData(chunk: Uint8Array, at: number, end: number): number {
    const reader = this.#reader;
    const after = reader.next(chunk, at, end);
    this.#take(reader.bytes, reader.start, reader.end);
    return after;
  }

  /** Takes octets of a chunk (RFC 3030), where line ends mean nothing but must be right all the same. */
  readChunk(chunk: Uint8Array, start: number, end: number): void {
    if (this.#convert) this.#chunkNul ||= chunk.subarray(start, end).includes(NUL);
    else if (!this.#binary) this.#checker.push(chunk, start, end);
    this.#take(chunk, start, end);
  }

  /** The message is complete: what was held back. */
  finish(): void {
    this.#nothing();
    this.#checker.finish();
    if (!this.#convert || this.#tooBig) return;
    this.#converter.finish();
    this.#hand(this.#converter);
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    this.#nothing();
    if (this.#tooBig || this.#bare || start === end) return;
    if (!this.#convert) return this.#hand({ bytes, start, end });
    this.#converter.push(bytes, start, end);
    this.#hand(this.#converter);
  }

  #hand(span: { readonly bytes: Uint8Array; readonly start: number; readonly end: number }): void {
    this.octets += span.end - span.start;
    if (this.octets > this.#limit) {
      this.#tooBig = true;
      return;
    }
    this.bytes = span.bytes;
    this.start = span.start;
    this.end = span.end;
  }

  get #bare(): boolean {
    return !this.#convert && !this.#binary && (this.#reader.bare || this.#checker.bare);
  }

  #nothing(): void {
    this.start = this.end = 0;
  }
}
