/**
 * Commands of ManageSieve out of arbitrary chunks: a line, and behind each `{n+}` at its end a literal and another line
 * (RFC 5804 4.: literal-c2s). Only CRLF ends a line.
 *
 * A literal past its limit is read to its end and forgotten, so that it can be refused by a reply; past the limit for
 * that there is nothing to go on with. Resumable at any octet.
 */
import { latin1 } from "../../bytes/decode.ts";
import { LineFramer } from "../line_framer.ts";

export interface FramerLimits {
  readonly lineOctets: number;
  /** Octets of one literal that are kept. */
  readonly literalOctets: number;
  /** Octets of one literal that are read at all. */
  readonly skippedOctets: number;
  /** Literals of one command. */
  readonly literals: number;
}

export type FramerResult = "command" | "more" | "too-long" | "too-large" | "too-much";

const LITERAL = /\{(0|[1-9][0-9]{0,9})\+\}$/;

export class CommandFramer {
  limits: FramerLimits;
  /** After "command": lines of it, a literal between each two. */
  lines: string[] = [];
  literals: Uint8Array[] = [];
  result: FramerResult = "more";
  #line: LineFramer;
  /** The literal being read; null where it is only counted. */
  #literal: Uint8Array<ArrayBuffer> | null = null;
  #filled = 0;
  #size = -1;
  #tooLarge = false;
  #begun = false;

  constructor(limits: FramerLimits) {
    this.limits = limits;
    this.#line = new LineFramer(limits.lineOctets);
  }

  get partial(): boolean {
    return this.#begun || this.#line.partial;
  }

  reset(): void {
    this.#line = new LineFramer(this.limits.lineOctets);
    this.#clear();
  }

  /** Looks for a command in `[at, end)`; returns the offset behind what was used. */
  next(chunk: Uint8Array, at: number, end: number): number {
    if (!this.#begun) this.#clear();
    this.#begun = true;
    for (;;) {
      if (this.#size >= 0) {
        at = this.#fill(chunk, at, end);
        if (this.#filled < this.#size) return this.#answer("more", at);
        this.literals.push(this.#literal ?? new Uint8Array(0));
        this.#size = -1;
        this.#literal = null;
      }
      if (at >= end) return this.#answer("more", at);
      at = this.#line.next(chunk, at, end);
      if (this.#line.result === "more") return this.#answer("more", at);
      if (this.#line.result === "too-long") return this.#answer("too-long", at);
      const text = latin1(this.#line.bytes, this.#line.start, this.#line.end);
      const size = LITERAL.exec(text)?.[1];
      if (size === undefined) {
        this.lines.push(text);
        return this.#answer(this.#tooLarge ? "too-large" : "command", at);
      }
      this.lines.push(text.slice(0, text.lastIndexOf("{")));
      if (!this.#begin(Number(size))) return this.#answer("too-much", at);
    }
  }

  /** False where the octets are too many to read past. */
  #begin(size: number): boolean {
    const { literalOctets, skippedOctets, literals } = this.limits;
    if (size > skippedOctets || this.literals.length >= literals) return false;
    this.#size = size;
    this.#filled = 0;
    if (size > literalOctets) this.#tooLarge = true;
    else this.#literal = new Uint8Array(size);
    return true;
  }

  #fill(chunk: Uint8Array, at: number, end: number): number {
    const take = Math.min(this.#size - this.#filled, end - at);
    this.#literal?.set(chunk.subarray(at, at + take), this.#filled);
    this.#filled += take;
    return at + take;
  }

  #answer(result: FramerResult, at: number): number {
    this.result = result;
    if (result !== "more") this.#begun = false;
    return at;
  }

  #clear(): void {
    this.lines = [];
    this.literals = [];
    this.#literal = null;
    this.#size = -1;
    this.#filled = 0;
    this.#tooLarge = false;
    this.#begun = false;
  }
}
