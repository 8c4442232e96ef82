/**
 * Charsets of seven bits that are a shell around another, which TextDecoder knows: HZ (RFC 1843) around GB 2312,
 * ISO-2022-KR (RFC 1557) around EUC-KR, ISO-2022-CN (RFC 1922) around GB 2312, UTF-7 (RFC 2152) around UTF-16.
 *
 * TextDecoder refuses these names on purpose: a page on the web could hide markup in them. Nothing here is shown as markup.
 * Two octets between the shifts become a character of the charset inside; what is no such pair becomes one octet that is
 * malformed there (U+FFFD). The characters of ISO-2022-CN beyond GB 2312 (CNS 11643, ISO-IR-165) become U+FFFD too.
 * Octets of eight bits outside of the shifts are left to the charset inside: some mail has one of these names and is in it.
 * A line end ends every shift, so that a lost one costs a line. One pass, two octets for each at most. Pure.
 */
import { CR, DOLLAR, HYPHEN, LBRACE, LF, PLUS, RBRACE, RPAREN } from "../bytes/ascii.ts";

/** Begins no character of GBK or EUC-KR. */
const MALFORMED = 0xff;
const ESC = 0x1b;
const SHIFT_OUT = 0x0e;
const SHIFT_IN = 0x0f;
const TILDE = 0x7e;
/** Finals of the escape sequences that name the set behind a shift. */
const GB_2312 = 0x41;
const KS_C_5601 = 0x43;
/** ESC and the second octet of a shift for one character (RFC 1922 2: SS2, SS3). */
const SINGLE_SHIFTS: ReadonlySet<number> = new Set([0x4e, 0x4f]);

const REPLACEMENT = 0xfffd;
/** Values of the octets of base64, -1 for all others. */
const BASE64 = new Int8Array(256).fill(-1);
for (
  const [value, character] of [..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"]
    .entries()
) {
  BASE64[character.charCodeAt(0)] = value;
}

/** The charset inside, and how to come to its octets. */
export interface SevenBitCharset {
  readonly inside: "euc-kr" | "gbk" | "utf-16le";
  readonly open: (bytes: Uint8Array) => Uint8Array;
}

const HZ: SevenBitCharset = { inside: "gbk", open: openHz };
const ISO_2022_KR: SevenBitCharset = { inside: "euc-kr", open: (bytes) => openIso2022(bytes, KS_C_5601) };
const ISO_2022_CN: SevenBitCharset = { inside: "gbk", open: (bytes) => openIso2022(bytes, GB_2312) };
const UTF_7: SevenBitCharset = { inside: "utf-16le", open: openUtf7 };

/** By names in lower case. */
export const SEVEN_BIT_CHARSETS: ReadonlyMap<string, SevenBitCharset> = new Map([
  ["hz", HZ],
  ["hz-gb-2312", HZ],
  ["iso-2022-kr", ISO_2022_KR],
  ["csiso2022kr", ISO_2022_KR],
  ["iso-2022-cn", ISO_2022_CN],
  ["iso-2022-cn-ext", ISO_2022_CN],
  ["utf-7", UTF_7],
  ["utf7", UTF_7],
  ["x-utf-7", UTF_7],
  ["unicode-1-1-utf-7", UTF_7],
  ["csunicode11utf7", UTF_7],
  ["x-unicode-2-0-utf-7", UTF_7],
]);

/** `~{` and `~}` around pairs, `~~` for a tilde, `~` at the end of a line that goes on in the next. */
function openHz(bytes: Uint8Array): Uint8Array {
  const opened = new Opened(bytes);
  let shifted = false;
  for (let i = 0; i < bytes.length;) {
    const octet = bytes[i]!;
    const next = bytes[i + 1];
    if (octet === TILDE && (next === LBRACE || next === RBRACE)) {
      shifted = next === LBRACE;
      i += 2;
    } else if (octet === TILDE && next === TILDE && !shifted) {
      opened.add(TILDE);
      i += 2;
    } else if (octet === TILDE && (next === LF || (next === CR && bytes[i + 2] === LF))) {
      shifted = false;
      i += next === LF ? 2 : 3;
    } else if (shifted && isGraphic(octet)) {
      i += opened.addPair(i, true);
    } else {
      if (octet === LF) shifted = false;
      opened.add(octet);
      i++;
    }
  }
  return opened.octets();
}

/** SHIFT OUT and SHIFT IN around pairs of the set that was named last; `set`, when none was yet. */
function openIso2022(bytes: Uint8Array, set: number): Uint8Array {
  const opened = new Opened(bytes);
  let shifted = false;
  let known = true;
  for (let i = 0; i < bytes.length;) {
    const octet = bytes[i]!;
    const next = bytes[i + 1];
    if (octet === SHIFT_OUT || octet === SHIFT_IN) {
      shifted = octet === SHIFT_OUT;
      i++;
    } else if (octet === ESC && next === DOLLAR && i + 3 < bytes.length) {
      if (bytes[i + 2] === RPAREN) known = bytes[i + 3] === set;
      i += 4;
    } else if (octet === ESC && next !== undefined && SINGLE_SHIFTS.has(next)) {
      i += 2 + opened.addPair(i + 2, false);
    } else if (shifted && isGraphic(octet)) {
      i += opened.addPair(i, known);
    } else {
      if (octet === LF) shifted = false;
      opened.add(octet);
      i++;
    }
  }
  return opened.octets();
}

/** `+` and base64 of UTF-16 up to `-`, which belongs to it, or to what is no base64; `+-` is a plus. */
function openUtf7(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 * bytes.length);
  let length = 0;
  const add = (unit: number) => {
    out[length++] = unit & 0xff;
    out[length++] = unit >> 8;
  };
  for (let i = 0; i < bytes.length;) {
    const octet = bytes[i++]!;
    if (octet !== PLUS) {
      add(octet < 0x80 ? octet : REPLACEMENT);
      continue;
    }
    const start = i;
    let bits = 0;
    let count = 0;
    for (; i < bytes.length && BASE64[bytes[i]!]! >= 0; i++) {
      bits = bits << 6 | BASE64[bytes[i]!]!;
      count += 6;
      if (count >= 16) {
        count -= 16;
        add(bits >>> count & 0xffff);
        bits &= (1 << count) - 1;
      }
    }
    if (bytes[i] === HYPHEN) {
      if (i === start) add(PLUS);
      i++;
    }
  }
  return out.subarray(0, length);
}

/** 0x21 to 0x7E: a half of a pair. */
function isGraphic(octet: number | undefined): boolean {
  return octet !== undefined && octet > 0x20 && octet < 0x7f;
}

class Opened {
  readonly #bytes: Uint8Array;
  readonly #out: Uint8Array;
  #length: number;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#out = new Uint8Array(bytes.length);
    this.#length = 0;
  }

  add(octet: number): void {
    this.#out[this.#length++] = octet;
  }

  /** The pair at `at` as two octets with their high bits, or as one that is malformed; returns the octets it took. */
  addPair(at: number, known: boolean): number {
    const first = this.#bytes[at];
    const second = this.#bytes[at + 1];
    const whole = isGraphic(first) && isGraphic(second);
    if (whole && known) {
      this.add(first! | 0x80);
      this.add(second! | 0x80);
    } else {
      this.add(MALFORMED);
    }
    return whole ? 2 : isGraphic(first) ? 1 : 0;
  }

  octets(): Uint8Array {
    return this.#out.subarray(0, this.#length);
  }
}
