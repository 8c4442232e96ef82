/** Quoted-printable (RFC 2045 6.7): lines of at most 76 characters, CRLF kept as line ends. */
import { CR, EQUAL, LF, SP, TAB } from "./ascii.ts";

const HEX = "0123456789ABCDEF";
const LINE = 76;
/** An octet becomes at most three, and each 25 of those another three of a soft break. */
const MOST_PER_OCTET = 3.2;
const SLACK = 16;

/** Encodes text octets with CRLF line ends that arrive in pieces; any other CR or LF is encoded. */
export class QuotedPrintableEncoder {
  /** The piece being encoded, behind up to two octets whose encoding depended on it. */
  #input: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #held = 0;
  #column = 0;
  #out: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** The result is valid until the next call. `last` ends the text. */
  push(piece: Uint8Array, last: boolean): Uint8Array {
    const end = this.#held + piece.length;
    if (this.#input.length < end) {
      const grown = new Uint8Array(end);
      grown.set(this.#input.subarray(0, this.#held));
      this.#input = grown;
    }
    this.#input.set(piece, this.#held);
    const bytes = this.#input.subarray(0, end);
    const size = Math.ceil(bytes.length * MOST_PER_OCTET) + SLACK;
    if (this.#out.length < size) this.#out = new Uint8Array(size);
    const decided = last ? end : end - 2;
    let length = 0;
    let i = 0;
    for (; i < decided; i++) {
      if (bytes[i] === CR && bytes[i + 1] === LF) {
        this.#out[length++] = CR;
        this.#out[length++] = LF;
        this.#column = 0;
        i++;
      } else length = this.#octet(bytes, i, length);
    }
    this.#input.copyWithin(0, i, end);
    this.#held = end - i;
    return this.#out.subarray(0, length);
  }

  /** Writes one octet at `length`, behind a soft break where the line is full; returns the new length. */
  #octet(bytes: Uint8Array, i: number, length: number): number {
    const out = this.#out;
    const octet = bytes[i]!;
    const last = i + 1 === bytes.length || (bytes[i + 1] === CR && bytes[i + 2] === LF);
    const plain = octet >= 33 && octet <= 126 && octet !== EQUAL || (octet === SP || octet === TAB) && !last;
    // The last column is kept for the `=` of a soft break, unless the line ends here.
    if (this.#column + (plain ? 1 : 3) > (last ? LINE : LINE - 1)) {
      out[length++] = EQUAL;
      out[length++] = CR;
      out[length++] = LF;
      this.#column = 0;
    }
    if (plain) out[length++] = octet;
    else {
      out[length++] = EQUAL;
      out[length++] = HEX.charCodeAt(octet >> 4);
      out[length++] = HEX.charCodeAt(octet & 15);
    }
    this.#column += plain ? 1 : 3;
    return length;
  }
}

/** Decodes leniently: what is no valid escape stands for itself; bare white space before a line end is dropped. */
export function decodeQuotedPrintable(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  const out = new Uint8Array(end - start);
  let length = 0;
  /** Behind the last escape or soft break: white space before it stays (6.7 (3)). */
  let escaped = 0;
  for (let i = start; i < end; i++) {
    const octet = bytes[i]!;
    if (octet === LF) {
      const hard = length > escaped && out[length - 1] === CR;
      if (hard) length--;
      while (length > escaped && (out[length - 1] === SP || out[length - 1] === TAB)) length--;
      if (hard) out[length++] = CR;
      out[length++] = LF;
    } else if (octet !== EQUAL) out[length++] = octet;
    else {
      const high = hex(bytes[i + 1]), low = hex(bytes[i + 2]);
      if (i + 2 < end && high >= 0 && low >= 0) {
        out[length++] = high << 4 | low;
        escaped = length;
        i += 2;
        continue;
      }
      let next = i + 1;
      while (next < end && (bytes[next] === SP || bytes[next] === TAB)) next++;
      if (next >= end) break;
      escaped = length;
      if (bytes[next] === CR && bytes[next + 1] === LF) i = next + 1;
      else if (bytes[next] === LF) i = next;
      else out[length++] = octet;
    }
  }
  return out.subarray(0, length);
}

function hex(octet: number | undefined): number {
  if (octet === undefined) return -1;
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const folded = octet | 0x20;
  return folded >= 0x61 && folded <= 0x66 ? folded - 0x57 : -1;
}
