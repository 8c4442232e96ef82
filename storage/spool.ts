/**
 * A new message's octets on their way to disk.
 *
 * Up to {@linkcode MEMORY_OCTETS} they stay in memory and become one record of the shared segment at `store`. A larger
 * message is written through, in pieces, into a segment of its own whose header makes it valid only at the end:
 * memory stays bounded whatever its size, and a crash before leaves a file without a record. The disk is set to work on it
 * while it comes in, every {@linkcode AHEAD_OCTETS}: several large messages that end together would wait for it together.
 */
import { crc32 } from "node:zlib";
import type { SegmentFile } from "./files.ts";
import type { BlobAddress } from "./ops.ts";
import {
  encodeSalvage,
  FILE_HEADER_OCTETS,
  fileHeader,
  readAt,
  RECORD_HEADER_OCTETS,
  recordOctets,
  segmentName,
  writeRecordHeader,
} from "./segment.ts";
import { type SegmentWriter, storageError } from "./segment_writer.ts";
import { type SalvageFacts, type Spool, StorageError } from "./store.ts";

const MEMORY_OCTETS = 256 * 1024;
const PIECE_OCTETS = 1024 * 1024;
const AHEAD_OCTETS = 8 * 1024 * 1024;
const START_OCTETS = 8 * 1024;
const EMPTY = new Uint8Array(0);
/** Buffers of stored messages for the next ones: allocating them anew is what garbage collection costs most. */
const spare: Uint8Array<ArrayBuffer>[] = [];
const MAX_SPARE = 64;
const PAYLOAD_AT = FILE_HEADER_OCTETS + RECORD_HEADER_OCTETS;

/** A message past MEMORY_OCTETS: what was written so far. */
interface LargeFile {
  readonly number: number;
  readonly file: SegmentFile;
  written: number;
  crc: number;
  /** Where the last sync ahead began. */
  ahead: number;
}

export class SegmentSpool implements Spool {
  octets = 0;
  #segments: SegmentWriter;
  #mayOpen: () => boolean;
  #folder: string;
  #buffer: Uint8Array<ArrayBuffer>;
  #used = 0;
  #large: LargeFile | null = null;
  #writing: Promise<void> | null = null;
  /** A sync ahead that runs; it never rejects. */
  #syncing: Promise<void> | null = null;
  #failure: StorageError | null = null;
  #state: "open" | "stored" | "discarded" = "open";

  constructor(folder: string, segments: SegmentWriter, mayOpen: () => boolean) {
    this.#folder = folder;
    this.#mayOpen = mayOpen;
    this.#segments = segments;
    this.#buffer = spare.pop() ?? new Uint8Array(START_OCTETS);
  }

