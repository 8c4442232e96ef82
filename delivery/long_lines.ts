/**
 * Lines over 998 octets in submitted messages: the parts that hold them are given a transfer encoding, or their encoding
 * is wrapped as it should have been (RFC 5321 4.5.3.1.6, RFC 2045 6.7 and 6.8).
 *
 * Text becomes quoted-printable, or base64 where that is shorter; anything else base64. Parts under multipart/signed and
 * multipart/encrypted stay as they are (RFC 1847 2.1), and so do composite types (but for message/global and its like,
 * where 7-bit is wanted), encodings we do not know, and long lines outside any part: no encoding can mend those. Two passes over the spool, bounded memory whatever the size.
 */
import { setImmediate } from "node:timers/promises";
import { CR, CRLF, LF } from "../bytes/ascii.ts";
import { encodeBase64Lines, OCTETS_PER_LINE } from "../bytes/base64.ts";
import { encodeLatin1, isAscii, latin1 } from "../bytes/decode.ts";
import { QuotedPrintableEncoder } from "../bytes/quoted_printable.ts";
import { FactsBuilder, type MessageFacts } from "../message/facts.ts";
import { scanFields } from "../message/header.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../message/mime_parser.ts";
import { MAX_LINE_OCTETS } from "./header_fold.ts";
import type { Spool } from "../storage/store.ts";

/** Whole lines of base64. */
const PIECE_OCTETS = 1024 * OCTETS_PER_LINE;
export const WANTED: ReadonlySet<string> = new Set(["content-type", "content-transfer-encoding"]);
/** RFC 2045 6.7: 76 with the `=` of a soft break; a token takes up to three. */
const WRAP_AT = 73;
const BASE64_LINE = 76;

/** `8bit` changes the label alone. */
type Encoding = "quoted-printable" | "base64" | "8bit";

export interface Plan {
  readonly part: MimePart;
  readonly encoding: Encoding;
  /** The part is in this encoding already and only its lines are too long. */
  readonly wrap: boolean;
  /** The header of a message of its own, which must say MIME-Version. */
  readonly messageRoot: boolean;
}

/** Writes `from` to `to` with short lines; the facts of what was written, or null when nothing could be mended. */
export async function reencodeLongLines(from: Spool, to: Spool): Promise<MessageFacts | null> {
  return await reencode(from, to, { sevenBit: false });
}

/** The same for parts that are not 7-bit as well: what is signed must survive every relay (RFC 6376 5.3). */
export async function reencodeSevenBit(from: Spool, to: Spool): Promise<MessageFacts | null> {
  return await reencode(from, to, { sevenBit: true });
}

async function reencode(
  from: Spool,
  to: Spool,
  { sevenBit }: { readonly sevenBit: boolean },
): Promise<MessageFacts | null> {
  const { root, longLines } = await survey(from);
  const candidates: Plan[] = [];
  collect(root, { messageRoot: true, sevenBit }, candidates);
  const plans: Plan[] = [];
  for (const plan of candidates) {
    const unfit = hasLineIn(longLines, plan.part) ||
      (sevenBit && !plan.wrap && await hasEightBit(from, plan.part));
    if (!unfit) continue;
    plans.push(plan.wrap ? plan : { ...plan, encoding: await encodingFor(from, plan.part) });
  }
  if (plans.length === 0) return null;
  const writer = new Rewriter(from, to);
  for (const plan of plans) await writer.part(plan);
  return await writer.end();
}

/** The tree, and where lines begin that are too long. */
async function survey(from: Spool): Promise<{ root: MimePart; longLines: number[] }> {
  const parser = new MimeParser(DEFAULT_MIME_LIMITS, (block, spans) => pick(block, spans, WANTED));
  const longLines: number[] = [];
  let lineStart = 0;
  let endsWithCr = false;
  const buffer = new Uint8Array(PIECE_OCTETS);
  for (let at = 0; at < from.octets; at += PIECE_OCTETS) {
    const piece = await from.read(at, Math.min(at + PIECE_OCTETS, from.octets), buffer);
    parser.push(piece, 0, piece.length);
    for (let lf = piece.indexOf(LF); lf >= 0; lf = piece.indexOf(LF, lf + 1)) {
      const cr = lf > 0 ? piece[lf - 1] === CR : endsWithCr;
      if (at + lf - lineStart - (cr ? 1 : 0) > MAX_LINE_OCTETS) longLines.push(lineStart);
      lineStart = at + lf + 1;
    }
    endsWithCr = piece.at(-1) === CR;
  }
  if (from.octets - lineStart > MAX_LINE_OCTETS) longLines.push(lineStart);
  return { root: parser.finish(), longLines };
}

