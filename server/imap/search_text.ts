/**
 * The text of a message as SEARCH compares it: decoded, without case.
 *
 * Encoded words, transfer encodings and charsets are undone (RFC 3501 6.4.4 asks for the charset; RFC 2047 words would
 * otherwise never be found). Text parts are searched, others are not; of a part only the first
 * {@linkcode MAX_PART_OCTETS} octets are.
 */
import { utf8OrNull } from "../../bytes/decode.ts";
import { decodeText } from "../../message/content.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
import { fieldValue, scanFields } from "../../message/header.ts";
import { partsOf, type PartSpan } from "../../message/packed.ts";
import type { BlobReader, MessageRow } from "../../storage/store.ts";

export const MAX_PART_OCTETS = 4 * 1024 * 1024;
/** Octets of all parts of one message. */
export const MAX_TEXT_OCTETS = 16 * 1024 * 1024;
const SYNC_OCTETS = 64 * 1024;

/** Folded texts of one message. */
export interface MessageText {
  /** True when some field of that name (lower case) contains the folded needle. */
  headerContains(field: string, needle: string): boolean;
  /** True when any line of the header does. */
  anyHeaderContains(needle: string): boolean;
  /** All text parts; null when only the header was read. */
  readonly body: string | null;
}

/** Without case, composed: what compares equal for a reader. */
export function fold(text: string): string {
  // deno-lint-ignore no-control-regex
  return /[^\x00-\x7f]/.test(text) ? text.normalize("NFC").toLowerCase() : text.toLowerCase();
}

/** A search string in UTF-8 or US-ASCII, folded; null when it is no UTF-8, which matches nothing. */
export function decodeNeedle(octets: Uint8Array): string | null {
  const text = utf8OrNull(octets);
  return text === null ? null : fold(text);
}

export async function readMessageText(
  blobs: BlobReader,
  row: MessageRow,
  scope: "header" | "all",
): Promise<MessageText> {
  const fields = headerTexts(await readBlock(blobs, row));
  const body = scope === "all" ? fold(await bodyText(blobs, row)) : null;
  return {
    body,
    headerContains: (name, needle) =>
      fields.some((field) => field.name === name && field.value.includes(needle)),
    anyHeaderContains: (needle) => fields.some(({ name, value }) => `${name}: ${value}`.includes(needle)),
  };
}

interface FieldText {
  readonly name: string;
  readonly value: string;
}

function headerTexts(block: Uint8Array): FieldText[] {
  return scanFields(block, 0, block.length).map((span) => ({
    name: span.name,
    value: fold(decodeHeaderText(fieldValue(block, span))),
  }));
}

async function readBlock(blobs: BlobReader, row: MessageRow): Promise<Uint8Array> {
  const shared = await read(blobs, row, { start: 0, end: row.headerOctets });
  if (row.prefix.length === 0) return shared;
  const block = new Uint8Array(row.prefix.length + shared.length);
  block.set(row.prefix);
  block.set(shared, row.prefix.length);
  return block;
}

async function bodyText(blobs: BlobReader, row: MessageRow): Promise<string> {
  const texts: string[] = [];
  let left = MAX_TEXT_OCTETS;
  const visit = async (part: PartSpan, embedded: boolean): Promise<void> => {
    if (embedded) {
      const block = await read(blobs, row, { start: part.headerStart, end: part.headerEnd });
      for (const { name, value } of headerTexts(block)) texts.push(`${name}: ${value}`);
    }
    for (const child of part.children) await visit(child, false);
    if (part.message !== null) return await visit(part.message, true);
    if (part.children.length > 0 || !part.contentType.startsWith("TEXT/") || left <= 0) return;
    const end = Math.min(part.bodyEnd, part.bodyStart + Math.min(left, MAX_PART_OCTETS));
    left -= end - part.bodyStart;
    texts.push(decodeText(await read(blobs, row, { start: part.bodyStart, end }), part));
  };
  await visit(partsOf(row.imap), false);
  return texts.join("\n");
}

async function read(
  blobs: BlobReader,
  row: MessageRow,
  { start, end }: { readonly start: number; readonly end: number },
): Promise<Uint8Array> {
  return end - start <= SYNC_OCTETS
    ? blobs.readSync(row.blob, start, end)
    : await blobs.read(row.blob, start, end);
}
