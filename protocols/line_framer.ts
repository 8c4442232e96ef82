/**
 * Lines out of arbitrary chunks, for SMTP and POP3: only CRLF ends a line.
 *
 * Resumable at any octet; a line within one chunk is handed out as a span of it, only a line cut by chunks is copied.
 * A line past the limit is consumed to its end and reported once. A bare CR or LF is part of the line, which the
 * grammar then refuses: it never ends a command (RFC 5321 2.3.8). Limit: octets of a line, set by the caller.
 */
import { CR, LF } from "../bytes/ascii.ts";

export type LineResult = "line" | "more" | "too-long";

const NOTHING = new Uint8Array(0);

export class LineFramer {
  /** After "line": where it lies, without its CRLF. Valid until the next call. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  /** Octets a line may have, CRLF included. */
  limit: number;
  #kept: Uint8Array<ArrayBuffer> | null = null;
  #keptLength = 0;
  #tooLong = false;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** True in the middle of a line. */
  get partial(): boolean {
    return this.#keptLength > 0 || this.#tooLong;
  }

  /** Looks for a line in `[at, end)` of `chunk`; returns the offset behind what was used, the result is in `result`. */
  result: LineResult = "more";
  next(chunk: Uint8Array, at: number, end: number): number {
    let from = at;
    for (;;) {
      const lf = chunk.indexOf(LF, from);
      if (lf < 0 || lf >= end) break;
      const crBefore = lf > at
        ? chunk[lf - 1] === CR
        : this.#keptLength > 0 && this.#kept![this.#keptLength - 1] === CR;
      if (!crBefore) {
        from = lf + 1; // a bare LF: data
        continue;
      }
      this.#deliver(chunk, at, lf + 1);
      return lf + 1;
    }
    this.#keep(chunk, at, end);
    this.result = "more";
    return end;
  }

  /** Forgets a started line (STARTTLS). */
  reset(): void {
    this.#kept = null;
    this.#keptLength = 0;
    this.#tooLong = false;
  }

  #deliver(chunk: Uint8Array, at: number, end: number): void {
    if (this.#tooLong || this.#keptLength + end - at > this.limit) {
      this.reset();
      this.result = "too-long";
      return;
    }
    this.result = "line";
    if (this.#keptLength === 0) {
      this.bytes = chunk;
      this.start = at;
      this.end = end - 2;
      return;
    }
    this.#keep(chunk, at, end);
    this.bytes = this.#kept!;
    this.start = 0;
    this.end = this.#keptLength - 2;
    this.#kept = null;
    this.#keptLength = 0;
  }

  #keep(chunk: Uint8Array, at: number, end: number): void {
    const size = end - at;
    if (size === 0) return;
    if (this.#tooLong || this.#keptLength + size > this.limit) {
      this.#tooLong = true;
      // The last octet alone matters from here: a CR may be the first half of the line's end.
      this.#kept = chunk.slice(end - 1, end);
      this.#keptLength = 1;
      return;
    }
    if (this.#kept === null || this.#kept.length < this.#keptLength + size) {
      const grown = new Uint8Array(Math.min(this.limit, Math.max(256, (this.#keptLength + size) * 2)));
      if (this.#kept !== null) grown.set(this.#kept.subarray(0, this.#keptLength));
      this.#kept = grown;
    }
    this.#kept.set(chunk.subarray(at, end), this.#keptLength);
    this.#keptLength += size;
  }
}
