/**
 * The body of a multi-line response: dot-stuffed, ended by a line with a single dot.
 *
 * RFC 1939 3: a line that begins with a dot gets one more; only CRLF ends a line. Octets come in any pieces. A message
 * that does not end in CRLF gets one, because the last dot needs a line of its own. For TOP the body ends after a
 * number of lines. Hot: whole runs are copied, a message without a stuffed line in one piece (bench/micro/pop3_bench.ts).
 */
import { CR, DOT, LF } from "../../bytes/ascii.ts";
import type { Out } from "../../bytes/out.ts";

export class MultiLine {
  #out: Out;
  /** 0 in a line, 1 behind a CR, 2 at the start of a line. */
  #state = 2;

  constructor(out: Out) {
    this.#out = out;
  }

  /** Appends `[start, end)`. */
  write(bytes: Uint8Array, start: number, end: number): void {
    if (start >= end) return;
    let from = start;
    if (bytes[start] === DOT && this.#state === 2) this.#out.text(".");
    else if (bytes[start] === LF && this.#state === 1 && start + 1 < end && bytes[start + 1] === DOT) {
      this.#out.octets(bytes, start, start + 1);
      this.#out.text(".");
      from = start + 1;
    }
    for (;;) {
      const at = stuffAt(bytes, from, end);
      if (at < 0) break;
      this.#out.octets(bytes, from, at);
      this.#out.text(".");
      from = at;
    }
    this.#out.octets(bytes, from, end);
    this.#remember(bytes, start, end);
  }

  /** Appends lines of `[start, end)`, `lines` at most; returns how many are left to come. */
  writeLines(bytes: Uint8Array, span: { start: number; end: number }, lines: number): number {
    const { start, end } = span;
    let left = lines;
    let at = start;
    while (left > 0 && at < end) {
      const lf = bytes.indexOf(LF, at);
      if (lf < 0 || lf >= end) {
        at = end;
        break;
      }
      if (lf > start ? bytes[lf - 1] === CR : this.#state === 1) left--;
      at = lf + 1;
    }
    this.write(bytes, start, at);
    return left;
  }

  /**
   * Takes octets that stand in the output already when they need no stuffing; false: the caller takes them back and
   * gives them to {@linkcode write}.
   */
  accept(bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true;
    if (this.#state !== 0 && (bytes[0] === DOT || bytes[0] === LF)) return false;
    if (stuffAt(bytes, 0, bytes.length) >= 0) return false;
    this.#remember(bytes, 0, bytes.length);
    return true;
  }

  /** The last line. */
  end(): void {
    this.#out.text(this.#state === 2 ? ".\r\n" : "\r\n.\r\n");
  }

  #remember(bytes: Uint8Array, start: number, end: number): void {
    const last = bytes[end - 1];
    if (last === CR) this.#state = 1;
    else if (last === LF && (end - start > 1 ? bytes[end - 2] === CR : this.#state === 1)) this.#state = 2;
    else this.#state = 0;
  }
}

/** Offset of the first dot behind a CRLF within `[start, end)`, or -1. */
function stuffAt(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 2;; at++) {
    at = bytes.indexOf(DOT, at);
    if (at < 0 || at >= end) return -1;
    if (bytes[at - 1] === LF && bytes[at - 2] === CR) return at;
  }
}
