/**
 * What IMAP asks of a message again and again, computed once at delivery and kept in one column: ENVELOPE,
 * BODYSTRUCTURE and BODY as they go over the wire, and the offsets of the parts.
 *
 * Layout: u8 version, three u32 lengths (big-endian), the three texts, then the part table as JSON. Offsets count from
 * the first shared octet.
 */
import { encodeLatin1, latin1 } from "../bytes/decode.ts";
import { structureOf } from "./body_structure.ts";
import { envelope } from "./envelope.ts";
import { charsetOf, type MimePart } from "./mime_parser.ts";

const VERSION = 1;
const HEAD = 13;
const EMPTY_HEAD = " ".repeat(HEAD);

/** A part as BODY[...] needs it. */
export interface PartSpan {
  readonly headerStart: number;
  readonly headerEnd: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** Upper case, as in "TEXT/PLAIN". */
  readonly contentType: string;
  readonly encoding: string;
  readonly charset: string;
  readonly children: readonly PartSpan[];
  readonly message: PartSpan | null;
}

/** `[headerStart, headerEnd, bodyEnd, type, encoding, charset, children, message]`; a body begins where its header ends. */
type Row = [number, number, number, string, string, string, Row[], Row | null];

export function packImap(root: MimePart): Uint8Array {
  const { body, bodyStructure } = structureOf(root);
  const first = envelope(root.fields);
  const packed = encodeLatin1(EMPTY_HEAD + first + bodyStructure + body + JSON.stringify(toRow(root)));
  packed[0] = VERSION;
  putLength(packed, 1, first.length);
  putLength(packed, 5, bodyStructure.length);
  putLength(packed, 9, body.length);
  return packed;
}

function putLength(packed: Uint8Array, at: number, length: number): void {
  packed[at] = length >>> 24;
  packed[at + 1] = length >>> 16;
  packed[at + 2] = length >>> 8;
  packed[at + 3] = length;
}

export function envelopeOf(packed: Uint8Array): Uint8Array {
  return text(packed, 0);
}

export function bodyStructureOf(packed: Uint8Array): Uint8Array {
  return text(packed, 1);
}

export function bodyOf(packed: Uint8Array): Uint8Array {
  return text(packed, 2);
}

export function partsOf(packed: Uint8Array): PartSpan {
  return fromRow(JSON.parse(latin1(packed, start(packed, 3))) as Row);
}

function start(packed: Uint8Array, index: number): number {
  if (packed[0] !== VERSION) throw new Error(`packed structure of version ${packed[0]}, known is ${VERSION}`);
  const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
  let at = HEAD;
  for (let i = 0; i < index; i++) at += view.getUint32(1 + i * 4);
  return at;
}

function text(packed: Uint8Array, index: number): Uint8Array {
  const from = start(packed, index);
  const length = new DataView(packed.buffer, packed.byteOffset, packed.byteLength).getUint32(1 + index * 4);
  return packed.subarray(from, from + length);
}

function toRow(part: MimePart): Row {
  return [
    part.headerStart,
    part.headerEnd,
    part.bodyEnd,
    `${part.type}/${part.subtype.toUpperCase()}`,
    ascii(part.fields.get("content-transfer-encoding") ?? "").toUpperCase(),
    ascii(charsetOf(part)),
    part.children.map(toRow),
    part.message === null ? null : toRow(part.message),
  ];
}

/** The table is kept as one octet a character. */
function ascii(value: string): string {
  return value === "" ? "" : value.replace(/[^\x20-\x7e]/g, "?").slice(0, 100).trim();
}

function fromRow(row: Row): PartSpan {
  const [headerStart, headerEnd, bodyEnd, contentType, encoding, charset, children, message] = row;
  return {
    headerStart,
    headerEnd,
    bodyStart: headerEnd,
    bodyEnd,
    contentType,
    encoding,
    charset,
    children: children.map(fromRow),
    message: message === null ? null : fromRow(message),
  };
}
