/**
 * The format of blob segments: append-only files of records, each whole by itself.
 *
 * A segment is a 64-octet file header and records one after the other, each starting at a multiple of 8:
 *
 *     0  u32 magic        12  u32 salvage length
 *     4  u32 CRC of 8-31  16  u64 payload length
 *     8  u32 payload CRC  24  u32 salvage CRC     28  u32 zero
 *     32 payload, then the salvage header: JSON (UTF-8) with what is needed to file the message without a database
 *
 * All numbers are big-endian, checksums CRC-32. What follows the last whole record is not there: a torn tail. The file
 * header holds the sealed length once nothing more will be appended (0 before).
 */
import { crc32 } from "node:zlib";
import { shortLivedText } from "../bytes/arena.ts";
import { encode } from "../bytes/decode.ts";
import type { SalvageFacts } from "./store.ts";

export const FILE_HEADER_OCTETS = 64;
export const RECORD_HEADER_OCTETS = 32;
const FILE_MAGIC = "VRDSEG1\n";
const RECORD_MAGIC = 0x56524543;
const MAX_SALVAGE_OCTETS = 1024 * 1024;

export function segmentName(segment: number): string {
  return `${String(segment).padStart(8, "0")}.seg`;
}

/** The number of a segment file, or null for other files. */
export function segmentNumber(name: string): number | null {
  const match = /^(\d{8,})\.seg$/.exec(name);
  return match === null ? null : Number(match[1]);
}

export function fileHeader(sealedLength: number): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(FILE_HEADER_OCTETS);
  header.set(encode(FILE_MAGIC));
  new DataView(header.buffer).setBigUint64(8, BigInt(sealedLength));
  return header;
}

/** Sealed length of a file header; 0 when it is open, null when it is not a segment. */
export function sealedLength(header: Uint8Array): number | null {
  if (header.length < FILE_HEADER_OCTETS) return null;
  for (let i = 0; i < FILE_MAGIC.length; i++) if (header[i] !== FILE_MAGIC.charCodeAt(i)) return null;
  return Number(new DataView(header.buffer, header.byteOffset).getBigUint64(8));
}

export interface RecordHeader {
  readonly payloadLength: number;
  readonly payloadCrc: number;
  readonly salvageLength: number;
  readonly salvageCrc: number;
}

/** Of bytes/arena.ts. */
export function encodeSalvage(facts: SalvageFacts): Uint8Array<ArrayBuffer> {
  return shortLivedText(JSON.stringify(facts));
}

export function writeRecordHeader(into: Uint8Array, at: number, header: RecordHeader): void {
  const view = new DataView(into.buffer, into.byteOffset + at, RECORD_HEADER_OCTETS);
  view.setUint32(0, RECORD_MAGIC);
  view.setUint32(8, header.payloadCrc);
  view.setUint32(12, header.salvageLength);
  view.setBigUint64(16, BigInt(header.payloadLength));
  view.setUint32(24, header.salvageCrc);
  view.setUint32(28, 0);
  view.setUint32(4, crc32(into.subarray(at + 8, at + RECORD_HEADER_OCTETS)));
}

/** A record header, or null when the octets are none (the end of the records, or damage). */
export function readRecordHeader(bytes: Uint8Array): RecordHeader | null {
  if (bytes.length < RECORD_HEADER_OCTETS) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, RECORD_HEADER_OCTETS);
  if (view.getUint32(0) !== RECORD_MAGIC) return null;
  if (view.getUint32(4) !== crc32(bytes.subarray(8, RECORD_HEADER_OCTETS))) return null;
  const salvageLength = view.getUint32(12);
  if (salvageLength > MAX_SALVAGE_OCTETS) return null;
  return {
    payloadCrc: view.getUint32(8),
    salvageLength,
    payloadLength: Number(view.getBigUint64(16)),
    salvageCrc: view.getUint32(24),
  };
}

/** Octets a record takes in the file, padding included. */
export function recordOctets(payloadLength: number, salvageLength: number): number {
  return (RECORD_HEADER_OCTETS + payloadLength + salvageLength + 7) & ~7;
}

export interface ScannedRecord {
  /** Offset of the payload. */
  readonly offset: number;
  readonly header: RecordHeader;
  readonly salvage: SalvageFacts | null;
  readonly intact: boolean;
  /** Octets before it that are no record: it was found by its magic. 0 where it follows the one before. */
  readonly gapOctets: number;
}

