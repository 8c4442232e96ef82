/**
 * What BODY[section] means in octets (RFC 3501 6.4.5): spans of the stored record, plus what must be computed.
 *
 * A message is the prefix of its row (lines of its own) and the shared octets behind it. Spans are offsets into the
 * shared octets; the prefix belongs to the header of the whole message.
 */
import { shortLived } from "../../bytes/arena.ts";
import { headerFields } from "../../message/header_section.ts";
import { partsOf, type PartSpan } from "../../message/packed.ts";
import type { Section } from "../../protocols/imap/fetch_plan.ts";
import type { KnownRow } from "../../storage/known_rows.ts";
import type { MessageRow } from "../../storage/messages.ts";
import type { Store } from "../../storage/store.ts";

/** Octets `[start, end)` of the stored record. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** A piece of a response: text, octets at hand, or octets still on disk. */
export type Part = string | Uint8Array | Span;

type Readers = Pick<Store, "blobs" | "messages">;
type Content = readonly (Uint8Array | Span)[];

/**
 * The content of a section; null (NIL) when the message has no such part. An empty list is an empty string.
 * Throws StorageError when a header that must be filtered cannot be read.
 */
export function sectionParts(
  store: Readers,
  row: MessageRow | KnownRow,
  section: Section,
): Content | null {
  if (section.part.length === 0) return wholeMessage(store, row, section);
  const part = findPart(partsOf(row.imap), section.part);
  if (part === null) return null;
  const { message } = part;
  switch (section.text) {
    case "":
      return [{ start: part.bodyStart, end: part.bodyEnd }];
    case "MIME":
      // The header of a message of one part carries the prefix lines like every header of the whole message.
      return part.headerStart === 0 ? header(row) : [{ start: part.headerStart, end: part.headerEnd }];
    case "HEADER":
      return message === null ? null : [{ start: message.headerStart, end: message.headerEnd }];
    case "TEXT":
      return message === null ? null : [{ start: message.bodyStart, end: message.bodyEnd }];
    case "HEADER.FIELDS":
    case "HEADER.FIELDS.NOT": {
      if (message === null) return null;
      const block = store.blobs.readSync(row.blob, message.headerStart, message.headerEnd);
      return [headerFields(block, section.fields, { not: section.text === "HEADER.FIELDS.NOT" })];
    }
    default:
      return section.text satisfies never;
  }
}

function wholeMessage(
  store: Readers,
  row: MessageRow | KnownRow,
  section: Section,
): Content | null {
  const { length } = row.blob;
  switch (section.text) {
    case "":
      return withPrefix(row, { start: 0, end: length });
    case "HEADER":
    case "MIME":
      return header(row);
    case "TEXT":
      return [{ start: row.headerOctets, end: length }];
    case "HEADER.FIELDS":
    case "HEADER.FIELDS.NOT": {
      const block = headerBlock(store, row);
      return [headerFields(block, section.fields, { not: section.text === "HEADER.FIELDS.NOT" })];
    }
    default:
      return section.text satisfies never;
  }
}

function header(row: MessageRow): Content {
  return withPrefix(row, { start: 0, end: row.headerOctets });
}

function withPrefix(row: MessageRow, span: Span): Content {
  return row.prefix.length === 0 ? [span] : [row.prefix, span];
}

/** The whole header of a message, prefix included, in memory. Not to be written to. */
function headerBlock({ blobs, messages }: Readers, row: MessageRow | KnownRow): Uint8Array {
  if ("header" in row && row.header !== null) return row.header;
  const { prefix, headerOctets } = row;
  const size = prefix.length + headerOctets;
  // A header that may be kept has memory of its own.
  const block = "header" in row ? new Uint8Array(size) : shortLived(size);
  block.set(prefix);
  blobs.readIntoSync(row.blob, { start: 0, end: headerOctets }, block, prefix.length);
  if ("header" in row) messages.keepHeader(row, block);
  return block;
}

/**
 * The part of these numbers. Numbers count the parts of a multipart; a message that is none has one part, itself;
 * inside message/rfc822 they go on in the message it holds.
 */
export function findPart(root: PartSpan, numbers: readonly number[]): PartSpan | null {
  let part: PartSpan | null = null;
  let container: PartSpan | null = root;
  let isMessage = true;
  for (const number of numbers) {
    if (container === null) return null;
    if (container.children.length > 0) part = container.children[number - 1] ?? null;
    else if (number !== 1) part = null;
    else if (container.contentType.startsWith("MULTIPART/")) part = emptyPart(container);
    else part = isMessage ? container : null;
    if (part === null) return null;
    isMessage = part.message !== null;
    const inside: boolean = part !== container && part.contentType.startsWith("MULTIPART/");
    container = part.message ?? (inside ? part : null);
  }
  return part;
}

/** What stands in BODYSTRUCTURE for a multipart without any part (message/body_structure.ts): a text of no octets. */
function emptyPart({ bodyEnd }: PartSpan): PartSpan {
  const nowhere = { headerStart: bodyEnd, headerEnd: bodyEnd, bodyStart: bodyEnd, bodyEnd };
  const text = { contentType: "TEXT/PLAIN", encoding: "", charset: "", children: [], message: null };
  return { ...nowhere, ...text };
}
