/**
 * End of mail data: finds CRLF "." CRLF, takes dot-stuffing away, notices bare line ends and NUL.
 *
 * RFC 5321 4.1.1.4 and 4.5.2. Only CRLF ends a line (RFC 5321 2.3.8), so only CRLF.CRLF ends the data: with a bare CR or LF in
 * it the reader goes on to the true end and says so in `bare`. Stopping earlier would let the rest be read as
 * commands (SMTP smuggling). Resumable at any octet; holds back at most "." CR. Spans are handed out, nothing is
 * copied. Hot path (bench/micro/smtp_bench.ts): one comparison an octet finds both CR and LF, and is a tenth faster than
 * `indexOf` for CR alone on lines of mail, which would need a second pass for LF.
 */
import { CR, DOT, LF, NUL } from "../../bytes/ascii.ts";

/** Inside a line. */
const TEXT = 0;
/** CR seen. */
const AFTER_CR = 1;
/** CRLF seen; also the state right after DATA. */
const LINE_START = 2;
/** The line began with ".", which is held back. */
const DOT_SEEN = 3;
/** "." CR seen, both held back. */
const DOT_CR = 4;
const HELD_CR = new Uint8Array([CR]);

export class DataReader {
  /** The span found by {@linkcode next}, which may be empty; valid as long as the chunk. */
  bytes: Uint8Array = HELD_CR;
  start = 0;
  end = 0;
  /** The end of the data is behind us. */
  done = false;
  /** A CR without LF or an LF without CR was in the data. */
  bare = false;
  /** NUL was in the data. */
  nul = false;
  #state = LINE_START;

  /** For the next message. */
  reset(): void {
    this.bytes = HELD_CR;
    this.start = this.end = 0;
    this.done = this.bare = this.nul = false;
    this.#state = LINE_START;
  }

  /**
   * Takes octets of `[at, end)` up to the end of one span or of the data; returns the offset behind what was used. To be
   * called until `done` or until everything is used.
   */
  next(chunk: Uint8Array, at: number, end: number): number {
    let i = at;
    let from = at;
    let state = this.#state;
    this.bytes = chunk;
    while (i < end) {
      if (state === TEXT) {
        while (i < end && chunk[i]! > CR) i++;
        if (i === end) break;
        const octet = chunk[i++]!;
        if (octet === CR) state = AFTER_CR;
        else if (octet === LF) this.bare = true;
        else if (octet === NUL) this.nul = true;
      } else if (state === AFTER_CR) {
        if (chunk[i] === LF) {
          i++;
          state = LINE_START;
        } else {
          this.bare = true;
          if (chunk[i] === CR) i++; // the second CR may still begin CRLF
          else state = TEXT;
        }
      } else if (state === LINE_START) {
        if (chunk[i] !== DOT) {
          state = TEXT;
          continue;
        }
        state = DOT_SEEN;
        if (i > from) return this.#span(from, i, state), i + 1;
        from = ++i;
      } else if (state === DOT_SEEN) {
        if (chunk[i] === CR) {
          from = ++i;
          state = DOT_CR;
        } else state = TEXT; // stuffing: the dot is gone, this octet is data
      } else if (chunk[i] === LF) {
        this.done = true;
        this.#span(i, i, LINE_START);
        return i + 1;
      } else {
        // "." CR and something else: the CR was data after all, and a bare one unless the next octet says otherwise.
        this.bytes = HELD_CR;
        this.#span(0, 1, AFTER_CR);
        return i;
      }
    }
    this.#span(from, end, state);
    return end;
  }

  #span(start: number, end: number, state: number): void {
    this.start = start;
    this.end = end;
    this.#state = state;
  }
}
