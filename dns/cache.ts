/**
 * Values with a time to live, at most so many and so large; the one not used for longest goes first.
 *
 * Derived data: it may be lost at any time. The clock is injected. RFC 2181 8 and RFC 2308 5 give the times, see
 * `dns/caching_resolver.ts`. With `staleMs` a value stays for that long behind its time, for {@linkcode TtlCache.stale}
 * only (RFC 8767).
 */

export interface CacheOptions {
  /** 0 keeps nothing. */
  readonly maxEntries: number;
  readonly maxOctets: number;
  /** Milliseconds, steady. */
  readonly now: () => number;
  readonly staleMs?: number;
}

interface Entry<V> {
  readonly value: V;
  readonly expires: number;
  readonly octets: number;
  readonly lifeMs: number;
  hits: number;
}

export interface Hit<V> {
  readonly value: V;
  readonly ttlSeconds: number;
  /** Asked for often and nearly over: worth asking for anew before it is missed. */
  readonly fading: boolean;
}

/** An entry is hot with so many hits, and fading with so little of its life left. */
const HOT_HITS = 3, FADING_PART = 0.1;

export class TtlCache<V> {
  readonly #options: CacheOptions;
  readonly #staleMs: number;
  /** In the order of last use. */
  #entries: Map<string, Entry<V>>;
  #octets: number;

  constructor(options: CacheOptions) {
    this.#options = options;
    this.#staleMs = options.staleMs ?? 0;
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

  get(key: string): Hit<V> | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    const leftMs = entry.expires - this.#options.now();
    if (leftMs <= 0) {
      if (leftMs <= -this.#staleMs) this.delete(key);
      return null;
    }
    if (this.#filling) { // else nothing is put out: the order does not matter
      this.#entries.delete(key);
      this.#entries.set(key, entry);
    }
    entry.hits++;
    const fading = entry.hits >= HOT_HITS && leftMs < FADING_PART * entry.lifeMs;
    return { value: entry.value, ttlSeconds: Math.ceil(leftMs / 1000), fading };
  }

  /** It may have to put something out before long. */
  get #filling(): boolean {
    const { maxEntries, maxOctets } = this.#options;
    return this.#entries.size > maxEntries / 2 || this.#octets > maxOctets / 2;
  }

  /** A value whose time is over, but not for longer than `staleMs`. */
  stale(key: string): V | null {
    const entry = this.#entries.get(key);
    if (entry === undefined) return null;
    return entry.expires - this.#options.now() > -this.#staleMs ? entry.value : null;
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#octets -= entry.octets;
  }

  /** Keeps it for `ttlSeconds`; not at all for 0. */
  put(key: string, value: V, cost: { readonly ttlSeconds: number; readonly octets: number }): void {
    const { maxEntries, maxOctets, now } = this.#options;
    this.delete(key);
    if (cost.ttlSeconds <= 0 || maxEntries === 0 || cost.octets > maxOctets) return;
    const lifeMs = cost.ttlSeconds * 1000;
    this.#entries.set(key, { value, expires: now() + lifeMs, octets: cost.octets, lifeMs, hits: 0 });
    this.#octets += cost.octets;
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= maxEntries && this.#octets <= maxOctets) return;
      this.#entries.delete(oldest);
      this.#octets -= entry.octets;
    }
  }
}
