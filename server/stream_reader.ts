/** Reads of a stream of node's in the way of a `Deno.Conn`: into the caller's buffer, one at a time. */
import type { Duplex } from "node:stream";

export class StreamReader {
  readonly #stream: Duplex;
  /** What a read handed out only in part. */
  #rest: Uint8Array | null;
  /** The peer will send no more. */
  #ended: boolean;
  #closed: boolean;
  #error: Error | null;
  #wake: (() => void) | null;

  constructor(stream: Duplex) {
    this.#stream = stream;
    this.#rest = null;
    this.#ended = false;
    this.#closed = false;
    this.#error = null;
    this.#wake = null;
    const ended = () => {
      this.#ended = true;
      this.#signal();
    };
    stream.on("readable", () => this.#signal());
    stream.on("end", ended);
    stream.on("close", ended);
    stream.on("error", (error: Error) => {
      this.#error ??= error;
      this.#signal();
    });
  }

  /** What went wrong with the stream. */
  get error(): Error | null {
    return this.#error;
  }

  /** Null at the end. Rejects with what is wrong with the stream, when all was read that came before. */
  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#closed) return null;
      const chunk = this.#rest ?? this.#stream.read() as Uint8Array | null;
      if (chunk !== null && chunk.length > 0) {
        const octets = Math.min(chunk.length, into.length);
        into.set(octets === chunk.length ? chunk : chunk.subarray(0, octets));
        this.#rest = octets === chunk.length ? null : chunk.subarray(octets);
        return octets;
      }
      if (this.#error !== null) throw this.#error;
      if (this.#ended) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Reads end with null from now on, the outstanding one too. */
  close(): void {
    this.#closed = true;
    this.#signal();
  }

  #signal(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
