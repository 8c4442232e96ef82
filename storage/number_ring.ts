/**
 * Frames of numbers from one thread to another, through memory that both see: what is small and frequent crosses without a message
 * of the runtime's, which costs 10 to 20 us on either side. One thread sends and one receives, in order.
 *
 * A receiver that has nothing to take waits without holding up its thread; sending costs a wake only then.
 */

/** Of 8 octets; a frame takes one more than its numbers. */
const SLOTS = 4_096;
/** The count of slots written and read so far, each in a cache line of its own. They wrap. */
const WRITTEN = 0, READ = 16;
const COUNTERS_OCTETS = 128;

/** Older runtimes (2.6 for one) do not wake a thread that waits so and has nothing else to do: there everything is a message. */
export const RINGS_WAKE = isSince(Deno.version.deno, 2, 9);

function isSince(version: string, major: number, minor: number): boolean {
  const [first = 0, second = 0] = version.split(".").map(Number);
  return first > major || (first === major && second >= minor);
}

export function ringBuffer(): SharedArrayBuffer {
  return new SharedArrayBuffer(COUNTERS_OCTETS + SLOTS * Float64Array.BYTES_PER_ELEMENT);
}

interface Shared {
  readonly counters: Int32Array<SharedArrayBuffer>;
  readonly slots: Float64Array;
}

function sharedOf(buffer: SharedArrayBuffer): Shared {
  return {
    counters: new Int32Array(buffer, 0, COUNTERS_OCTETS / Int32Array.BYTES_PER_ELEMENT),
    slots: new Float64Array(buffer, COUNTERS_OCTETS),
  };
}

export class RingSender {
  readonly #shared: Shared;
  #written: number;

  constructor(buffer: SharedArrayBuffer) {
    this.#shared = sharedOf(buffer);
    this.#written = 0;
  }

  /** False when there is no room: the receiver is behind, or the frame is long. */
  send(frame: readonly number[]): boolean {
    const { counters, slots } = this.#shared;
    const start = this.#written;
    const taken = (start - Atomics.load(counters, READ)) | 0;
    if (frame.length >= SLOTS - taken) return false;
    slots[start & (SLOTS - 1)] = frame.length;
    for (let at = 0; at < frame.length; at++) slots[(start + 1 + at) & (SLOTS - 1)] = frame[at]!;
    this.#written = (start + 1 + frame.length) | 0;
    Atomics.store(counters, WRITTEN, this.#written);
    Atomics.notify(counters, WRITTEN);
    return true;
  }
}

export class RingReceiver {
  readonly #shared: Shared;
  readonly #receive: (frame: number[]) => void;
  #open: boolean;

  /** Calls `receive` with each frame, from its own turn on. What it throws nobody catches. */
  constructor(buffer: SharedArrayBuffer, receive: (frame: number[]) => void) {
    this.#shared = sharedOf(buffer);
    this.#receive = receive;
    this.#open = true;
    this.#run();
  }

  close(): void {
    this.#open = false;
    Atomics.notify(this.#shared.counters, WRITTEN); // ends the wait
  }

  async #run(): Promise<void> {
    const { counters } = this.#shared;
    for (let read = 0; this.#open;) {
      const written = Atomics.load(counters, WRITTEN);
      if (read === written) {
        const wait = Atomics.waitAsync(counters, WRITTEN, written);
        if (wait.async) await wait.value;
        continue;
      }
      while (read !== written && this.#open) {
        const frame = this.#frame(read);
        read = (read + 1 + frame.length) | 0;
        Atomics.store(counters, READ, read);
        this.#receive(frame);
      }
    }
  }

  #frame(start: number): number[] {
    const { slots } = this.#shared;
    const length = slots[start & (SLOTS - 1)]!;
    const frame = new Array<number>(length);
    for (let at = 0; at < length; at++) frame[at] = slots[(start + 1 + at) & (SLOTS - 1)]!;
    return frame;
  }
}
