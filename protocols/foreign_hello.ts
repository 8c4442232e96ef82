/**
 * What browsers and TLS clients say first, on a port that speaks something else.
 *
 * A browser can be made to send a request whose body is mail commands; most of them would be refused one by one, but the
 * first line tells, and nothing behind it should be read. A TLS hello (RFC 8446 5.1) on a plain port never ends a line.
 * Works on any cutting of the octets. Limit: {@linkcode LOOKED_AT} octets are looked at.
 */
import { latin1 } from "../bytes/decode.ts";

const LOOKED_AT = 16;
const HTTP = /^(?:(?:GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH|TRACE) (?:[/*]|http)|CONNECT [^ ]+:|PRI \*)/i;
/** Anything that may still become one of them. */
const MAY_BECOME =
  /^(?:[GPHODTC][A-Z]{0,6}|(?:GET|POST|PUT|HEAD|OPTIONS|DELETE|PATCH|TRACE) (?:h|ht|htt)?|CONNECT [^ :]*|PRI ?)$/i;

export type FirstWords = "foreign" | "fine" | "open";

export class ForeignHello {
  /** "open": the next octets decide. */
  state: FirstWords = "open";
  #text = "";

  push(bytes: Uint8Array): FirstWords {
    if (this.state !== "open" || bytes.length === 0) return this.state;
    this.#text += latin1(bytes, 0, Math.min(bytes.length, LOOKED_AT - this.#text.length));
    const text = this.#text;
    if (text.startsWith("\x16\x03") || HTTP.test(text)) this.state = "foreign";
    else if (text !== "\x16" && (text.length >= LOOKED_AT || !MAY_BECOME.test(text))) this.state = "fine";
    return this.state;
  }
}
