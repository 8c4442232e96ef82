/**
 * Bare CR and bare LF in message octets: noticed, or made CRLF.
 *
 * RFC 5321 2.3.8 allows neither. Strangers are refused; logins, trusted networks and LMTP (scanners and scripts send
 * such mail) get each of them converted. Works on any cutting of the octets, for DATA behind its reader and for the
 * chunks of BDAT. Octets without a bare line end are handed on as they are, uncopied.
 */
import { CR, LF, NUL } from "../../bytes/ascii.ts";

const CRLF = new Uint8Array([CR, LF]);
const NOTHING = new Uint8Array(0);

/** Notices bare line ends, and NUL before them. */
export class LineEndChecker {
  bare = false;
  nul = false;
  #afterCr = false;

  reset(): void {
    this.bare = this.nul = this.#afterCr = false;
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    if (this.bare || start === end) return;
    let from = start;
    if (this.#afterCr && bytes[from++] !== LF) {
      this.bare = true;
      return;
    }
    const clean = cleanUntil(bytes, from, end, this);
    this.#afterCr = clean === end - 1 && clean >= from && bytes[clean] === CR;
    this.bare = clean < end && !this.#afterCr;
  }

  /** The message is complete. */
  finish(): void {
    if (this.#afterCr) this.bare = true;
  }
}

/** Makes each bare CR and bare LF a CRLF. A CR at the end of a span is held back until its successor is known. */
export class LineEndConverter {
  /** What {@linkcode push} and {@linkcode finish} made; valid until the next call and as long as their argument. */
  bytes: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  #heldCr = false;
  #scratch: Uint8Array = NOTHING;

  reset(): void {
    this.#heldCr = false;
    this.#scratch = NOTHING;
    this.#set(NOTHING, 0, 0);
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    const clean = this.#heldCr ? start : cleanUntil(bytes, start, end);
    if (clean === end) return this.#set(bytes, start, end);
    // Each octet becomes two at most, and the held CR two.
    if (this.#scratch.length < 2 * (end - start) + 2) this.#scratch = new Uint8Array(2 * (end - start) + 2);
    const into = this.#scratch;
    into.set(bytes.subarray(start, clean));
    let at = clean - start;
    let held = this.#heldCr;
    for (let i = clean; i < end; i++) {
      const octet = bytes[i]!;
      if (held || octet === LF) {
        into[at++] = CR;
        into[at++] = LF;
        held = false;
        if (octet === LF) continue;
      }
      if (octet === CR) held = true;
      else into[at++] = octet;
    }
    this.#heldCr = held;
    this.#set(into, 0, at);
  }

  /** The message is complete: a CR that was held back was bare. */
  finish(): void {
    this.#set(CRLF, 0, this.#heldCr ? 2 : 0);
    this.#heldCr = false;
  }

  #set(bytes: Uint8Array, start: number, end: number): void {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
  }
}

/**
 * The offset of the first octet that cannot be handed on as it is: a bare line end, or a CR that ends the span. `seen` is
 * told of NUL before it.
 */
function cleanUntil(bytes: Uint8Array, start: number, end: number, seen?: { nul: boolean }): number {
  for (let i = start; i < end; i++) {
    const octet = bytes[i]!;
    if (octet > CR) continue;
    if (octet === LF) return i;
    if (octet === NUL && seen !== undefined) seen.nul = true;
    if (octet !== CR) continue;
    if (i + 1 === end || bytes[i + 1] !== LF) return i;
    i++;
  }
  return end;
}
