/**
 * The MIME tree of a message as offsets, in one resumable pass over octets that are never kept.
 *
 * RFC 2045 and 2046. Lines are found by `indexOf(LF)`; a boundary is looked for only where a line starts with "--"
 * (5.1.1), also behind bare LF. Every boundary of the enclosing multiparts is active, the innermost first, so a missing
 * end boundary closes what it must. Past a limit a part is kept whole as octets of its enclosing part. Memory: the
 * header block being read, one started line, the tree. Hot: bench/micro/mime_bench.ts.
 */
import { CR, HYPHEN, LF, SP, TAB } from "../bytes/ascii.ts";
import { encodeLatin1, latin1 } from "../bytes/decode.ts";
import { type FieldSpan, scanFields, valueText } from "./header.ts";
import { parameter, type ParameterizedValue, parseParameterized } from "./parameter.ts";

export interface MimeLimits {
  /** Multiparts and messages inside each other. */
  readonly depth: number;
  readonly parts: number;
  /** Octets of one header block that are looked at. */
  readonly headerOctets: number;
  /** Octets of the first text part kept for the preview. */
  readonly previewOctets: number;
}

export const DEFAULT_MIME_LIMITS: MimeLimits = {
  depth: 50,
  parts: 10_000,
  headerOctets: 256 * 1024,
  previewOctets: 1_024,
};

/** A part as it is being found; offsets count from the first octet of the message. */
export interface MimePart {
  headerStart: number;
  headerEnd: number;
  bodyStart: number;
  bodyEnd: number;
  /** Line ends within the body. */
  lines: number;
  readonly fields: Fields;
  readonly contentType: ParameterizedValue;
  /** Upper case, as in "TEXT"; what the parts of a limit or a broken type are shown as is already decided here. */
  readonly type: string;
  readonly subtype: string;
  /** Of a multipart. */
  readonly children: MimePart[];
  /** The message inside a message/rfc822 or message/global part. */
  message: MimePart | null;
}

/** The charset parameter as it is written, "" without one. */
export function charsetOf({ contentType }: MimePart): string {
  return contentType.parameters.find(([name]) => name.toLowerCase() === "charset")?.[1] ?? "";
}

/** Header fields that the structures need, unfolded, first occurrence. */
export type Fields = ReadonlyMap<string, string>;

/** What the owner of the parser sees of each header block while its octets are there. */
export type HeaderListener = (block: Uint8Array, fields: readonly FieldSpan[], root: boolean) => Fields;

interface OpenPart {
  readonly part: MimePart;
  /** `--boundary`; null once its end boundary was seen, or for parts without. */
  boundary: Uint8Array | null;
  /** Line ends seen before the body. */
  linesBefore: number;
}

const HEADER_OCTETS = 4096;
/** Looked through at once. */
const PIECE_OCTETS = 16 * 1024;
/** Of a header, whose end is near: what is taken behind it is taken once more. */
const HEADER_PIECE_OCTETS = 1024;
const NO_OCTETS = new Uint8Array(0);
/** Header buffers of finished messages for the next ones: allocating them anew is what garbage collection costs most. */
const spare: Uint8Array<ArrayBuffer>[] = [];
const MAX_SPARE = 64;

/** Octets of a line that arrives in pieces which are kept in a body: a boundary should have at most 70 characters. */
const LINE_START_OCTETS = 256;

export class MimeParser {
  /** Whole message, set by `finish`. */
  root: MimePart | null = null;
  longestLineOctets = 0;
  previewPart: MimePart | null = null;
  #limits: MimeLimits;
  #onHeader: HeaderListener;
  #offset = 0;
  #lines = 0;
  /** Octets of the line end of the last line, 0 when it had none. */
  #lastEol = 0;
  #carry: Uint8Array<ArrayBuffer> = NO_OCTETS;
  #carried = 0;
  /** Length of the started line, of which only the first octets may be in `#carry`. */
  #started = 0;
  #endsWithCr = false;
  #header: Uint8Array<ArrayBuffer> = spare.pop() ?? new Uint8Array(HEADER_OCTETS);
  #headerLength = 0;
  #headerStart = 0;
  /** True while a header block is read. */
  #inHeader = true;
  #stack: OpenPart[] = [];
  #active = 0;
  /** Octets of a started line by which each boundary is known, an end boundary too. */
  #lineStart = LINE_START_OCTETS;
  #parts = 0;
  /** Set while the part that begins now is a child of a multipart/digest. */
  #pendingMessageOf: MimePart | null = null;
  #preview = "";

