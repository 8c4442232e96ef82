/**
 * Canonical forms of DKIM (RFC 6376 3.4): header fields as text, bodies as a stream into a hash.
 *
 * Text is one character an octet. {@linkcode BodyHash} takes octets as they come, at any split, and keeps only line
 * ends and white space back that may still turn out to be the end; lines end in CRLF.
 */
import { createHash, type Hash } from "node:crypto";
import { CR, LF, SP, TAB } from "../bytes/ascii.ts";

export type Canonicalization = "simple" | "relaxed";

/** A whole field, with its line end, in the form that is signed. */
export function canonicalField(field: string, form: Canonicalization): string {
  if (form === "simple") return field;
  const colon = field.indexOf(":");
  const name = field.slice(0, colon).trim().toLowerCase();
  const value = field.slice(colon + 1).replace(/\r\n/g, "").replace(/[ \t]+/g, " ").trim();
  return `${name}:${value}\r\n`;
}

const CRLF = new Uint8Array([CR, LF]);
const CRLF_RUN = new Uint8Array(512).map((_, at) => at % 2 === 0 ? CR : LF);
const BUFFER_OCTETS = 4 * 1024;
const ONE_SPACE = new Uint8Array([SP]);

/** The hash of a body in canonical form; `limit` is the `l=` tag. */
export class BodyHash {
  readonly form: Canonicalization;
  /** Octets of the canonical body so far, also those past the limit. */
  octets: number;
  #hash: Hash;
  /** Canonical octets on their way into the hash: few large updates, not one a word. */
  #buffer: Uint8Array<ArrayBuffer>;
  #used: number;
  #limit: number;
  /** Line ends not hashed yet: at the end of a body they do not count. */
  #heldLines: number;
  /** White space not hashed yet (relaxed). */
  #heldSpace: boolean;
  #heldCr: boolean;
  #any: boolean;

  constructor(form: Canonicalization, options: { algorithm: "sha256" | "sha1"; limit: number | null }) {
    this.form = form;
    this.octets = 0;
    this.#hash = createHash(options.algorithm);
    this.#buffer = new Uint8Array(BUFFER_OCTETS);
    this.#used = 0;
    this.#limit = options.limit ?? Infinity;
    this.#heldLines = 0;
    this.#heldSpace = false;
    this.#heldCr = false;
    this.#any = false;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    let from = start;
    let at = start;
    while (at < end) {
      const octet = bytes[at]!;
      if (this.#heldCr) {
        this.#heldCr = false;
        if (octet === LF) {
          this.#heldSpace = false; // white space at the end of a line (relaxed only ever holds some)
          this.#heldLines++;
          from = ++at;
          continue;
        }
        this.#flushHeld();
        this.#put(CRLF, 0, 1); // a CR alone is an octet like others
      }
      if (octet === CR) {
        if (at > from) this.#text(bytes, from, at);
        this.#heldCr = true;
        from = ++at;
      } else if (this.form === "relaxed" && (octet === SP || octet === TAB)) {
        if (at > from) this.#text(bytes, from, at);
        this.#heldSpace = true;
        from = ++at;
      } else at++;
    }
    if (end > from) this.#text(bytes, from, end);
  }

  /** Ends the body (RFC 6376 3.4.3: an empty simple body is one CRLF) and returns the digest. */
  digest(): Uint8Array {
    if (this.#heldCr) {
      this.#flushHeld();
      this.#put(CRLF, 0, 1);
      this.#heldCr = false;
    }
    if (this.#any || this.form === "simple") this.#put(CRLF, 0, 2);
    this.#hash.update(this.#buffer.subarray(0, this.#used));
    return this.#hash.digest();
  }

  #text(bytes: Uint8Array, start: number, end: number): void {
    this.#flushHeld();
    this.#put(bytes, start, end);
  }

  #flushHeld(): void {
    for (let octets = this.#heldLines * 2; octets > 0; octets -= CRLF_RUN.length) {
      this.#put(CRLF_RUN, 0, Math.min(octets, CRLF_RUN.length));
    }
    this.#heldLines = 0;
    if (this.#heldSpace) this.#put(ONE_SPACE, 0, 1);
    this.#heldSpace = false;
  }

  #put(bytes: Uint8Array, start: number, end: number): void {
    this.#any = true;
    const room = Math.max(0, Math.min(end - start, this.#limit - this.octets));
    this.octets += end - start;
    if (room === 0) return;
    if (this.#used + room > BUFFER_OCTETS || room > BUFFER_OCTETS / 2) {
      this.#hash.update(this.#buffer.subarray(0, this.#used));
      this.#used = 0;
    }
    if (room > BUFFER_OCTETS / 2) this.#hash.update(bytes.subarray(start, start + room));
    else if (room <= 16) { for (let i = 0; i < room; i++) this.#buffer[this.#used++] = bytes[start + i]!; }
    else {
      this.#buffer.set(bytes.subarray(start, start + room), this.#used);
      this.#used += room;
    }
  }
}
