/**
 * A message on its way out as mail data: dots doubled, every line ended by CRLF, the end marked.
 *
 * RFC 5321 4.5.2 and 4.1.1.4. Stored octets may hold a bare CR or LF; another server could take `LF . LF` or `CR . CR`
 * for the end of data and the rest for commands, so each becomes CRLF on the way out (RFC 5321 2.3.8). A line that was
 * not ended gets its CRLF. For BDAT (RFC 3030) the same without dots. Pure and resumable at any octet. Hot path
 * (bench/micro/dot_stuff_bench.ts): whole spans are copied; one look at each octet costs less than `indexOf` for lines of mail,
 * and hardly more for long ones.
 */
import { CR, CRLF, DOT, LF } from "../../bytes/ascii.ts";
import type { Out } from "../../bytes/out.ts";

export class DotStuffer {
  readonly #out: Out;
  readonly #dots: boolean;
  #lineStart: boolean;
  /** The last octet was a CR that has not been written: what comes next decides nothing but whether to skip an LF. */
  #pendingCr: boolean;

  constructor(out: Out, { dots }: { readonly dots: boolean } = { dots: true }) {
    this.#out = out;
    this.#dots = dots;
    this.#lineStart = true;
    this.#pendingCr = false;
  }

  push(bytes: Uint8Array): void {
    const end = bytes.length, dots = this.#dots;
    if (end === 0) return;
    let at = 0;
    if (this.#pendingCr) {
      this.#pendingCr = false;
      this.#out.octets(CRLF);
      if (bytes[0] === LF) at = 1;
    }
    if (dots && this.#lineStart && bytes[at] === DOT) this.#out.text(".");
    this.#lineStart = at === end;
    let from = at;
    while (at < end) {
      const octet = bytes[at]!;
      if (octet > CR || (octet !== CR && octet !== LF)) {
        at++;
        continue;
      }
      if (octet === CR && at + 1 === end) {
        this.#out.octets(bytes, from, at);
        this.#pendingCr = true;
        this.#lineStart = true;
        return;
      }
      if (octet === CR && bytes[at + 1] === LF) at += 2;
      else {
        this.#out.octets(bytes, from, at);
        this.#out.octets(CRLF);
        from = ++at;
      }
      if (at === end) {
        this.#lineStart = true;
        break;
      }
      if (!dots || bytes[at] !== DOT) continue;
      this.#out.octets(bytes, from, at);
      this.#out.text(".");
      from = at;
    }
    if (from < end) this.#out.octets(bytes, from, end);
  }

  /** Ends the last line, and with dots the data. */
  finish(): void {
    if (this.#pendingCr || !this.#lineStart) this.#out.octets(CRLF);
    if (this.#dots) this.#out.text(".\r\n");
    this.#pendingCr = false;
    this.#lineStart = true;
  }
}
