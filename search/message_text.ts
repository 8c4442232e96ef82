/**
 * The text of a message as it is searched: decoded, without case as a comparator has it (RFC 5255 4.6; the index by
 * i;unicode-casemap, which finds whatever another finds). The scan and the index read the same text, or the
 * index would rule out what the scan finds: who changes it raises TEXT_VERSION.
 *
 * Encoded words, transfer encodings and charsets are undone (RFC 3501 6.4.4 asks for the charset; RFC 2047 words would
 * otherwise never be found). Of the parts the text is searched, and of all others their names; of a part only the first
 * {@linkcode MAX_PART_OCTETS} octets are. What stands in files that are attached is not read here: the index holds it
 * (attachment_pass.ts), or a search reads it (attached_files.ts).
 */
import { unicodeCasemap } from "../bytes/casemap.ts";
import { utf8OrNull } from "../bytes/decode.ts";
import { decodeText, decodeTransferEncoding } from "../message/content.ts";
import { decodeHeaderText } from "../message/encoded_word.ts";
import { type FieldSpan, fieldValue, scanFields } from "../message/header.ts";
import { htmlText } from "../message/html_text.ts";
import { partsOf, type PartSpan } from "../message/packed.ts";
import { parameter, parseParameterized } from "../message/parameter.ts";
import type { MessageRow } from "../storage/messages.ts";
import type { BlobReader } from "../storage/store.ts";
import { mayHaveText } from "./extract/file_kind.ts";
import { wordsOf } from "./words.ts";

/** Raised whenever the same octets give another text than before: indexes of other versions are made again. */
export const TEXT_VERSION = 5;
export const MAX_PART_OCTETS = 4 * 1024 * 1024;
/** Octets of all parts of one message. */
const MAX_TEXT_OCTETS = 16 * 1024 * 1024;
const SYNC_OCTETS = 64 * 1024;
/** Transfer encodings that leave the octets as they are (RFC 2045 6.2). */
const UNENCODED: ReadonlySet<string> = new Set(["", "7bit", "8bit", "binary"]);

/** Fields whose words a fuzzy search of TEXT looks at; the others are for machines. */
export const WORD_FIELDS: ReadonlySet<string> = new Set([
  "bcc",
  "cc",
  "comments",
  "from",
  "keywords",
  "list-id",
  "organization",
  "reply-to",
  "sender",
  "subject",
  "to",
]);

/** One field of a header, folded. */
export interface FieldText {
  readonly name: string;
  readonly value: string;
}

/** Folded texts of one message. */
export class MessageText {
  readonly fields: readonly FieldText[];
  /** All text parts and the names of the others; null when only the header was read. */
  readonly body: string | null;
  /** Attached files that may have text of their own, which is not part of the body yet. */
  readonly files: readonly AttachedFile[];
  #parts: readonly BodyPart[];
  #casemap: Casemap;
  #bodyWords: ReadonlySet<string> | null;

  constructor(fields: readonly FieldText[], body: BodyTexts | null, casemap: Casemap) {
    this.fields = fields;
    this.body = body === null ? null : casemap(body.parts.map(({ text }) => text).join("\n"));
    this.files = body?.files ?? [];
    this.#parts = body?.parts ?? [];
    this.#casemap = casemap;
    this.#bodyWords = null;
  }

