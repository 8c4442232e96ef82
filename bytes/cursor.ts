/**
 * A position over the octets of one complete unit that remembers its first fault.
 *
 * Grammar functions call `take*` and `expect*`; after the first fault every call fails, so a command parser
 * checks `fault` once at its end (docs/architecture.md, "Parsers"). Nothing throws. The octets are borrowed.
 */
import { isDigit, SP } from "./ascii.ts";
import { type CharClass, skipClass } from "./char_class.ts";
import { latin1 } from "./decode.ts";

/** What was expected and where, as an offset into the unit's octets. */
export interface Fault {
  readonly at: number;
  readonly expected: string;
}

export class Cursor {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;
  fault: Fault | null = null;

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  get ok(): boolean {
    return this.fault === null;
  }

  /** True when nothing is left (or a fault has ended the parse). */
  get done(): boolean {
    return this.at >= this.end || this.fault !== null;
  }

  /** The next octet without taking it, or -1. */
  peek(): number {
    return this.done ? -1 : this.bytes[this.at]!;
  }

  /** Takes one octet if it is the given one. */
  take(octet: number): boolean {
    if (this.done || this.bytes[this.at] !== octet) return false;
    this.at++;
    return true;
  }

  /** Takes the given octet or records a fault. */
  expect(octet: number, expected: string): boolean {
    return this.take(octet) || this.fail(expected);
  }

  /** Takes exactly one space or records a fault. */
  space(): boolean {
    return this.expect(SP, "a space");
  }

  /** Takes the longest run of the class; returns its text, or null (and records `expected`) when empty. */
  run(table: CharClass, expected: string): string | null {
    if (this.fault !== null) return null;
    const end = skipClass(this.bytes, { start: this.at, end: this.end }, table);
    if (end === this.at) return this.fail(expected), null;
    const text = latin1(this.bytes, this.at, end);
    this.at = end;
    return text;
  }

  /** Takes `word` (lower case, ASCII folded) if it is next. */
  word(word: string): boolean {
    if (this.fault !== null || this.at + word.length > this.end) return false;
    for (let i = 0; i < word.length; i++) {
      const octet = this.bytes[this.at + i]!;
      const folded = octet >= 0x41 && octet <= 0x5a ? octet | 0x20 : octet;
      if (folded !== word.charCodeAt(i)) return false;
    }
    this.at += word.length;
    return true;
  }

  /** Takes decimal digits up to `limit`; -1 and a fault when there is none or the value is larger. */
  number(limit: number, expected = "a number"): number {
    if (this.fault !== null) return -1;
    const from = this.at;
    let value = 0;
    while (this.at < this.end && isDigit(this.bytes[this.at]!)) {
      value = value * 10 + (this.bytes[this.at]! - 0x30);
      if (value > limit) return this.fail(`${expected} of at most ${limit}`), -1;
      this.at++;
    }
    if (this.at === from) return this.fail(expected), -1;
    return value;
  }

  /** Records a fault where the cursor stands unless one is there already. Always false. */
  fail(expected: string): false {
    this.fault ??= { at: this.at, expected };
    return false;
  }
}