/** Parts whose encoding may be changed, in message order. */
function collect(
  part: MimePart,
  { messageRoot, sevenBit }: { readonly messageRoot: boolean; readonly sevenBit: boolean },
  plans: Plan[],
): void {
  if (part.type === "MULTIPART") {
    if (/^(signed|encrypted)$/i.test(part.subtype)) return;
    for (const child of part.children) collect(child, { messageRoot: false, sevenBit }, plans);
    return;
  }
  // RFC 6532 3.7, RFC 6533 4.4: headers in UTF-8, which may be encoded as a whole, as no other message may.
  const international = part.type === "MESSAGE" && /^global/i.test(part.subtype) && sevenBit;
  if (part.message !== null && !international) {
    return collect(part.message, { messageRoot: true, sevenBit }, plans);
  }
  if (part.type === "MESSAGE" && !international) return;
  if (part.headerEnd - part.headerStart > DEFAULT_MIME_LIMITS.headerOctets) return;
  const stated = (part.fields.get("content-transfer-encoding") ?? "").toLowerCase();
  switch (stated) {
    case "quoted-printable":
    case "base64":
      plans.push({ part, encoding: stated, wrap: true, messageRoot });
      return;
    case "":
    case "7bit":
    case "8bit":
    case "binary":
      plans.push({ part, encoding: "base64", wrap: false, messageRoot });
  }
}

/** True when one of the ascending offsets lies in the part's body. */
function hasLineIn(longLines: readonly number[], part: MimePart): boolean {
  let low = 0;
  let high = longLines.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (longLines[middle]! < part.bodyStart) low = middle + 1;
    else high = middle;
  }
  const line = longLines[low];
  return line !== undefined && line < part.bodyEnd;
}

async function hasEightBit(from: Spool, { bodyStart, bodyEnd }: MimePart): Promise<boolean> {
  const buffer = new Uint8Array(PIECE_OCTETS);
  for (let at = bodyStart; at < bodyEnd; at += PIECE_OCTETS) {
    const piece = await from.read(at, Math.min(at + PIECE_OCTETS, bodyEnd), buffer);
    if (!isAscii(piece)) return true;
    await setImmediate();
  }
  return false;
}

/** Judged by the first piece: an escaped octet costs two more, base64 a third of everything. */
async function encodingFor(from: Spool, part: MimePart): Promise<Encoding> {
  if (part.type !== "TEXT" && part.type !== "MESSAGE") return "base64";
  const sample = await from.read(part.bodyStart, Math.min(part.bodyEnd, part.bodyStart + PIECE_OCTETS));
  let escaped = 0;
  for (const octet of sample) if (octet > 126 || octet === 0x3d) escaped++;
  return escaped * 6 > sample.length ? "base64" : "quoted-printable";
}

/** Copies a message with some parts encoded anew. */
export class Rewriter {
  readonly #from: Spool;
  readonly #to: Spool;
  readonly #facts: FactsBuilder;
  readonly #piece: Uint8Array;
  /** Octets of `from` that are done with. */
  #at: number;

  constructor(from: Spool, to: Spool) {
    this.#from = from;
    this.#to = to;
    this.#facts = new FactsBuilder();
    this.#piece = new Uint8Array(PIECE_OCTETS);
    this.#at = 0;
  }

  async part({ part, encoding, wrap, messageRoot }: Plan): Promise<void> {
    await this.#copyUntil(part.headerStart);
    const header = await this.#from.read(part.headerStart, part.headerEnd);
    await this.#emit(wrap ? header : encodedHeader(header, { encoding, messageRoot }));
    this.#at = part.bodyStart;
    if (encoding === "8bit") return;
    const atEnd = part.bodyEnd === this.#from.octets;
    const encoder = wrap
      ? (encoding === "base64" ? new Base64Wrapper(atEnd) : new QuotedPrintableWrapper())
      : (encoding === "base64" ? new Base64Encoder(atEnd) : new QuotedPrintableEncoder());
    for (let at = part.bodyStart; at < part.bodyEnd; at += PIECE_OCTETS) {
      const end = Math.min(at + PIECE_OCTETS, part.bodyEnd);
      await this.#emit(encoder.push(await this.#from.read(at, end, this.#piece), end === part.bodyEnd));
      await setImmediate(); // other sessions have their turn: a large part takes long
    }
    this.#at = part.bodyEnd;
  }

