/**
 * Lines and literals to one complete IMAP command.
 *
 * RFC 3501 2.2.1 and 4.3, RFC 7888 (non-synchronizing literals). Only CRLF ends a line; a line that ends with
 * `{n}` or `{n+}` goes on behind n octets of literal. What a literal holds is never read as a command, and after
 * every refusal the next unit starts where the client thinks it starts. Resumable at any octet; a unit that lies
 * whole in one chunk is handed out without a copy. Pure.
 *
 * Limits: octets outside literals, octets of one literal kept in memory, octets of the whole unit, and octets read
 * only to be thrown away ({@linkcode FramerLimits}).
 */
import { joined } from "../../bytes/joined.ts";
import { CR, LBRACE, LF, PLUS, RBRACE } from "../../bytes/ascii.ts";

export interface FramerLimits {
  /** Octets of one command outside its literals, with line ends. RFC 7162 4 asks for at least 8,192. */
  readonly lineOctets: number;
  /** Octets of one literal that is kept in memory (all but the message of APPEND). */
  readonly literalOctets: number;
  /** Octets of a whole command in memory. */
  readonly commandOctets: number;
  /** Octets of one refused command that are read and dropped before the connection is given up. */
  readonly discardOctets: number;
}

/** Before login: OAuth tokens fit, nothing much larger. */
export const LIMITS_BEFORE_LOGIN: FramerLimits = {
  lineOctets: 16 * 1024,
  literalOctets: 16 * 1024,
  commandOctets: 48 * 1024,
  discardOctets: 256 * 1024,
};

export const LIMITS_AFTER_LOGIN: FramerLimits = {
  lineOctets: 64 * 1024,
  literalOctets: 64 * 1024,
  commandOctets: 256 * 1024,
  discardOctets: 256 * 1024 * 1024,
};

/**
 * What {@linkcode Framer.next} found. Spans (`bytes`, `start`, `end`) live until the next call of the framer.
 *
 * - `command`: the span is a whole command, without its last CRLF
 * - `literal`: `literalOctets` are announced; the span is the command up to and with the announcing line.
 *   Answer by `keepLiteral`, `streamLiteral` or `refuse`.
 * - `data`: octets of a streamed literal. `data-end`: it is complete, the rest of its command follows.
 * - `too-long`: a limit is passed; the span is the beginning of the command. The rest is being dropped.
 * - `discarded`: the rest of a refused or too long command is gone; the next unit is a new command.
 * - `overrun`: more was to be dropped than the limit allows: give the connection up.
 */
export type Frame =
  | "need-input"
  | "command"
  | "literal"
  | "data"
  | "data-end"
  | "too-long"
  | "discarded"
  | "overrun";

type State = "line" | "literal" | "announced" | "stream" | "drop-literal" | "drop-line" | "dead";

const EMPTY = new Uint8Array(0);
/** Enough for `{9007199254740991+}` CRLF. */
const TAIL_OCTETS = 24;
/** How much of a unit that is too long is handed out: enough for its tag. */
const TAG_OCTETS = 256;
/** Longer numbers than this are too large for anything. */
const LITERAL_DIGITS = 15;

export class Framer {
  limits: FramerLimits;
  bytes: Uint8Array = EMPTY;
  start = 0;
  end = 0;
  /** Size of the announced literal. */
  literalOctets = 0;
  /** The client does not wait for a continuation (RFC 7888). */
  nonSync = false;

  #chunk: Uint8Array = EMPTY;
  /** Scanned so far in the chunk. */
  #at = 0;
  /** Where the part of the current unit that is in the chunk begins. */
  #from = 0;
  /** The part of the current unit from earlier chunks. */
  #held: Uint8Array = EMPTY;
  #heldLength = 0;
  #state: State = "line";
  /** Octets outside literals, of the finished lines of this unit. */
  #lineOctets = 0;
  /** Unit offset at which the current line began. */
  #lineStart = 0;
  /** Octets left of the literal in hand. */
  #left = 0;
  #dropped = 0;
  #tail: Uint8Array = EMPTY;
  #tailLength = 0;

  constructor(limits: FramerLimits = LIMITS_BEFORE_LOGIN) {
    this.limits = limits;
  }

  /** True when no octet of a unit has been read yet: a timeout here is idleness, elsewhere it is a stall. */
  get atBoundary(): boolean {
    return this.#state === "line" && this.#unitOctets() === 0;
  }

  /** Gives the next octets, borrowed until the next `feed`. Everything given before must have been asked for. */
  feed(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
    this.#from = 0;
  }

  /** Forgets everything received (RFC 3501 6.2.1: nothing from before STARTTLS survives). */
  dropInput(): void {
    this.feed(EMPTY);
    this.#endUnit();
  }

