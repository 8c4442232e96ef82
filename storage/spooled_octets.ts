/**
 * The octets of a spool that lies in a segment of its own, read by another thread than the one that writes it.
 *
 * The file is opened once and stays readable until it is closed here, whatever becomes of the message meanwhile: stored,
 * discarded, or moved by compaction. A number may be given to another file then; this one keeps to its own.
 */
import type { BlobAddress } from "./ops.ts";
import { readAt, segmentName } from "./segment.ts";
import { StorageError } from "./store.ts";

export class SpooledOctets {
  readonly octets: number;
  readonly #place: BlobAddress;
  readonly #file: Deno.FsFile;

  /** Throws StorageError when it is gone. */
  constructor(folder: string, place: BlobAddress) {
    this.octets = place.length;
    this.#place = place;
    try {
      this.#file = Deno.openSync(`${folder}/${segmentName(place.segment)}`);
    } catch (cause) {
      throw new StorageError(`segment ${place.segment} cannot be opened`, { full: false, cause });
    }
  }

  /** At most `length` octets from `start`. Throws StorageError when the file is shorter than it should be. */
  read(start: number, length: number): Uint8Array {
    const { segment, offset } = this.#place;
    const result = new Uint8Array(Math.max(0, Math.min(length, this.octets - start)));
    if (readAt(this.#file, offset + start, result) < result.length) {
      throw new StorageError(`segment ${segment} ends inside a message`, { full: false });
    }
    return result;
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
