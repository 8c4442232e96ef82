/**
 * TCP streams to servers that wait for the next question (RFC 7766 6.2.1 and 6.2.3), at most {@linkcode MAX_STREAMS} in
 * all, each for {@linkcode IDLE_MS}. One question is under way on a stream at a time.
 */
import type { ServerAddress, TcpStream, Timing } from "./network.ts";

export const MAX_STREAMS = 32;
export const IDLE_MS = 2_000;

interface Kept {
  readonly stream: TcpStream;
  readonly disarm: () => void;
}

export class StreamPool {
  readonly #timing: Timing;
  /** By server. */
  readonly #kept: Map<string, Kept[]>;
  #count: number;

  constructor(timing: Timing) {
    this.#timing = timing;
    this.#kept = new Map();
    this.#count = 0;
  }

  take(server: ServerAddress): TcpStream | undefined {
    const kept = this.#kept.get(keyOf(server))?.pop();
    if (kept === undefined) return undefined;
    this.#count--;
    kept.disarm();
    return kept.stream;
  }

  /** False: no place; the caller closes it. */
  keep(server: ServerAddress, stream: TcpStream): boolean {
    if (this.#count >= MAX_STREAMS) return false;
    const key = keyOf(server);
    const list = this.#kept.get(key) ?? [];
    const disarm = this.#timing.after(IDLE_MS, () => {
      const at = list.indexOf(kept);
      if (at < 0) return;
      list.splice(at, 1);
      this.#count--;
      if (list.length === 0) this.#kept.delete(key);
      stream.close();
    });
    const kept: Kept = { stream, disarm };
    list.push(kept);
    this.#kept.set(key, list);
    this.#count++;
    return true;
  }

  close(): void {
    for (const { stream, disarm } of [...this.#kept.values()].flat()) {
      disarm();
      stream.close();
    }
    this.#kept.clear();
    this.#count = 0;
  }
}

function keyOf({ address, port }: ServerAddress): string {
  return `${address} ${port}`;
}