  /** With what stands in its attached files, "" where nothing does. */
  withAttached(text: string): MessageText {
    const parts = text === "" ? this.#parts : [...this.#parts, { text, html: false }];
    return new MessageText(this.fields, { parts, files: [] }, this.#casemap);
  }

  /** Nothing that counts is still to be read. */
  get whole(): boolean {
    return this.body !== null && this.files.length === 0;
  }

  /** True when some field of that name (lower case) contains the folded needle. */
  headerContains(field: string, needle: string): boolean {
    return this.fields.some(({ name, value }) => name === field && value.includes(needle));
  }

  /** True when any line of the header does. */
  anyHeaderContains(needle: string): boolean {
    return this.fields.some((field) => lineOf(field).includes(needle));
  }

  /** What a key looks into, piece by piece. */
  *piecesFor(
    key: { readonly kind: "header"; readonly field: string } | { readonly kind: "body" | "text" },
  ): Generator<
    string
  > {
    if (key.kind === "header") {
      for (const { name, value } of this.fields) if (name === key.field) yield value;
      return;
    }
    if (key.kind === "text") { for (const field of this.fields) yield lineOf(field); }
    if (this.body !== null) yield this.body;
  }

  /** All lines of the header: where no line contains a needle, this does not either. */
  get header(): string {
    return this.fields.map(lineOf).join("\n");
  }

  /** What an index takes of it: well-formed, words once each. */
  forIndex(): DocumentText {
    return {
      header: this.header.toWellFormed(),
      body: (this.body ?? "").toWellFormed(),
      words: [...this.fieldWords(null).union(this.bodyWords())].join(" ").toWellFormed(),
    };
  }

  /** Words of the fields of that name; null for those people read (WORD_FIELDS). */
  fieldWords(field: string | null): Set<string> {
    const words = new Set<string>();
    for (const { name, value } of this.fields) {
      if (field === null ? WORD_FIELDS.has(name) : name === field) wordsOf(value, words);
    }
    return words;
  }

  /** Words of the body as a reader sees it. */
  bodyWords(): ReadonlySet<string> {
    if (this.#bodyWords !== null) return this.#bodyWords;
    const words = new Set<string>();
    for (const { text, html } of this.#parts) wordsOf(html ? htmlText(text) : text, words);
    return this.#bodyWords = words;
  }
}

/** What is indexed of one message. */
export interface DocumentText {
  readonly header: string;
  readonly body: string;
  readonly words: string;
}

interface BodyPart {
  readonly text: string;
  readonly html: boolean;
}

interface BodyTexts {
  readonly parts: readonly BodyPart[];
  readonly files: readonly AttachedFile[];
}

/** An attachment by where it lies in the shared octets of a message. */
export interface AttachedFile {
  /** Null: it has none. */
  readonly name: string | null;
  readonly encoding: string;
  readonly start: number;
  readonly end: number;
}

/** The key of a comparator: texts that compare equal have the same (bytes/casemap.ts). */
export type Casemap = (text: string) => string;

/** A search string in UTF-8 or US-ASCII, folded; null when it is no UTF-8, which matches nothing. */
export function decodeNeedle(octets: Uint8Array, casemap: Casemap = unicodeCasemap): string | null {
  const text = utf8OrNull(octets);
  return text === null ? null : casemap(text);
}

export async function readMessageText(
  blobs: BlobReader,
  row: MessageRow,
  scope: "header" | "all",
  casemap: Casemap = unicodeCasemap,
): Promise<MessageText> {
  const header = await readBlock(blobs, row);
  const body = scope === "all" ? await bodyTexts(blobs, row, { header, octets: MAX_TEXT_OCTETS }) : null;
  return new MessageText(headerTexts(header, casemap), body, casemap);
}

/** The attached files of a message whose own text is not wanted. */
export async function filesOf(blobs: BlobReader, row: MessageRow): Promise<readonly AttachedFile[]> {
  return (await bodyTexts(blobs, row, { header: await readBlock(blobs, row), octets: 0 })).files;
}

/** The octets of an attached file, decoded. */
export async function readFile(
  blobs: BlobReader,
  row: Pick<MessageRow, "blob">,
  { start, end, encoding }: AttachedFile,
): Promise<Uint8Array> {
  return decodeTransferEncoding(await read(blobs, row, { start, end }), encoding);
}

/**
 * At least so many characters has the text of a message, as its structure tells: a character takes four octets at most, but
 * for a charset that shifts behind each one.
 */
export function leastCharacters(row: Pick<MessageRow, "imap">): number {
  const octets = (part: PartSpan): number => {
    const below = part.children.reduce((sum, child) => sum + octets(child), 0);
    if (part.message !== null) return octets(part.message);
    const whole = part.children.length === 0 && part.contentType.startsWith("TEXT/") &&
      UNENCODED.has(part.encoding.toLowerCase());
    return below + (whole ? Math.min(MAX_PART_OCTETS, part.bodyEnd - part.bodyStart) : 0);
  };
  return Math.min(MAX_TEXT_OCTETS, octets(partsOf(row.imap))) / 4;
}

/** Of a header, or of the fields of it that are looked at. */
export function headerText(block: Uint8Array, casemap: Casemap): MessageText {
  return new MessageText(headerTexts(block, casemap), null, casemap);
}

/** As a whole line, folded like its value: every comparator of ours folds ASCII to upper case. */
function lineOf({ name, value }: FieldText): string {
  return `${name.toUpperCase()}: ${value}`;
}

function headerTexts(block: Uint8Array, casemap: Casemap): FieldText[] {
  return scanFields(block, 0, block.length).map((span) => new FieldOfBlock(block, span, casemap));
}

/** What is folded with the text around it. */
const AS_IT_IS: Casemap = (text) => text;

/** Most searches look at one field of a header: the others are never decoded. */
class FieldOfBlock implements FieldText {
  readonly name: string;
  #block: Uint8Array;
  #span: FieldSpan;
  #casemap: Casemap;
  #value: string | null;

  constructor(block: Uint8Array, span: FieldSpan, casemap: Casemap) {
    this.name = span.name;
    this.#block = block;
    this.#span = span;
    this.#casemap = casemap;
    this.#value = null;
  }

  get value(): string {
    return this.#value ??= this.#casemap(decodeHeaderText(fieldValue(this.#block, this.#span)));
  }
}

async function readBlock(blobs: BlobReader, row: MessageRow): Promise<Uint8Array> {
  const shared = await read(blobs, row, { start: 0, end: row.headerOctets });
  if (row.prefix.length === 0) return shared;
  const block = new Uint8Array(row.prefix.length + shared.length);
  block.set(row.prefix);
  block.set(shared, row.prefix.length);
  return block;
}

/** `header` is that of the message; at most so many octets of its text are read. */
async function bodyTexts(
  blobs: BlobReader,
  row: MessageRow,
  { header, octets }: { readonly header: Uint8Array; readonly octets: number },
): Promise<BodyTexts> {
  const parts: BodyPart[] = [];
  const files: AttachedFile[] = [];
  let left = octets;
  const plain = (text: string) => parts.push({ text, html: false });
  const visit = async (part: PartSpan, embedded: boolean): Promise<void> => {
    const block = part.headerStart === 0 && !embedded
      ? null // the header of the message itself
      : await read(blobs, row, { start: part.headerStart, end: part.headerEnd });
    if (block !== null && embedded) {
      for (const field of headerTexts(block, AS_IT_IS)) {
        plain(lineOf(field));
      }
    }
    for (const child of part.children) await visit(child, false);
    if (part.message !== null) return await visit(part.message, true);
    if (part.children.length > 0) return;
    const name = block === null ? null : fileName(block);
    if (name !== null) plain(name);
    const fileOf = block === null && !part.contentType.startsWith("TEXT/") ? fileName(header) : name;
    if (mayHaveText(part.contentType, fileOf)) {
      files.push({ name: fileOf, encoding: part.encoding, start: part.bodyStart, end: part.bodyEnd });
    }
    if (!part.contentType.startsWith("TEXT/") || left <= 0) return;
    const end = Math.min(part.bodyEnd, part.bodyStart + Math.min(left, MAX_PART_OCTETS));
    left -= end - part.bodyStart;
    parts.push({
      text: decodeText(await read(blobs, row, { start: part.bodyStart, end }), part),
      html: part.contentType === "TEXT/HTML",
    });
  };
  await visit(partsOf(row.imap), false);
  return { parts, files };
}

/** The name a part would be saved under (RFC 2183 2.3; the name parameter of Content-Type where that is missing). */
function fileName(block: Uint8Array): string | null {
  const values = new Map(
    scanFields(block, 0, block.length).map((span) => [span.name, fieldValue(block, span)]),
  );
  for (const [field, name] of [["content-disposition", "filename"], ["content-type", "name"]] as const) {
    const value = values.get(field);
    const given = value === undefined ? null : parameter(parseParameterized(value), name);
    if (given !== null && given !== "") return given;
  }
  return null;
}

async function read(
  blobs: BlobReader,
  row: Pick<MessageRow, "blob">,
  { start, end }: { readonly start: number; readonly end: number },
): Promise<Uint8Array> {
  return end - start <= SYNC_OCTETS
    ? blobs.readSync(row.blob, start, end)
    : await blobs.read(row.blob, start, end);
}
