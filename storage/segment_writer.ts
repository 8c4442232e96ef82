/**
 * Appends records to this thread's own segment, and knows which of them are durable.
 *
 * An append is one write into preallocated space on the event loop. Records become durable with the write operation that
 * points at them: the writer syncs the segment before it commits (segment_sync.ts). A full segment is sealed when no
 * such operation is under way, by a sync of its own. After a failed write or sync a segment is given up: what points at
 * records of it that are not durable is refused, and a new one is opened.
 */
import { getLogger } from "@logtape/logtape";
import type { Files, SegmentFile } from "./files.ts";
import type { BlobAddress, WriteResult } from "./ops.ts";
import {
  FILE_HEADER_OCTETS,
  fileHeader,
  RECORD_HEADER_OCTETS,
  recordOctets,
  segmentName,
  segmentNumber,
  writeRecordHeader,
} from "./segment.ts";
import { StorageError } from "./store.ts";
import { crc32 } from "node:zlib";

export interface SegmentOptions {
  /** A segment is sealed and a new one begun beyond this size. */
  readonly maxOctets: number;
  /** Space is zero-filled ahead of the records in steps of this size. */
  readonly preallocateOctets: number;
}

export const DEFAULT_SEGMENT_OPTIONS: SegmentOptions = {
  maxOctets: 64 * 1024 * 1024,
  preallocateOctets: 512 * 1024,
};

const log = getLogger(["veredus", "storage"]);
interface OpenSegment {
  readonly number: number;
  readonly file: SegmentFile;
  /** Where the next record goes. */
  end: number;
  /** Zero-filled up to here. */
  filled: number;
  /** Records that begin before it are on stable storage. */
  durable: number;
  /** Write operations under way that wait for its sync. */
  waiting: number;
  /** Nothing more is appended; it is sealed when nothing waits. */
  full: boolean;
  /** Never rejects. */
  sealing: Promise<void> | null;
  /** After a failed write or sync: nothing of it becomes durable any more. */
  abandoned: boolean;
}

export class SegmentWriter {
  #folder: string;
  #files: Files;
  #options: SegmentOptions;
  #current: OpenSegment | null = null;
  /** Those that are not sealed, and those that were given up. */
  #open = new Map<number, OpenSegment>();
  #scratch = new Uint8Array(64 * 1024);
  #zeros = new Uint8Array(0);

  constructor(folder: string, files: Files, options: SegmentOptions) {
    this.#folder = folder;
    this.#files = files;
    this.#options = options;
  }

  /** Opens the first segment, so that the first delivery does not wait for it. */
  open(): void {
    this.#segment(0);
  }

  /** Appends one record, which is not durable yet. Throws StorageError when the disk refuses. */
  append(payload: Uint8Array, salvage: Uint8Array): BlobAddress {
    const size = recordOctets(payload.length, salvage.length);
    const segment = this.#segment(size);
    this.#prefill(segment, size);
    const record = this.#buffer(size);
    writeRecordHeader(record, 0, {
      payloadLength: payload.length,
      payloadCrc: crc32(payload),
      salvageLength: salvage.length,
      salvageCrc: crc32(salvage),
    });
    record.set(payload, RECORD_HEADER_OCTETS);
    record.set(salvage, RECORD_HEADER_OCTETS + payload.length);
    record.fill(0, RECORD_HEADER_OCTETS + payload.length + salvage.length, size);
    try {
      segment.file.writeSync(record, segment.end);
    } catch (cause) {
      // What was written may be half a record: nothing may follow it in this segment.
      this.#abandon(segment);
      throw storageError("write", this.#path(segment.number), cause);
    }
    const blob = {
      segment: segment.number,
      offset: segment.end + RECORD_HEADER_OCTETS,
      length: payload.length,
    };
    segment.end += size;
    return blob;
  }

  /**
   * Submits a write operation that points at these records, with the segments the writer has to sync before it commits,
   * and learns from the result what is durable now. Records of other threads' segments are theirs.
   */
  async cover(
    blobs: readonly BlobAddress[],
    submit: (segments: readonly number[]) => Promise<WriteResult>,
  ): Promise<WriteResult> {
    const covered = new Map<OpenSegment, number>();
    for (const { segment: number, offset } of blobs) {
      const segment = this.#open.get(number);
      if (segment === undefined || offset < segment.durable) continue;
      if (segment.sealing !== null) await segment.sealing;
      if (segment.abandoned) {
        return { ok: false, fault: "unsynced", detail: `segment ${number} was given up` };
      }
      if (offset >= segment.durable) covered.set(segment, segment.end);
    }
    if (covered.size === 0) return await submit([]);
    for (const segment of covered.keys()) segment.waiting++;
    let result: WriteResult | null = null;
    try {
      return result = await submit([...covered.keys()].map(({ number }) => number));
    } finally {
      for (const [segment, end] of covered) this.#settle(segment, { end, result });
    }
  }

  #settle(segment: OpenSegment, { end, result }: { end: number; result: WriteResult | null }): void {
    segment.waiting--;
    if (result?.ok) segment.durable = Math.max(segment.durable, end);
    else if (result?.fault === "unsynced") this.#abandon(segment);
    if (segment.full) this.#seal(segment);
  }

