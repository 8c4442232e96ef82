/**
 * Positioned reads of records, on handles that are kept open for the segments read last. Hot: one body per FETCH.
 *
 * A handle that was not used for a while is closed: compaction removes files, and their space comes back only then.
 */
import type { BlobAddress } from "./ops.ts";
import { readAt, segmentName } from "./segment.ts";
import { type BlobReader, StorageError } from "./store.ts";

const MAX_HANDLES = 128;
const IDLE_MS = 5 * 60_000;

interface Handle {
  readonly file: Deno.FsFile;
  /** Used since the last sweep. */
  used: boolean;
}

export class SegmentBlobReader implements BlobReader {
  #folder: string;
  /** In order of last use. */
  #handles = new Map<number, Handle>();
  #sweep: ReturnType<typeof setInterval> | undefined;
  /** Handles that stay open while somebody needs them: an unlinked file lives as long as one. */
  #pins = new Map<number, { readonly file: Deno.FsFile; count: number }>();

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
    if (this.#pins.has(blob.segment)) return this.readSync(blob, start, end);
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

  pin(segment: number): () => void {
    let pin = this.#pins.get(segment);
    if (pin === undefined) {
      let file: Deno.FsFile;
      try {
        file = Deno.openSync(`${this.#folder}/${segmentName(segment)}`);
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return () => {};
        throw new StorageError(`segment ${segment} cannot be opened`, { full: false, cause: error });
      }
      pin = { file, count: 0 };
      this.#pins.set(segment, pin);
    }
    const pinned = pin;
    pinned.count++;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      if (--pinned.count > 0 || !this.#pins.delete(segment)) return;
      pinned.file.close();
    };
  }

  close(): void {
    clearInterval(this.#sweep);
    for (const { file } of this.#handles.values()) file.close();
    for (const { file } of this.#pins.values()) file.close();
    this.#handles.clear();
    this.#pins.clear();
  }

  #handle(segment: number): Deno.FsFile {
    if (this.#pins.size > 0) {
      const pin = this.#pins.get(segment);
      if (pin !== undefined) return pin.file;
    }
    const cached = this.#handles.get(segment);
    if (cached !== undefined) {
      cached.used = true;
      if (this.#handles.size > MAX_HANDLES / 2) {
        this.#handles.delete(segment);
        this.#handles.set(segment, cached);
      }
      return cached.file;
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
      handle.file.close();
    }
    this.#handles.set(segment, { file, used: true });
    if (this.#sweep === undefined) {
      this.#sweep = setInterval(() => this.#closeIdle(), IDLE_MS);
      Deno.unrefTimer(this.#sweep);
    }
    return file;
  }

  #closeIdle(): void {
    for (const [segment, handle] of this.#handles) {
      if (handle.used) handle.used = false;
      else {
        this.#handles.delete(segment);
        handle.file.close();
      }
    }
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
