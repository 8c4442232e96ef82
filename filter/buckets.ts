/**
 * Token buckets by key: `limit` within `perMs`, all of it at once at most.
 *
 * A bucket is the time at which it will be full again, so that nothing runs while nobody asks. The interface lets the
 * server count for all threads (server/shared_buckets.ts); {@linkcode MemoryBuckets} counts for one.
 */
export interface BucketRate {
  readonly limit: number;
  readonly perMs: number;
}

export interface Buckets {
  /** Takes one; false when there is none. */
  take(key: string, rate: BucketRate, now: number): boolean;
}

const MAX_KEYS = 50_000;

export class MemoryBuckets implements Buckets {
  #fullAt = new Map<string, number>();

  take(key: string, { limit, perMs }: BucketRate, now: number): boolean {
    const next = Math.max(now, this.#fullAt.get(key) ?? 0) + perMs / limit;
    if (next - now > perMs + 1e-6) return false;
    this.#fullAt.delete(key); // and back in, as the youngest
    if (this.#fullAt.size >= MAX_KEYS) {
      for (const oldest of this.#fullAt.keys()) {
        this.#fullAt.delete(oldest);
        break;
      }
    }
    this.#fullAt.set(key, next);
    return true;
  }
}
