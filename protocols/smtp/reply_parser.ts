/**
 * Replies of another server, one at a time out of arbitrary chunks.
 *
 * RFC 5321 4.2 (form), 4.2.1 (multiline), 4.5.3.1.5 (512 octets a line; ours takes more), RFC 2034 4 and RFC 3463 2
 * (enhanced codes). Only CRLF ends a line. Where the codes of a multiline reply differ, the last one counts, because
 * real servers do it. Text is cleaned here to printable characters of ASCII and UTF-8 (RFC 6531 3.5), because it goes into
 * logs and bounces. Pure and resumable at any octet. Limits: octets of a line, lines of a reply; a peer that breaks the form is reported as a fault and not
 * read any further.
 */
import { HYPHEN, isDigit, SP } from "../../bytes/ascii.ts";
import { latin1, utf8OrNull } from "../../bytes/decode.ts";
import { LineFramer } from "../line_framer.ts";

export interface RemoteReply {
  /** 200 to 599. */
  readonly code: number;
  /** As in "5.7.1"; "" when the peer gave none, or one of another class than its code. */
  readonly enhanced: string;
  /** The lines without codes, printable. */
  readonly lines: readonly string[];
}

export interface ReplyLimits {
  readonly lineOctets: number;
  readonly lines: number;
}

export const DEFAULT_REPLY_LIMITS: ReplyLimits = { lineOctets: 2_048, lines: 256 };

export type ReplyStep =
  | { readonly kind: "reply"; readonly reply: RemoteReply }
  | { readonly kind: "need-input" }
  /** The peer does not speak SMTP; the text says what it did. */
  | { readonly kind: "fault"; readonly text: string };

const NEED_INPUT: ReplyStep = { kind: "need-input" };
const EMPTY = new Uint8Array(0);
const ENHANCED = /^([245])\.(\d{1,3})\.(\d{1,3})(?: +|$)/;

export class ReplyParser {
  readonly #limits: ReplyLimits;
  #framer: LineFramer;
  #chunk: Uint8Array;
  #at: number;
  #lines: string[];
  #enhanced: string;
  #fault: ReplyStep | null;

  constructor(limits: ReplyLimits = DEFAULT_REPLY_LIMITS) {
    this.#limits = limits;
    this.#framer = new LineFramer(limits.lineOctets);
    this.#chunk = EMPTY;
    this.#at = 0;
    this.#lines = [];
    this.#enhanced = "";
    this.#fault = null;
  }

  /** Gives the next octets, borrowed until `next` says "need-input". Call only then. */
  feed(bytes: Uint8Array): void {
    this.#chunk = bytes;
    this.#at = 0;
  }

  next(): ReplyStep {
    if (this.#fault !== null) return this.#fault;
    for (;;) {
      this.#at = this.#framer.next(this.#chunk, this.#at, this.#chunk.length);
      switch (this.#framer.result) {
        case "more":
          this.#chunk = EMPTY;
          this.#at = 0;
          return NEED_INPUT;
        case "too-long":
          return this.#failed(`a reply line over ${this.#limits.lineOctets} octets`);
        case "line": {
          const step = this.#line();
          if (step !== null) return step;
          break;
        }
        default:
          this.#framer.result satisfies never;
      }
    }
  }

  /** Forgets what was read and not handed out: octets from before TLS are never replies behind it. */
  reset(): void {
    this.#framer.reset();
    this.#chunk = EMPTY;
    this.#at = 0;
    this.#lines = [];
    this.#enhanced = "";
  }

  /** True when octets wait that no command of ours has asked for. */
  get unread(): boolean {
    return this.#at < this.#chunk.length || this.#framer.partial || this.#lines.length > 0;
  }

  /** One line; null when the reply goes on. */
  #line(): ReplyStep | null {
    const { bytes, start, end } = this.#framer;
    const code = codeAt(bytes, start, end);
    const separator = end - start === 3 ? SP : bytes[start + 3];
    if (code < 0 || (separator !== SP && separator !== HYPHEN)) {
      return this.#failed(`a reply that is none: ${printable(bytes, start, Math.min(end, start + 60))}`);
    }
    let text = printable(bytes, Math.min(end, start + 4), end);
    const match = ENHANCED.exec(text);
    if (match !== null && Number(match[1]) === Math.floor(code / 100)) {
      if (this.#enhanced === "") this.#enhanced = match[0].trimEnd();
      text = text.slice(match[0].length);
    }
    this.#lines.push(text);
    if (separator === HYPHEN) {
      return this.#lines.length < this.#limits.lines
        ? null
        : this.#failed(`a reply of more than ${this.#limits.lines} lines`);
    }
    const enhanced = this.#enhanced.startsWith(`${Math.floor(code / 100)}`) ? this.#enhanced : "";
    const reply: RemoteReply = { code, enhanced, lines: this.#lines };
    this.#lines = [];
    this.#enhanced = "";
    return { kind: "reply", reply };
  }

  #failed(text: string): ReplyStep {
    this.#fault = { kind: "fault", text };
    this.#chunk = EMPTY;
    this.#at = 0;
    return this.#fault;
  }
}

/** Characters of a reply that logs, the queue and bounces keep. */
const MAX_TEXT = 900;

/** A reply in one line, as in `550 5.1.1 No such user`. */
export function replyText({ code, enhanced, lines }: RemoteReply): string {
  const words = [String(code), enhanced, ...lines].filter((word) => word !== "").join(" ");
  return words.length > MAX_TEXT ? `${words.slice(0, MAX_TEXT).toWellFormed()}...` : words;
}

/** Reply-code of RFC 5321 4.2: 2 to 5, then two digits; -1 when it is none. */
function codeAt(bytes: Uint8Array, start: number, end: number): number {
  if (end - start < 3) return -1;
  const [a, b, c] = [bytes[start]!, bytes[start + 1]!, bytes[start + 2]!];
  if (a < 0x32 || a > 0x35 || !isDigit(b) || !isDigit(c)) return -1;
  return (a - 0x30) * 100 + (b - 0x30) * 10 + (c - 0x30);
}

function printable(bytes: Uint8Array, start: number, end: number): string {
  const text = latin1(bytes, start, end);
  if (!/[^\x20-\x7e]/.test(text)) return text;
  const characters = utf8OrNull(bytes, start, end);
  return (characters ?? text).replace(/\t/g, " ").replace(characters === null ? NOT_ASCII : NOT_SHOWN, "?");
}

const NOT_ASCII = /[^\x20-\x7e]/g;
/** Controls, marks that turn the direction of text, what no font has, ends of lines. */
const NOT_SHOWN = /[\p{C}\p{Zl}\p{Zp}]/gu;