  /** Other octets in the place of these. */
  async replace(start: number, end: number, octets: Uint8Array): Promise<void> {
    await this.#copyUntil(start);
    await this.#emit(octets);
    this.#at = end;
  }

  async end(): Promise<MessageFacts> {
    await this.#copyUntil(this.#from.octets);
    return this.#facts.finish();
  }

  async #copyUntil(end: number): Promise<void> {
    while (this.#at < end) {
      const next = Math.min(this.#at + PIECE_OCTETS, end);
      await this.#emit(await this.#from.read(this.#at, next, this.#piece));
      this.#at = next;
    }
  }

  async #emit(bytes: Uint8Array): Promise<void> {
    this.#facts.push(bytes);
    await this.#to.write(bytes, 0, bytes.length);
  }
}

/** The header with its new Content-Transfer-Encoding in the place of the old, or in front of the empty line. */
function encodedHeader(block: Uint8Array, to: { encoding: Encoding; messageRoot: boolean }): Uint8Array {
  const field = `Content-Transfer-Encoding: ${to.encoding}\r\n`;
  const spans = scanFields(block, 0, block.length);
  const [old] = spans.filter(({ name }) => name === "content-transfer-encoding");
  const start = old?.start ?? spans.at(-1)?.end ?? 0;
  const version = to.messageRoot && !spans.some(({ name }) => name === "mime-version")
    ? "MIME-Version: 1.0\r\n"
    : "";
  return encodeLatin1(
    `${latin1(block, 0, start)}${version}${field}${latin1(block, old?.end ?? start, block.length)}`,
  );
}

interface BodyEncoder {
  /** Encodes a piece of PIECE_OCTETS or the last one; the result is valid until the next call. */
  push(piece: Uint8Array, last: boolean): Uint8Array;
}

class Base64Encoder implements BodyEncoder {
  readonly #atEnd: boolean;
  readonly #out = new Uint8Array(PIECE_OCTETS / OCTETS_PER_LINE * (BASE64_LINE + CRLF.length));

  /** Behind a part that is not the last comes the line end of a boundary; else the last line must end itself. */
  constructor(atEnd: boolean) {
    this.#atEnd = atEnd;
  }

  push(piece: Uint8Array, last: boolean): Uint8Array {
    const length = encodeBase64Lines(piece, this.#out);
    return this.#out.subarray(0, last && !this.#atEnd ? length - CRLF.length : length);
  }
}

/** Cuts lines that are quoted-printable already by soft breaks, never within an escape. */
class QuotedPrintableWrapper implements BodyEncoder {
  #column = 0;
  #escape = 0;

  push(piece: Uint8Array): Uint8Array {
    let text = "";
    let from = 0;
    for (let i = 0; i < piece.length; i++) {
      const octet = piece[i]!;
      if (octet === LF || octet === CR) {
        this.#column = 0;
        this.#escape = 0;
        continue;
      }
      if (this.#escape > 0) this.#escape--;
      else if (this.#column >= WRAP_AT) {
        text += `${latin1(piece, from, i)}=\r\n`;
        from = i;
        this.#column = 0;
      }
      if (octet === 0x3d) this.#escape = 2;
      this.#column++;
    }
    return encodeLatin1(text + latin1(piece, from, piece.length));
  }
}

/** Lays the characters of a base64 body out anew; what is outside the alphabet goes. */
class Base64Wrapper implements BodyEncoder {
  readonly #atEnd: boolean;
  #carry = "";

  constructor(atEnd: boolean) {
    this.#atEnd = atEnd;
  }

  push(piece: Uint8Array, last: boolean): Uint8Array {
    const text = this.#carry + latin1(piece).replace(/[^A-Za-z0-9+/=]+/g, "");
    const whole = last ? text.length : text.length - text.length % BASE64_LINE;
    this.#carry = text.slice(whole);
    return inLines(encodeLatin1(text.slice(0, whole)), !last || this.#atEnd);
  }
}

/** The octets in lines of 76; the last one ends only where `ended` says so. */
function inLines(octets: Uint8Array, ended: boolean): Uint8Array {
  const count = Math.ceil(octets.length / BASE64_LINE);
  const lines = new Uint8Array(octets.length + Math.max(0, ended ? count : count - 1) * CRLF.length);
  let at = 0;
  for (let from = 0; from < octets.length; from += BASE64_LINE) {
    const line = octets.subarray(from, from + BASE64_LINE);
    lines.set(line, at);
    at += line.length;
    if (at === lines.length) break;
    lines.set(CRLF, at);
    at += CRLF.length;
  }
  return lines;
}