/** Read in one go while a record is looked for; a multiple of 8. */
const SEARCH_OCTETS = 256 * 1024;

/**
 * Reads the records of a segment file in order. With `checkPayloads` every payload is read and its checksum compared;
 * a record that fails is yielded with `intact: false` and the scan goes on behind it. Where no record begins, the next
 * one is looked for by its magic at every multiple of 8. Returns where the records end.
 */
export function* scanSegment(
  file: Deno.FsFile,
  options: { checkPayloads: boolean },
): Generator<ScannedRecord, number> {
  const size = file.statSync().size;
  let end = FILE_HEADER_OCTETS;
  for (;;) {
    const at = findRecord(file, end, size);
    if (at === null) return end;
    const { start, header } = at;
    const offset = start + RECORD_HEADER_OCTETS;
    const salvageOctets = new Uint8Array(header.salvageLength);
    readAt(file, offset + header.payloadLength, salvageOctets);
    const salvage = crc32(salvageOctets) === header.salvageCrc ? parseSalvage(salvageOctets) : null;
    const payloadIntact = !options.checkPayloads ||
      payloadCrc(file, offset, header.payloadLength) === header.payloadCrc;
    yield { offset, header, salvage, intact: salvage !== null && payloadIntact, gapOctets: start - end };
    end = start + recordOctets(header.payloadLength, header.salvageLength);
  }
}

/** The first record header at or behind `from` whose record fits into the file. */
function findRecord(
  file: Deno.FsFile,
  from: number,
  size: number,
): { start: number; header: RecordHeader } | null {
  const first = new Uint8Array(RECORD_HEADER_OCTETS);
  let buffer = first;
  for (let at = from; at + RECORD_HEADER_OCTETS <= size;) {
    const count = readAt(file, at, buffer);
    const view = new DataView(buffer.buffer, 0, count);
    for (let i = 0; i + RECORD_HEADER_OCTETS <= count; i += 8) {
      if (view.getUint32(i) !== RECORD_MAGIC) continue;
      const header = readRecordHeader(buffer.subarray(i, i + RECORD_HEADER_OCTETS));
      const end = header === null
        ? Infinity
        : at + i + RECORD_HEADER_OCTETS + header.payloadLength + header.salvageLength;
      if (header !== null && end <= size) return { start: at + i, header };
    }
    if (count < RECORD_HEADER_OCTETS) return null;
    // The last header that would not fit whole is looked at again, at the start of the next piece.
    at += buffer === first ? 8 : (count - RECORD_HEADER_OCTETS + 8) & ~7;
    if (buffer === first) buffer = new Uint8Array(SEARCH_OCTETS);
  }
  return null;
}

/** Null when it is not what we write, whatever its checksum says. */
function parseSalvage(octets: Uint8Array): SalvageFacts | null {
  let facts: Partial<SalvageFacts>;
  try {
    facts = JSON.parse(new TextDecoder().decode(octets)) ?? {};
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
  const { accounts, mailbox, internalDate, traceId, sender, recipients } = facts;
  const strings = (list: unknown) => Array.isArray(list) && list.every((item) => typeof item === "string");
  const wellFormed = strings(accounts) && strings(recipients) && typeof mailbox === "string" &&
    typeof internalDate === "number" && typeof traceId === "string" && typeof sender === "string";
  return wellFormed ? facts as SalvageFacts : null;
}

/** CRC-32 of a span of a file, read in pieces. */
export function payloadCrc(file: Deno.FsFile, offset: number, length: number): number {
  const buffer = new Uint8Array(Math.min(length, 256 * 1024));
  let crc = 0;
  for (let done = 0; done < length;) {
    const span = buffer.subarray(0, Math.min(buffer.length, length - done));
    const count = readAt(file, offset + done, span);
    if (count === 0) return -1;
    crc = crc32(span.subarray(0, count), crc);
    done += count;
  }
  return crc;
}

/** Reads as much of `into` as the file has at `at`. */
export function readAt(file: Deno.FsFile, at: number, into: Uint8Array): number {
  file.seekSync(at, Deno.SeekMode.Start);
  let done = 0;
  while (done < into.length) {
    const count = file.readSync(done === 0 ? into : into.subarray(done));
    if (count === null) break;
    done += count;
  }
  return done;
}