  write(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined {
    if (this.#writing !== null) {
      const copy = bytes.slice(start, end);
      return this.#writing.then(() => this.write(copy, 0, copy.length));
    }
    const size = end - start;
    if (this.#used + size > this.#buffer.length) this.#grow(this.#used + size);
    this.#buffer.set(bytes.subarray(start, end), this.#used);
    this.#used += size;
    this.octets += size;
    if (this.#used < (this.#large === null ? MEMORY_OCTETS : PIECE_OCTETS)) return undefined;
    return this.#flush();
  }

  async read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array> {
    const large = this.#large;
    const size = Math.min(end, this.octets) - start;
    const result = into === undefined ? new Uint8Array(size) : into.subarray(0, size);
    if (large === null) {
      result.set(this.#buffer.subarray(start, start + size));
      return result;
    }
    await this.#writing;
    using file = Deno.openSync(`${this.#folder}/${segmentName(large.number)}`);
    const onDisk = Math.max(0, Math.min(large.written - start, result.length));
    if (onDisk > 0) readAt(file, PAYLOAD_AT + start, result.subarray(0, onDisk));
    if (onDisk < result.length) {
      const from = Math.max(0, start - large.written);
      result.set(this.#buffer.subarray(from, from + result.length - onDisk), onDisk);
    }
    return result;
  }

  held(start: number, end: number): Uint8Array | null {
    const inMemory = this.#large === null && this.#state === "open";
    return inMemory ? this.#buffer.subarray(start, Math.min(end, this.octets)) : null;
  }

  onDisk(): Promise<BlobAddress> | null {
    const large = this.#large;
    return large === null || this.#state !== "open" ? null : this.#written(large);
  }

  async #written(large: LargeFile): Promise<BlobAddress> {
    await this.#writing;
    if (this.#state !== "open") throw new Error(`a spool that is ${this.#state} cannot be handed on`);
    if (this.#used > 0) await this.#flush();
    if (this.#failure !== null) throw this.#failure;
    return { segment: large.number, offset: PAYLOAD_AT, length: large.written };
  }

  store(salvage: SalvageFacts): BlobAddress | Promise<BlobAddress> {
    if (this.#state !== "open") throw new Error(`a spool that is ${this.#state} cannot be stored`);
    this.#state = "stored";
    const salvageOctets = encodeSalvage(salvage);
    if (this.#large === null && this.#writing === null) {
      const blob = this.#segments.append(this.#buffer.subarray(0, this.#used), salvageOctets);
      this.#release();
      return blob;
    }
    return this.#storeLarge(salvageOctets);
  }

  async #storeLarge(salvageOctets: Uint8Array): Promise<BlobAddress> {
    try {
      await this.#writing;
      await this.#flush();
      await this.#syncing;
      if (this.#failure !== null) throw this.#failure;
      return await this.#finishLarge(salvageOctets);
    } catch (error) {
      await this.#syncing;
      this.#drop();
      throw error;
    }
  }

  discard(): void {
    if (this.#state === "discarded") return;
    const removable = this.#state === "open";
    this.#state = "discarded";
    this.#release();
    if (!removable) return;
    const running = [this.#writing, this.#syncing];
    Promise.allSettled(running).then(() => this.#drop()); // told by its write
  }

  /** Writes what makes the file of its own a segment: first the octets become durable, then the headers. */
  async #finishLarge(salvageOctets: Uint8Array): Promise<BlobAddress> {
    const large = this.#large;
    if (large === null) throw new Error("a large spool has no file");
    const length = large.written;
    const header = new Uint8Array(RECORD_HEADER_OCTETS);
    writeRecordHeader(header, 0, {
      payloadLength: length,
      payloadCrc: large.crc,
      salvageLength: salvageOctets.length,
      salvageCrc: crc32(salvageOctets),
    });
    const end = FILE_HEADER_OCTETS + recordOctets(length, salvageOctets.length);
    try {
      await large.file.write(salvageOctets, PAYLOAD_AT + length);
      large.file.truncate(end);
      await large.file.sync();
      large.file.writeSync(header, FILE_HEADER_OCTETS);
      large.file.writeSync(fileHeader(end), 0);
      await large.file.sync();
    } catch (cause) {
      throw storageError("store", segmentName(large.number), cause);
    }
    this.#segments.syncFolder();
    large.file.close();
    this.#release();
    return { segment: large.number, offset: PAYLOAD_AT, length };
  }

  /** Closes and removes the file of its own. */
  #drop(): void {
    const large = this.#large;
    this.#large = null;
    this.#buffer = new Uint8Array(0);
    if (large === null) return;
    large.file.close();
    this.#segments.remove(large.number);
  }

  /** Writes what is buffered to the file of its own. */
  #flush(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const piece = this.#buffer.subarray(0, this.#used);
    this.#used = 0;
    try {
      if (this.#large === null) {
        if (!this.#mayOpen()) throw new StorageError("no file descriptors are left", { full: true });
        this.#large = { ...this.#segments.create(), written: 0, crc: 0, ahead: 0 };
        this.#buffer = new Uint8Array(PIECE_OCTETS + 64 * 1024);
      }
    } catch (error) {
      this.#failure = error as StorageError;
      return Promise.reject(error);
    }
    const large = this.#large;
    const at = large.written;
    large.crc = crc32(piece, large.crc);
    large.written += piece.length;
    const writing = large.file.write(piece, PAYLOAD_AT + at).then(() => this.#syncAhead(large), (cause) => {
      throw this.#failure = storageError("write", segmentName(large.number), cause);
    }).finally(() => this.#writing = null);
    this.#writing = writing;
    return writing;
  }

  /** Nobody waits for it, but a failure is told once only, and never by a later sync: it is the message's. */
  #syncAhead(large: LargeFile): void {
    if (this.#syncing !== null || large.written - large.ahead < AHEAD_OCTETS) return;
    large.ahead = large.written;
    this.#syncing = large.file.sync().catch((cause) => {
      this.#failure ??= storageError("sync", segmentName(large.number), cause);
    }).finally(() => this.#syncing = null);
  }

  #grow(wanted: number): void {
    const grown = new Uint8Array(Math.max(wanted, this.#buffer.length * 2));
    grown.set(this.#buffer.subarray(0, this.#used));
    this.#release();
    this.#buffer = grown;
  }

  /** Gives the buffer back. No piece of it may be on its way to disk: those are larger than what is kept here. */
  #release(): void {
    const buffer = this.#buffer;
    this.#buffer = EMPTY;
    if (buffer.length === START_OCTETS && spare.length < MAX_SPARE) spare.push(buffer);
  }
}
