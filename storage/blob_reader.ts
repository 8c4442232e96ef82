/** Positioned reads of records, on handles that are kept open for the segments read last. Hot: one body per FETCH. */
import type { BlobAddress } from "./ops.ts";
import { readAt, segmentName } from "./segment.ts";
import { type BlobReader, StorageError } from "./store.ts";

const MAX_HANDLES = 128;

export class SegmentBlobReader implements BlobReader {
  #folder: string;
  /** In order of last use. */
  #handles = new Map<number, Deno.FsFile>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  readSync(blob: BlobAddress, start: number, end: number): Uint8Array {
    const result = new Uint8Array(end - start);
    this.readIntoSync(blob, { start, end }, result, 0);
    return result;
  }

  readIntoSync(blob: BlobAddress, span: { start: number; end: number }, into: Uint8Array, at: number): void {
    this.#check(blob, span);
    const target = into.subarray(at, at + span.end - span.start);
    if (readAt(this.#handle(blob.segment), blob.offset + span.start, target) < target.length) {
      throw this.#short(blob);
    }
  }

  async read(blob: BlobAddress, start: number, end: number): Promise<Uint8Array> {
    this.#check(blob, { start, end });
    const result = new Uint8Array(end - start);
    using file = await this.#open(blob.segment);
    await file.seek(blob.offset + start, Deno.SeekMode.Start);
    for (let done = 0; done < result.length;) {
      const count = await file.read(result.subarray(done));
      if (count === null) throw this.#short(blob);
      done += count;
    }
    return result;
  }

  close(): void {
    for (const file of this.#handles.values()) file.close();
    this.#handles.clear();
  }

  #handle(segment: number): Deno.FsFile {
    const cached = this.#handles.get(segment);
    if (cached !== undefined) {
      if (this.#handles.size > MAX_HANDLES / 2) {
        this.#handles.delete(segment);
        this.#handles.set(segment, cached);
      }
      return cached;
    }
    let file: Deno.FsFile;
    try {
      file = Deno.openSync(`${this.#folder}/${segmentName(segment)}`);
    } catch (cause) {
      throw new StorageError(`segment ${segment} cannot be opened`, { full: false, cause });
    }
    if (this.#handles.size >= MAX_HANDLES) {
      const [oldest, handle] = this.#handles.entries().next().value!;
      this.#handles.delete(oldest);
      handle.close();
    }
    this.#handles.set(segment, file);
    return file;
  }

  async #open(segment: number): Promise<Deno.FsFile> {
    try {
      return await Deno.open(`${this.#folder}/${segmentName(segment)}`);
    } catch (cause) {
      throw new StorageError(`segment ${segment} cannot be opened`, { full: false, cause });
    }
  }

  #check(blob: BlobAddress, span: { start: number; end: number }): void {
    if (span.start < 0 || span.end > blob.length || span.start > span.end) {
      throw new RangeError(`octets ${span.start} to ${span.end} of a record of ${blob.length}`);
    }
  }

  #short(blob: BlobAddress): StorageError {
    return new StorageError(`segment ${blob.segment} ends inside the record at ${blob.offset}`, {
      full: false,
    });
  }
}