  constructor(limits: MimeLimits, onHeader: HeaderListener) {
    this.#limits = limits;
    this.#onHeader = onHeader;
  }

  /** Octets pushed so far. */
  get octets(): number {
    return this.#offset + this.#started;
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    const view = end === bytes.length ? bytes : bytes.subarray(0, end);
    let at = start;
    while (at < end) {
      if (this.#started === 0) {
        at = this.#plainLines(view, at);
        if (at === end) return;
      }
      const lf = view.indexOf(LF, at);
      if (lf < 0) {
        this.#keep(view, at, end);
        return;
      }
      const next = lf + 1;
      if (this.#started === 0) {
        this.#line(view, at, next, lf > at && view[lf - 1] === CR ? 2 : 1, next - at);
      } else {
        const eol = lf > at ? (view[lf - 1] === CR ? 2 : 1) : (this.#endsWithCr ? 2 : 1);
        this.#keep(view, at, next);
        const length = this.#started;
        this.#started = 0;
        this.#line(this.#carry, 0, this.#carried, eol, length);
        this.#carried = 0;
      }
      at = next;
    }
  }

  /**
   * Takes complete lines from `at` on that change nothing, which is most of them: fields of a header, text of a body.
   * Returns where another begins: an empty line of a header, what may be a boundary, what is not complete.
   */
  #plainLines(bytes: Uint8Array, at: number): number {
    const inHeader = this.#inHeader;
    const boundaries = this.#active > 0;
    const previews = !inHeader && this.#preview.length < this.#limits.previewOctets &&
      this.previewPart === this.#stack[this.#stack.length - 1]?.part;
    const room = inHeader
      ? Math.min(this.#limits.headerOctets - this.#headerLength, HEADER_PIECE_OCTETS)
      : previews
      ? this.#limits.previewOctets - this.#preview.length + LINE_START_OCTETS
      : PIECE_OCTETS;
    const end = Math.min(bytes.length, at + Math.min(room, PIECE_OCTETS));
    // Looking for a character in a string costs a quarter of looking for an octet in an array.
    const text = latin1(bytes, at, end);
    let longest = this.longestLineOctets;
    let lines = 0;
    let eol = this.#lastEol;
    let from = at;
    while (from < end) {
      if (boundaries && bytes[from] === HYPHEN) break;
      const lf = at + text.indexOf("\n", from - at);
      if (lf < at) break;
      const crlf = lf > from && bytes[lf - 1] === CR;
      const length = lf - from - (crlf ? 1 : 0);
      if (inHeader ? length === 0 : previews && length > LINE_START_OCTETS - 2) break;
      if (length > longest) longest = length;
      eol = crlf ? 2 : 1;
      lines++;
      from = lf + 1;
    }
    if (lines === 0) return at;
    if (inHeader) this.#appendHeader(bytes, at, from);
    else if (previews) this.#previewMore(text.slice(0, from - at));
    this.longestLineOctets = longest;
    this.#lastEol = eol;
    this.#lines += lines;
    this.#offset += from - at;
    return from;
  }

  /** Ends the message and returns its tree. */
  finish(): MimePart {
    if (this.#started > 0) {
      const length = this.#started;
      this.#started = 0;
      this.#line(this.#carry, 0, this.#carried, 0, length);
    }
    if (this.#inHeader) this.#endHeader(this.#offset);
    this.#close(0, this.#offset, 0);
    if (this.#header.length === HEADER_OCTETS && spare.length < MAX_SPARE) spare.push(this.#header);
    this.#header = NO_OCTETS;
    return this.root!;
  }

  /** Keeps the start of a line that is not complete: all of it in a header, enough to see a boundary in a body. */
  #keep(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    this.#started += length;
    this.#endsWithCr = bytes[end - 1] === CR;
    const room = (this.#inHeader ? this.#limits.headerOctets : this.#lineStart) - this.#carried;
    const take = Math.min(length, Math.max(0, room));
    if (take > 0) {
      if (this.#carried + take > this.#carry.length) {
        const grown = new Uint8Array(
          Math.max(this.#carried + take, this.#carry.length * 2, LINE_START_OCTETS),
        );
        grown.set(this.#carry.subarray(0, this.#carried));
        this.#carry = grown;
      }
      this.#carry.set(bytes.subarray(start, start + take), this.#carried);
      this.#carried += take;
    }
  }

  /** The first octets of each line of the first text part, up to the limit, a character for each. */
  get preview(): string {
    return this.#preview;
  }

  /** One line at `#offset`: `length` octets with its line end, of which `[start, end)` are at hand. */
  #line(bytes: Uint8Array, start: number, end: number, eol: number, length: number): void {
    const from = this.#offset;
    this.#offset += length;
    if (length - eol > this.longestLineOctets) this.longestLineOctets = length - eol;
    if (this.#active > 0 && length > 2 && bytes[start] === HYPHEN && bytes[start + 1] === HYPHEN) {
      if (this.#boundary(bytes, start, end, from)) {
        this.#lines++;
        this.#lastEol = eol;
        return;
      }
    }
    if (this.#inHeader) {
      if (length - eol === 0 && eol > 0) {
        if (eol > 0) this.#lines++;
        this.#lastEol = eol;
        this.#endHeader(this.#offset);
        return;
      }
      this.#appendHeader(bytes, start, end);
    } else if (
      this.#preview.length < this.#limits.previewOctets &&
      this.previewPart === this.#stack[this.#stack.length - 1]?.part
    ) {
      this.#previewMore(latin1(bytes, start, Math.min(end, start + LINE_START_OCTETS)));
    }
    if (eol > 0) this.#lines++;
    this.#lastEol = eol;
  }

  #previewMore(text: string): void {
    this.#preview += text.slice(0, this.#limits.previewOctets - this.#preview.length);
  }

  #appendHeader(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (this.#headerLength + size > this.#limits.headerOctets) return; // past the limit: octets only
    if (this.#headerLength + size > this.#header.length) {
      const grown = new Uint8Array(Math.max(this.#headerLength + size, this.#header.length * 2));
      grown.set(this.#header.subarray(0, this.#headerLength));
      this.#header = grown;
    }
    this.#header.set(size === bytes.length ? bytes : bytes.subarray(start, end), this.#headerLength);
    this.#headerLength += size;
  }

  /** Handles a line that may be a boundary; true when it was one. */
  #boundary(bytes: Uint8Array, start: number, end: number, from: number): boolean {
    const level = this.#boundaryLevel(bytes, start, end);
    if (level < 0) return false;
    const open = this.#stack[level]!;
    const behind = start + open.boundary!.length;
    const closing = behind + 2 <= end && bytes[behind] === HYPHEN && bytes[behind + 1] === HYPHEN;
    if (this.#inHeader) this.#endHeader(from);
    this.#close(level + 1, from, this.#lastEol);
    if (closing) {
      open.boundary = null;
      this.#active--;
      this.#inHeader = false;
    } else if (this.#parts >= this.#limits.parts) {
      this.#inHeader = false; // one part too many: what follows is epilogue
    } else this.#beginHeader(this.#offset, null);
    return true;
  }

  /**
   * The multipart whose boundary the line begins with, whatever stands behind it (RFC 2046 5.1.1), or -1. One may be the
   * beginning of another: the line that is a boundary as a whole is that one's, else it is the longest's; of equal ones
   * the innermost.
   */
  #boundaryLevel(bytes: Uint8Array, start: number, end: number): number {
    let found = -1;
    let longest = 0;
    for (let level = this.#stack.length - 1; level >= 0; level--) {
      const boundary = this.#stack[level]!.boundary;
      if (boundary === null || boundary.length <= longest || boundary.length > end - start) continue;
      if (!startsWith(bytes, start, boundary)) continue;
      found = level;
      longest = boundary.length;
      if (endsLine(bytes, start + longest, end)) break;
    }
    return found;
  }

  #beginHeader(at: number, messageOf: MimePart | null): void {
    this.#inHeader = true;
    this.#headerStart = at;
    this.#headerLength = 0;
    this.#pendingMessageOf = messageOf;
  }

  /** The header block is complete; `at` is where the body begins. */
  #endHeader(at: number): void {
    const block = this.#header.subarray(0, this.#headerLength);
    const spans = scanFields(block, 0, block.length);
    const root = this.root === null;
    const fields = this.#onHeader(block, spans, root);
    const parent = this.#stack[this.#stack.length - 1]?.part ?? null;
    const owner = this.#pendingMessageOf;
    const digest = owner === null && parent?.type === "MULTIPART" &&
      parent.subtype.toUpperCase() === "DIGEST";
    const kind = contentTypeOf(fields.get("content-type"), digest);
    const boundaryText = kind.type === "MULTIPART" ? parameter(kind.parsed, "boundary") : null;
    const tooDeep = this.#stack.length >= this.#limits.depth;
    const container = kind.type === "MULTIPART";
    const message = kind.type === "MESSAGE" && /^(rfc822|global)$/i.test(kind.subtype);
    const enters = message && !tooDeep && this.#parts + 1 < this.#limits.parts &&
      isPlain(fields.get("content-transfer-encoding"));
    // What is not looked into may not be shown as what has parts: clients expect an ENVELOPE in message/rfc822.
    const unusable = container ? tooDeep || boundaryText === null || boundaryText === "" : message && !enters;
    const part: MimePart = {
      headerStart: this.#headerStart,
      headerEnd: at,
      bodyStart: at,
      bodyEnd: at,
      lines: 0,
      fields,
      contentType: unusable
        ? { value: "application/octet-stream", parameters: message ? kind.parsed.parameters : [] }
        : kind.parsed,
      type: unusable ? "APPLICATION" : kind.type,
      subtype: unusable ? "OCTET-STREAM" : kind.subtype,
      children: [],
      message: null,
    };
    this.#parts++;
    if (root) this.root = part;
    else if (owner !== null) owner.message = part;
    else parent?.children.push(part);
    const boundary = container && !unusable ? encodeLatin1(`--${boundaryText}`) : null;
    this.#stack.push({ part, boundary, linesBefore: this.#lines });
    if (boundary !== null) {
      this.#active++;
      this.#lineStart = Math.max(this.#lineStart, boundary.length + 2);
    }
    this.#inHeader = false;
    if (this.previewPart === null && part.type === "TEXT") this.previewPart = part;
    if (enters) this.#beginHeader(at, part);
  }

  /**
   * Closes the parts above `level`. The line end before a boundary (`eol` octets) belongs to the boundary, unless it
   * ends a header: then it is the part's, and that of all parts around it.
   */
  #close(level: number, at: number, eol: number): void {
    let inner = 0;
    while (this.#stack.length > level) {
      const { part, boundary, linesBefore } = this.#stack.pop()!;
      if (boundary !== null) this.#active--;
      const end = Math.max(part.bodyStart, at - eol, inner);
      inner = end;
      part.bodyEnd = end;
      part.lines = Math.max(
        0,
        this.#lines - linesBefore - (eol > 0 && end === at - eol && at > part.bodyStart ? 1 : 0),
      );
    }
  }
}

function startsWith(bytes: Uint8Array, start: number, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[start + i] !== prefix[i]) return false;
  return true;
}

