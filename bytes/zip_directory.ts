/**
 * The entries of a zip file (APPNOTE 4.3, 4.5.3), from its central directory, or from its local headers where that is
 * broken. Nothing it says is believed: every offset and length is checked against the octets. Pure.
 */
import { latin1, utf8OrNull } from "./decode.ts";

export interface ZipEntry {
  readonly name: string;
  readonly encrypted: boolean;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  /** Its octets as packed; they may end before the file says. */
  readonly start: number;
  readonly end: number;
}

const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50;
const MAX_COMMENT = 65_535 + 22;
const MAX_NAME = 1_000;
const UNKNOWN = 0xffffffff;

/** At most `limit` entries; `more` when there are others. */
export function zipEntries(octets: Uint8Array, limit: number): { entries: ZipEntry[]; more: boolean } {
  const view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  const central = fromDirectory(octets, view, limit);
  return central !== null && central.entries.length > 0 ? central : fromLocalHeaders(octets, view, limit);
}

function fromDirectory(
  octets: Uint8Array,
  view: DataView,
  limit: number,
): { entries: ZipEntry[]; more: boolean } | null {
  const end = endRecord(view);
  if (end < 0) return null;
  const size = view.getUint32(end + 12, true);
  const stated = view.getUint32(end + 16, true);
  // A zip behind other octets: its offsets count from its own beginning. The directory ends before the end record.
  const at0 = stated !== UNKNOWN && signature(view, stated) === CENTRAL ? stated : end - size;
  const shift = stated === UNKNOWN || at0 === stated ? 0 : at0 - stated;
  const entries: ZipEntry[] = [];
  let at = at0;
  while (at >= 0 && at + 46 <= octets.length && view.getUint32(at, true) === CENTRAL) {
    if (entries.length >= limit) return { entries, more: true };
    const flags = view.getUint16(at + 8, true);
    const method = view.getUint16(at + 10, true);
    const [nameLength, extraLength, commentLength] = [28, 30, 32].map((field) =>
      view.getUint16(at + field, true)
    ) as [number, number, number];
    const extra = { at: at + 46 + nameLength, end: at + 46 + nameLength + extraLength };
    const sizes = wide(view, extra, [
      view.getUint32(at + 24, true),
      view.getUint32(at + 20, true),
      view.getUint32(at + 42, true),
    ]);
    const [, packed, offset] = sizes;
    const start = dataStart(view, offset + shift);
    if (start !== null) {
      entries.push({
        name: nameOf(octets, at + 46, nameLength),
        encrypted: (flags & 1) !== 0,
        method,
        start,
        end: Math.min(octets.length, start + packed),
      });
    }
    at = extra.end + commentLength;
  }
  return { entries, more: false };
}

/** In order of the file; where a size stands behind the data only, an entry ends where the next begins. */
function fromLocalHeaders(
  octets: Uint8Array,
  view: DataView,
  limit: number,
): { entries: ZipEntry[]; more: boolean } {
  const entries: ZipEntry[] = [];
  for (let at = nextLocal(octets, view, 0); at >= 0;) {
    if (entries.length >= limit) return { entries, more: true };
    const start = dataStart(view, at);
    if (start === null) break;
    const flags = view.getUint16(at + 6, true);
    const packed = view.getUint32(at + 18, true);
    const known = (flags & 8) === 0 && packed !== UNKNOWN;
    const next = nextLocal(octets, view, known ? Math.min(octets.length, start + packed) : start);
    entries.push({
      name: nameOf(octets, at + 30, view.getUint16(at + 26, true)),
      encrypted: (flags & 1) !== 0,
      method: view.getUint16(at + 8, true),
      start,
      end: known ? Math.min(octets.length, start + packed) : next < 0 ? octets.length : next,
    });
    at = next;
  }
  return { entries, more: false };
}

function endRecord(view: DataView): number {
  const last = view.byteLength - 22;
  for (let at = last; at >= 0 && at >= view.byteLength - MAX_COMMENT; at--) {
    if (view.getUint32(at, true) === END) return at;
  }
  return -1;
}

function nextLocal(octets: Uint8Array, view: DataView, from: number): number {
  for (let at = octets.indexOf(0x50, from); at >= 0; at = octets.indexOf(0x50, at + 1)) {
    if (at + 30 > octets.length) return -1;
    if (view.getUint32(at, true) === LOCAL) return at;
  }
  return -1;
}

function signature(view: DataView, at: number): number {
  return at + 4 <= view.byteLength ? view.getUint32(at, true) : 0;
}

/** Behind the local header at `at`; null where there is none. */
function dataStart(view: DataView, at: number): number | null {
  if (at < 0 || at + 30 > view.byteLength || view.getUint32(at, true) !== LOCAL) return null;
  const start = at + 30 + view.getUint16(at + 26, true) + view.getUint16(at + 28, true);
  return start <= view.byteLength ? start : null;
}

/** Zip64: numbers that do not fit stand in an extra field, in this order (4.5.3). */
function wide(
  view: DataView,
  { at, end }: { readonly at: number; readonly end: number },
  numbers: [number, number, number],
): [number, number, number] {
  if (!numbers.includes(UNKNOWN)) return numbers;
  for (let field = at; field + 4 <= Math.min(end, view.byteLength);) {
    const length = view.getUint16(field + 2, true);
    if (view.getUint16(field, true) === 1) {
      let value = field + 4;
      return numbers.map((number) => {
        if (number !== UNKNOWN || value + 8 > Math.min(field + 4 + length, view.byteLength)) return number;
        value += 8;
        return Number(view.getBigUint64(value - 8, true));
      }) as [number, number, number];
    }
    field += 4 + length;
  }
  return numbers;
}

function nameOf(octets: Uint8Array, at: number, length: number): string {
  const end = Math.min(octets.length, at + Math.min(length, MAX_NAME));
  return at >= end ? "" : utf8OrNull(octets, at, end) ?? latin1(octets, at, end);
}