  /** `plainLine`: the unit is one line whatever it ends with (AUTHENTICATE responses, DONE). */
  next(plainLine = false): Frame {
    for (;;) {
      switch (this.#state) {
        case "line": {
          const frame = this.#line(plainLine);
          if (frame !== null) return frame;
          break;
        }
        case "literal": {
          const here = Math.min(this.#left, this.#chunk.length - this.#at);
          this.#at += here;
          this.#left -= here;
          if (this.#left > 0) return this.#hold();
          this.#lineStart = this.#unitOctets();
          this.#state = "line";
          break;
        }
        case "announced":
          // Nobody decided: a fault of the caller that must not lose sync.
          throw new Error("a literal was announced and neither kept, streamed nor refused");
        case "stream": {
          if (this.#left === 0) {
            this.#from = this.#at;
            this.#lineStart = 0;
            this.#state = "line";
            return "data-end";
          }
          const here = Math.min(this.#left, this.#chunk.length - this.#at);
          if (here === 0) return "need-input";
          this.bytes = this.#chunk;
          this.start = this.#at;
          this.end = this.#at += here;
          this.#from = this.#at;
          this.#left -= here;
          return "data";
        }
        case "drop-literal": {
          const here = Math.min(this.#left, this.#chunk.length - this.#at);
          this.#at += here;
          this.#left -= here;
          if (!this.#drop(here)) return "overrun";
          if (this.#left > 0) return "need-input";
          this.#tailLength = 0;
          this.#state = "drop-line";
          break;
        }
        case "drop-line": {
          const frame = this.#dropLine();
          if (frame !== null) return frame;
          break;
        }
        case "dead":
          return "overrun";
      }
    }
  }

  /** True when the announced literal may be kept in memory. */
  get literalFits(): boolean {
    return this.literalOctets <= this.limits.literalOctets &&
      this.#unitOctets() + this.literalOctets <= this.limits.commandOctets;
  }

  keepLiteral(): void {
    this.#state = "literal";
    this.#left = this.literalOctets;
    if (this.#left > this.#chunk.length - this.#at) this.#reserve(this.#unitOctets() + this.#left);
  }

  /** The literal comes as `data` frames; what was read of the command before it is forgotten. */
  streamLiteral(): void {
    this.#state = "stream";
    this.#left = this.literalOctets;
    this.#forget();
  }

  /**
   * Refuses the announced literal. Synchronizing: the client sends nothing more of this command. Otherwise its
   * octets and the rest of the command come anyway (RFC 7888 4) and a `discarded` frame follows them.
   */
  refuse(): void {
    const { nonSync, literalOctets } = this;
    this.#endUnit();
    if (!nonSync) return;
    this.#left = literalOctets;
    this.#state = "drop-literal";
  }

  #line(plainLine: boolean): Frame | null {
    const chunk = this.#chunk;
    const unread = this.#lineOctets - this.#lineStart;
    for (;;) {
      const lf = chunk.indexOf(LF, this.#at);
      const found = lf >= 0;
      const end = found ? lf + 1 : this.#chunk.length;
      const lineOctets = unread + this.#heldLength + (end - this.#from);
      if (lineOctets > this.limits.lineOctets) return this.#tooLong();
      this.#at = end;
      if (!found) return this.#hold();
      if (this.#octetBefore(end - 1) !== CR) continue; // a bare LF is an octet like others
      if (this.#heldLength > 0) this.#keep();
      const held = this.#heldLength > 0;
      this.bytes = held ? this.#held : chunk;
      this.start = held ? 0 : this.#from;
      this.end = held ? this.#heldLength : end;
      if (!plainLine && this.#announces(this.bytes, this.start + this.#lineStart, this.end)) {
        this.#lineOctets = lineOctets;
        this.#state = "announced";
        return "literal";
      }
      this.end -= 2;
      const { bytes, start } = this;
      this.#endUnit();
      this.bytes = bytes;
      this.start = start;
      return "command";
    }
  }

  /** The octet before chunk offset `at`, which may lie in what is held; -1 at the start of the line. */
  #octetBefore(at: number): number {
    if (at > this.#from) return this.#unitOctetsAt(at) > this.#lineStart ? this.#chunk[at - 1]! : -1;
    return this.#heldLength > this.#lineStart ? this.#held[this.#heldLength - 1]! : -1;
  }

  #unitOctetsAt(at: number): number {
    return this.#heldLength + (at - this.#from);
  }

  /** Looks for `{n}` or `{n+}` before the CRLF that ends at `end`. */
  #announces(bytes: Uint8Array, start: number, end: number): boolean {
    let at = end - 3;
    if (at < start || bytes[at] !== RBRACE) return false;
    at--;
    const nonSync = at >= start && bytes[at] === PLUS;
    if (nonSync) at--;
    let value = 0, scale = 1, digits = 0;
    for (; at >= start && bytes[at]! >= 0x30 && bytes[at]! <= 0x39; at--) {
      if (++digits <= LITERAL_DIGITS) value += (bytes[at]! - 0x30) * scale;
      else if (bytes[at] !== 0x30) value = Number.MAX_SAFE_INTEGER;
      scale *= 10;
    }
    if (digits === 0 || at < start || bytes[at] !== LBRACE) return false;
    this.literalOctets = Math.min(value, Number.MAX_SAFE_INTEGER);
    this.nonSync = nonSync;
    return true;
  }

  #tooLong(): Frame {
    // The beginning is all that is needed (the tag); the rest of the unit is dropped from here on.
    const held = this.#heldLength > 0;
    const here = this.#chunk.subarray(this.#from, this.#from + TAG_OCTETS);
    this.bytes = held ? joined([this.#held.subarray(0, Math.min(this.#heldLength, TAG_OCTETS)), here]) : here;
    this.start = 0;
    this.end = this.bytes.length;
    const { bytes, start, end } = this;
    // The line may already have been scanned up to its CR: its last octets count for what ends it.
    const tailFrom = Math.max(this.#from, this.#at - TAIL_OCTETS);
    if (this.#tail.length === 0) this.#tail = new Uint8Array(TAIL_OCTETS);
    this.#tailLength = 0;
    if (held) {
      const from = Math.max(this.#lineStart, this.#heldLength - TAIL_OCTETS);
      this.#note(this.#held, Math.min(from, this.#heldLength), this.#heldLength);
    }
    this.#note(this.#chunk, tailFrom, this.#at);
    this.#endUnit();
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.#state = "drop-line";
    return "too-long";
  }

  #dropLine(): Frame | null {
    if (this.#tail.length === 0) this.#tail = new Uint8Array(TAIL_OCTETS);
    const lf = this.#chunk.indexOf(LF, this.#at);
    const end = lf >= 0 ? lf + 1 : this.#chunk.length;
    this.#note(this.#chunk, this.#at, end);
    const here = end - this.#at;
    this.#at = end;
    this.#from = end;
    if (!this.#drop(here)) return "overrun";
    if (lf < 0) return "need-input";
    if (this.#tailLength < 2 || this.#tail[this.#tailLength - 2] !== CR) return null;
    const announces = this.#announces(this.#tail, 0, this.#tailLength);
    if (announces && this.nonSync) {
      this.#left = this.literalOctets;
      this.#state = "drop-literal";
      return null;
    }
    this.#endUnit();
    return "discarded";
  }

  /** Remembers the last octets of a line that is being dropped. */
  #note(bytes: Uint8Array, start: number, end: number): void {
    const size = Math.min(end - start, TAIL_OCTETS);
    const keep = Math.min(this.#tailLength, TAIL_OCTETS - size);
    this.#tail.copyWithin(0, this.#tailLength - keep, this.#tailLength);
    this.#tail.set(bytes.subarray(end - size, end), keep);
    this.#tailLength = keep + size;
  }

  #drop(octets: number): boolean {
    this.#from = this.#at;
    this.#dropped += octets;
    if (this.#dropped <= this.limits.discardOctets) return true;
    this.#state = "dead";
    return false;
  }

  #unitOctets(): number {
    return this.#heldLength + (this.#at - this.#from);
  }

  /** Out of input: the chunk is about to be reused, so what belongs to the unit is copied, once. */
  #hold(): Frame {
    this.#keep();
    return "need-input";
  }

  #keep(): void {
    const size = this.#at - this.#from;
    if (size > 0) {
      this.#reserve(this.#heldLength + size);
      this.#held.set(this.#chunk.subarray(this.#from, this.#at), this.#heldLength);
      this.#heldLength += size;
    }
    this.#from = this.#at;
  }

  #reserve(octets: number): void {
    if (octets <= this.#held.length) return;
    const grown = new Uint8Array(Math.max(octets + 256, this.#held.length * 2));
    grown.set(this.#held.subarray(0, this.#heldLength));
    this.#held = grown;
  }

  /** Forgets the octets of the unit; a long command must not hold its memory while the session idles. */
  #forget(): void {
    this.#held = EMPTY;
    this.#heldLength = 0;
    this.#from = this.#at;
    this.#lineStart = 0;
  }

  #endUnit(): void {
    this.#forget();
    this.#lineOctets = 0;
    this.#left = 0;
    this.#dropped = 0;
    this.#state = "line";
  }
}
