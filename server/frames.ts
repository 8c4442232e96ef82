/** Octets through a pipe as frames: four octets of length, big-endian, then so many. */

const HEAD = 4;

/** A frame, ready to be written. */
export function framed(octets: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(HEAD + octets.length);
  new DataView(frame.buffer).setUint32(0, octets.length);
  frame.set(octets, HEAD);
  return frame;
}

export class FrameReader {
  #input: ReadableStreamDefaultReader<Uint8Array>;
  #maxOctets: number;
  /** What was read beyond the last frame. */
  #rest: Uint8Array;

  constructor(input: ReadableStream<Uint8Array>, maxOctets: number) {
    this.#input = input.getReader();
    this.#maxOctets = maxOctets;
    this.#rest = new Uint8Array(0);
  }

  /** Null at the end. Throws on a frame above the limit, and on one that is cut short. */
  async next(): Promise<Uint8Array<ArrayBuffer> | null> {
    const head = await this.#take(HEAD);
    if (head === null) return null;
    const length = new DataView(head.buffer).getUint32(0);
    if (length > this.#maxOctets) throw new RangeError(`a frame of ${length} octets`);
    const octets = await this.#take(length);
    if (octets === null && length > 0) throw new Error("the pipe ended within a frame");
    return octets ?? new Uint8Array(0);
  }

  async #take(length: number): Promise<Uint8Array<ArrayBuffer> | null> {
    const whole = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.#rest.length === 0) {
        const { done, value } = await this.#input.read();
        if (done) {
          if (filled > 0) throw new Error("the pipe ended within a frame");
          return null;
        }
        this.#rest = value;
      }
      const part = this.#rest.subarray(0, length - filled);
      whole.set(part, filled);
      filled += part.length;
      this.#rest = this.#rest.subarray(part.length);
    }
    return whole;
  }
}
