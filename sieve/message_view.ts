/**
 * A message as scripts see it: header fields, MIME parts, decoded texts; each is worked out when a test first asks.
 *
 * The octets are borrowed and may end behind the header where no script looks at the body ({@linkcode Program.needsBody}).
 * Values of fields are unfolded, one character per octet; `text` is what people read. Pure. Limits:
 * {@linkcode MAX_FIELDS}, {@linkcode MAX_PART_OCTETS} of a part, {@linkcode MAX_PARTS}.
 */
import { latin1 } from "../bytes/decode.ts";
import { addressesOf, parseAddressList } from "../message/address.ts";
import { decodeText } from "../message/content.ts";
import { decodeHeaderText, decodeRaw } from "../message/encoded_word.ts";
import { fieldValue, scanFields } from "../message/header.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../message/mime_parser.ts";
import { withoutMarkup } from "../message/preview.ts";
import { parameter, type ParameterizedValue } from "../message/parameter.ts";

export const MAX_FIELDS = 10_000;
const MAX_PARTS = 1_000;
/** Octets of one part that are decoded and searched. */
export const MAX_PART_OCTETS = 1024 * 1024;

export interface Mailbox {
  readonly localPart: string;
  /** "" where the address has none. */
  readonly domain: string;
}

export class HeaderField {
  /** In lower case. */
  readonly name: string;
  readonly value: string;
  /** As it stands in the message, with its line end; null for a field that a script added. */
  readonly span: { readonly start: number; readonly end: number } | null;
  /** As it is written, for a field that a script added. */
  readonly written: string;
  #text: string | null;
  #mailboxes: readonly Mailbox[] | null;

  constructor(name: string, value: string, span: HeaderField["span"], written = name) {
    this.name = name;
    this.written = written;
    this.value = value;
    this.span = span;
    this.#text = null;
    this.#mailboxes = null;
  }

  get text(): string {
    return this.#text ??= decodeHeaderText(this.value);
  }

  /** All mailboxes of a list of addresses, groups opened. */
  get mailboxes(): readonly Mailbox[] {
    return this.#mailboxes ??= parseAddressList(this.value).flatMap((item) =>
      item.kind === "mailbox"
        ? [{ localPart: decodeRaw(item.localPart), domain: decodeRaw(item.domain) }]
        : []
    );
  }
}

export interface PartView {
  readonly fields: readonly HeaderField[];
  /** In lower case. */
  readonly type: string;
  readonly subtype: string;
  readonly contentType: ParameterizedValue;
  /** Those of a multipart, or the message inside. */
  readonly children: readonly PartView[];
  /** Decoded text, or octets as characters where it is no text. */
  text(): string;
  /** The same without marks of HTML. */
  plain(): string;
}

export interface MessageOptions {
  /** Of the whole message; left out: those given. */
  readonly sizeOctets?: number;
}

export class MessageView {
  readonly sizeOctets: number;
  readonly #octets: Uint8Array;
  #fields: HeaderField[] | null;
  #root: PartView | null;
  #rawBody: string | null;

  constructor(octets: Uint8Array, { sizeOctets = octets.length }: MessageOptions = {}) {
    this.#octets = octets;
    this.sizeOctets = sizeOctets;
    this.#fields = null;
    this.#root = null;
    this.#rawBody = null;
  }

  /** Of the message itself, in order. */
  get fields(): readonly HeaderField[] {
    return this.#fields ??= fieldsOf(this.#octets, 0, this.#octets.length);
  }

  /** The first address of a field; "" where there is none. */
  addressIn(name: string): string {
    const value = this.fields.find((field) => field.name === name)?.value;
    return value === undefined ? "" : addressesOf(value)[0] ?? "";
  }

  get root(): PartView {
    return this.#root ??= this.#parse();
  }

  /** A field as it stands in the message. */
  octetsOf({ start, end }: NonNullable<HeaderField["span"]>): Uint8Array {
    return this.#octets.subarray(start, end);
  }

  /** Everything behind the header, as it is. */
  rawBody(): string {
    return this.#rawBody ??= this.#readBody();
  }

  #readBody(): string {
    const { fields } = this;
    const last = fields[fields.length - 1]?.span?.end ?? 0;
    const octets = this.#octets;
    const blank = octets[last] === 0x0d ? 2 : octets[last] === 0x0a ? 1 : 0;
    const start = last + blank;
    return latin1(octets, start, Math.min(octets.length, start + MAX_PART_OCTETS));
  }

  #parse(): PartView {
    const parser = new MimeParser(
      { ...DEFAULT_MIME_LIMITS, parts: MAX_PARTS },
      (block, spans) => pick(block, spans, CONTENT_FIELDS),
    );
    parser.push(this.#octets, 0, this.#octets.length);
    return viewOf(this.#octets, parser.finish());
  }
}

const CONTENT_FIELDS: ReadonlySet<string> = new Set(["content-type", "content-transfer-encoding"]);

function fieldsOf(octets: Uint8Array, start: number, end: number): HeaderField[] {
  return scanFields(octets, start, end).slice(0, MAX_FIELDS).map((span) =>
    new HeaderField(span.name, fieldValue(octets, span), span)
  );
}

function viewOf(octets: Uint8Array, part: MimePart): PartView {
  const children = part.message === null ? part.children : [part.message];
  let fields: HeaderField[] | null = null;
  let text: string | null = null;
  let plain: string | null = null;
  const views = children.map((child) => viewOf(octets, child));
  return {
    get fields() {
      return fields ??= fieldsOf(octets, part.headerStart, part.headerEnd);
    },
    type: part.type.toLowerCase(),
    subtype: part.subtype.toLowerCase(),
    contentType: part.contentType,
    children: views,
    text: () => text ??= textOf(octets, part),
    plain() {
      if (part.subtype.toLowerCase() !== "html") return this.text();
      return plain ??= withoutMarkup(this.text());
    },
  };
}

function textOf(octets: Uint8Array, part: MimePart): string {
  const slice = (start: number, end: number) =>
    octets.subarray(start, Math.min(end, start + MAX_PART_OCTETS));
  // RFC 5173 5.2: of a multipart what stands around its parts, of a message its header.
  if (part.message !== null) return latin1(slice(part.message.headerStart, part.message.headerEnd));
  if (part.type === "MULTIPART") {
    const first = part.children[0]?.headerStart ?? part.bodyEnd;
    const last = part.children[part.children.length - 1]?.bodyEnd ?? part.bodyEnd;
    return latin1(slice(part.bodyStart, first)) + latin1(slice(last, part.bodyEnd));
  }
  const encoding = part.fields.get("content-transfer-encoding") ?? "";
  const charset = parameter(part.contentType, "charset") ?? "";
  return decodeText(slice(part.bodyStart, part.bodyEnd), { encoding, charset });
}

/** The part and all inside it, outermost first. */
export function* everyPart(part: PartView): Generator<PartView> {
  yield part;
  for (const child of part.children) yield* everyPart(child);
}
