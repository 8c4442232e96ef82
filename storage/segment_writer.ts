/**
 * Appends records to this thread's own segment and makes them durable in groups.
 *
 * An append is one write into preallocated space on the event loop; the fdatasync runs beside it, and everything
 * appended while one runs is covered by the next. After a failed sync the segment is given up: its waiting records
 * are refused and a new segment is opened, because what the kernel dropped once it will call clean the next time.
 */
import { getLogger } from "@logtape/logtape";
import { histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import type { Files, SegmentFile } from "./files.ts";
import type { BlobAddress } from "./ops.ts";
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
import { setImmediate } from "node:timers";
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
const syncSeconds = histogram("veredus_segment_sync_seconds", "Time of one fdatasync of a blob segment", {
  buckets: SECONDS_BUCKETS,
});

interface OpenSegment {
  readonly number: number;
  readonly file: SegmentFile;
  /** Where the next record goes. */
  end: number;
  /** Zero-filled up to here. */
  filled: number;
  /** Nothing more is appended; its next sync seals it. */
  full: boolean;
  /** After a failed write or sync: nothing in it is acknowledged any more. */
  abandoned: boolean;
}

interface Batch {
  readonly segments: Set<OpenSegment>;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class SegmentWriter {
  #folder: string;
  #files: Files;
  #options: SegmentOptions;
  #current: OpenSegment | null = null;
  #running: Promise<void> | null = null;
  #next: Batch | null = null;
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

  /** Appends one record; `durable` resolves after the sync that covers it. Throws StorageError when the disk refuses. */
  append(payload: Uint8Array, salvage: Uint8Array): { blob: BlobAddress; durable: Promise<void> } {
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
    return { blob, durable: this.#sync(segment) };
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

  /** Waits for what is on its way, seals and closes the segment. */
  async close(): Promise<void> {
    const segment = this.#current;
    this.#current = null;
    if (segment === null) return;
    segment.full = true;
    await this.#sync(segment);
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
      full: false,
      abandoned: false,
    };
    this.#current = segment;
    if (current !== null) {
      current.full = true;
      this.#sync(current).catch(() => {}); // whoever waits for a record in it hears of a failure
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

  #sync(segment: OpenSegment): Promise<void> {
    if (this.#next === null) {
      this.#next = { segments: new Set(), ...Promise.withResolvers<void>() };
      this.#next.promise.catch(() => {}); // every append awaits it; this only keeps it from counting as unhandled
      if (this.#running === null) setImmediate(() => this.#run());
    }
    this.#next.segments.add(segment);
    return this.#next.promise;
  }

  #run(): void {
    const batch = this.#next;
    if (batch === null || this.#running !== null) return;
    this.#next = null;
    const begin = performance.now();
    this.#running = Promise.all([...batch.segments].map((segment) => this.#syncOne(segment))).then(() => {
      syncSeconds.observe((performance.now() - begin) / 1000);
      batch.resolve();
    }, batch.reject).finally(() => {
      this.#running = null;
      this.#run();
    });
  }

  async #syncOne(segment: OpenSegment): Promise<void> {
    try {
      if (segment.full) await this.#seal(segment);
      else await segment.file.sync();
      // A write may have failed meanwhile; it closed the file, and nobody can say what this sync covered.
      if (segment.abandoned) throw new Error("the segment was given up");
    } catch (cause) {
      this.#abandon(segment);
      throw storageError("sync", this.#path(segment.number), cause);
    }
  }

  #abandon(segment: OpenSegment): void {
    if (segment.abandoned) return;
    segment.abandoned = true;
    log.error("segment {path} is given up after a failed write or sync", {
      path: this.#path(segment.number),
    });
    if (this.#current === segment) this.#current = null;
    if (this.#next?.segments.has(segment)) {
      this.#next.reject(new StorageError(`segment ${segment.number} was given up`, { full: false }));
      this.#next = null;
    }
    segment.file.close();
  }

  async #seal(segment: OpenSegment): Promise<void> {
    segment.file.truncate(segment.end);
    await segment.file.sync();
    segment.file.writeSync(fileHeader(segment.end), 0);
    await segment.file.sync();
    segment.file.close();
  }
}

export function storageError(verb: string, path: string, cause: unknown): StorageError {
  const full = cause instanceof Error && /No space left|ENOSPC|quota exceeded|EDQUOT/i.test(cause.message);
  return new StorageError(`cannot ${verb} ${path}: ${cause instanceof Error ? cause.message : cause}`, {
    full,
    cause,
  });
}
