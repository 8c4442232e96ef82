/**
 * The response to the RETR that will probably come next, made while the client reads the last one.
 *
 * Clients read a maildrop in its order. What they wait for is then one write: disk and dots are behind it. Only short
 * messages, and of so many sessions that what they hold stays small; a session that pauses keeps its own.
 */
import { Out } from "../../bytes/out.ts";
import { type BlobReader, StorageError } from "../../storage/store.ts";
import type { Readable } from "./held_messages.ts";
import { writeShort } from "./retrieve.ts";

/** Of a thread. */
const MOST_SESSIONS = 16;
const MOST_OCTETS = 16 * 1024;

let sessions = 0;

export class ReadAhead {
  readonly #out = new Out();
  /** The message last retrieved, and the one that stands in the output; 0: none. */
  #last = 0;
  #ready = 0;
  #inOrder = false;

  /** The message that is to be made ready; 0: none. */
  get next(): number {
    return this.#inOrder && this.#ready === 0 && sessions < MOST_SESSIONS ? this.#last + 1 : 0;
  }

  /** RETR of this message: appends the response where it is ready. */
  take(number: number, out: Out): boolean {
    this.#inOrder = number === this.#last + 1;
    this.#last = number;
    const hit = number === this.#ready;
    if (this.#ready > 0) {
      const octets = this.#out.take();
      if (hit) out.octets(octets);
      this.#out.give(octets);
      this.release();
    }
    return hit;
  }

  /** Nothing comes of a message that is long or cannot be read: its RETR says so. */
  prepare(
    number: number,
    message: Readable,
    from: { readonly blobs: BlobReader; readonly utf8: boolean },
  ): void {
    this.#inOrder = false;
    if (message.blob.length > MOST_OCTETS) return;
    try {
      if (!writeShort({ out: this.#out, blobs: from.blobs, utf8: from.utf8 }, message)) return;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      return;
    }
    this.#ready = number;
    sessions++;
  }

  /** The session ends. */
  release(): void {
    if (this.#ready === 0) return;
    this.#ready = 0;
    sessions--;
  }
}
