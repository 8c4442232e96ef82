/**
 * Values with a time to live, at most so many and so large; the one not used for longest goes first.
 *
 * Derived data: it may be lost at any time. The clock is injected. RFC 2181 8 and RFC 2308 5 give the times, see
 * `dns/stub_resolver.ts`.
 */

export interface CacheOptions {
  /** 0 keeps nothing. */
  readonly maxEntries: number;
  readonly maxOctets: number;
  /** Milliseconds, steady. */
  readonly now: () => number;
}

interface Entry<V> {
  readonly value: V;
  readonly expires: number;
  readonly octets: number;
}

export class TtlCache<V> {
  readonly #options: CacheOptions;
  /** In the order of last use. */
  #entries: Map<string, Entry<V>>;
  #octets: number;

  constructor(options: CacheOptions) {
    this.#options = options;
    this.#entries = new Map();
    this.#octets = 0;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** What the entries hold, as they were counted in. */
  get octets(): number {
    return this.#octets;
  }

  get(key: string): { readonly value: V; readonly ttlSeconds: number } | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    const leftMs = entry.expires - this.#options.now();
    this.#entries.delete(key);
    if (leftMs <= 0) {
      this.#octets -= entry.octets;
      return null;
    }
    this.#entries.set(key, entry);
    return { value: entry.value, ttlSeconds: Math.ceil(leftMs / 1000) };
  }

  /** Keeps it for `ttlSeconds`; not at all for 0. */
  put(key: string, value: V, cost: { readonly ttlSeconds: number; readonly octets: number }): void {
    const { maxEntries, maxOctets, now } = this.#options;
    const old = this.#entries.get(key);
    if (old !== undefined) {
      this.#entries.delete(key);
      this.#octets -= old.octets;
    }
    if (cost.ttlSeconds <= 0 || maxEntries === 0 || cost.octets > maxOctets) return;
    this.#entries.set(key, { value, expires: now() + cost.ttlSeconds * 1000, octets: cost.octets });
    this.#octets += cost.octets;
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= maxEntries && this.#octets <= maxOctets) return;
      this.#entries.delete(oldest);
      this.#octets -= entry.octets;
    }
  }
}