/** RFC 2045 6.4 and RFC 2046 5.2.1: nothing else is allowed for what holds parts. */
function isPlain(encoding: string | undefined): boolean {
  return encoding === undefined || /^(?:7bit|8bit|binary|)$/i.test(encoding);
}

/** Nothing is left of a boundary's line but the hyphens of an end boundary and white space. */
function endsLine(bytes: Uint8Array, at: number, end: number): boolean {
  if (at + 1 < end && bytes[at] === HYPHEN && bytes[at + 1] === HYPHEN) at += 2;
  while (at < end && (bytes[at] === SP || bytes[at] === TAB || bytes[at] === CR || bytes[at] === LF)) at++;
  return at === end;
}

const TEXT_PLAIN: ParameterizedValue = { value: "text/plain", parameters: [["charset", "us-ascii"]] };

function contentTypeOf(
  value: string | undefined,
  digest: boolean,
): { parsed: ParameterizedValue; type: string; subtype: string } {
  if (value === undefined || value === "") {
    return digest
      ? { parsed: { value: "message/rfc822", parameters: [] }, type: "MESSAGE", subtype: "rfc822" }
      : { parsed: TEXT_PLAIN, type: "TEXT", subtype: "plain" };
  }
  const parsed = parseParameterized(value);
  const match = /^([!#$%&'*+.^_`{|}~A-Za-z0-9-]+)\s*\/\s*([!#$%&'*+.^_`{|}~A-Za-z0-9-]+)$/.exec(parsed.value);
  if (match === null) {
    // RFC 2045 5.2: what cannot be understood is text/plain; "text" alone is common in old mail.
    return /^[A-Za-z]+$/.test(parsed.value) && !/^text$/i.test(parsed.value)
      ? {
        parsed: { ...parsed, value: "application/octet-stream" },
        type: "APPLICATION",
        subtype: "octet-stream",
      }
      : { parsed: TEXT_PLAIN, type: "TEXT", subtype: "plain" };
  }
  return { parsed, type: match[1]!.toUpperCase(), subtype: match[2]! };
}

/** Values of the fields named in `wanted` (lower case), first occurrence each. */
export function pick(
  block: Uint8Array,
  spans: readonly FieldSpan[],
  wanted: ReadonlySet<string>,
): Map<string, string> {
  const fields = new Map<string, string>();
  const text = latin1(block);
  for (const { name, value, end } of spans) {
    if (wanted.has(name) && !fields.has(name)) fields.set(name, valueText(text, value, end));
  }
  return fields;
}