  /** Makes everything appended durable by itself, for whoever uses no writer for it. Rejects with StorageError. */
  async sync(): Promise<void> {
    for (const segment of [...this.#open.values()]) {
      const { end } = segment;
      if (end <= segment.durable) continue;
      if (segment.sealing !== null) await segment.sealing;
      else {
        try {
          await segment.file.sync();
        } catch (cause) {
          this.#abandon(segment);
          throw storageError("sync", this.#path(segment.number), cause);
        }
        segment.durable = end;
      }
      if (segment.abandoned) {
        throw new StorageError(`segment ${segment.number} was given up`, { full: false });
      }
    }
  }

  /** A new segment for one large record; the caller writes and seals it. */
  create(): { number: number; file: SegmentFile } {
    for (let number = this.#highest() + 1;; number++) {
      let file: SegmentFile | null = null;
      try {
        file = this.#files.create(this.#path(number));
        file.writeSync(fileHeader(0), 0);
        return { number, file };
      } catch (cause) {
        if (file === null && cause instanceof Deno.errors.AlreadyExists) continue;
        file?.close();
        if (file !== null) this.remove(number);
        throw storageError("create", this.#path(number), cause);
      }
    }
  }

  /** Makes names in the folder of segments durable; before the first use of a new one. */
  syncFolder(): void {
    try {
      this.#files.syncDirectory(this.#folder);
    } catch (cause) {
      throw storageError("sync", this.#folder, cause);
    }
  }

  remove(number: number): void {
    try {
      Deno.removeSync(this.#path(number));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error; // removed before: what we want
    }
  }

  /** Seals and closes the segment, once the writes under way have their answers. Rejects with StorageError. */
  async close(): Promise<void> {
    const segment = this.#current;
    this.#current = null;
    if (segment === null) return;
    segment.full = true;
    this.#seal(segment);
    while (segment.sealing === null && !segment.abandoned) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await segment.sealing;
    if (segment.abandoned) throw new StorageError(`segment ${segment.number} was given up`, { full: false });
  }

  #path(number: number): string {
    return `${this.#folder}/${segmentName(number)}`;
  }

  #highest(): number {
    let highest = this.#current?.number ?? 0;
    for (const entry of Deno.readDirSync(this.#folder)) {
      highest = Math.max(highest, segmentNumber(entry.name) ?? 0);
    }
    return highest;
  }

  #segment(size: number): OpenSegment {
    const current = this.#current;
    if (
      current !== null &&
      (current.end + size <= this.#options.maxOctets || current.end === FILE_HEADER_OCTETS)
    ) {
      return current;
    }
    const { number, file } = this.create();
    try {
      this.syncFolder();
    } catch (error) {
      file.close();
      throw error;
    }
    const segment = {
      number,
      file,
      end: FILE_HEADER_OCTETS,
      filled: FILE_HEADER_OCTETS,
      durable: FILE_HEADER_OCTETS,
      waiting: 0,
      full: false,
      sealing: null,
      abandoned: false,
    };
    this.#current = segment;
    this.#open.set(number, segment);
    if (current !== null) {
      current.full = true;
      this.#seal(current);
    }
    return segment;
  }

  /** Keeps zero-filled space ahead: a write into it needs no new blocks and its sync no journal commit. */
  #prefill(segment: OpenSegment, size: number): void {
    const step = this.#options.preallocateOctets;
    if (segment.end + size <= segment.filled || step === 0) return;
    if (this.#zeros.length !== step) this.#zeros = new Uint8Array(step);
    try {
      segment.file.writeSync(this.#zeros, segment.end);
      segment.filled = segment.end + step;
    } catch (error) {
      log.warn("preallocating {path} failed: {error}", {
        path: this.#path(segment.number),
        error: String(error),
      });
    }
  }

  #buffer(size: number): Uint8Array {
    if (this.#scratch.length < size) this.#scratch = new Uint8Array(size * 2);
    return this.#scratch.subarray(0, size);
  }

  #abandon(segment: OpenSegment): void {
    if (segment.abandoned) return;
    segment.abandoned = true;
    log.error("segment {path} is given up after a failed write or sync", {
      path: this.#path(segment.number),
    });
    if (this.#current === segment) this.#current = null;
    segment.file.close();
  }

  #seal(segment: OpenSegment): void {
    if (segment.waiting > 0 || segment.sealing !== null || segment.abandoned) return;
    segment.sealing = this.#sealed(segment).catch((cause) => {
      log.error("sealing failed: {error}", { error: cause });
      this.#abandon(segment);
    });
  }

  async #sealed(segment: OpenSegment): Promise<void> {
    segment.file.truncate(segment.end);
    await segment.file.sync();
    segment.durable = segment.end;
    segment.file.writeSync(fileHeader(segment.end), 0);
    await segment.file.sync();
    segment.file.close();
    this.#open.delete(segment.number);
  }
}

export function storageError(verb: string, path: string, cause: unknown): StorageError {
  const full = cause instanceof Error && /No space left|ENOSPC|quota exceeded|EDQUOT/i.test(cause.message);
  return new StorageError(`cannot ${verb} ${path}: ${cause instanceof Error ? cause.message : cause}`, {
    full,
    cause,
  });
}
