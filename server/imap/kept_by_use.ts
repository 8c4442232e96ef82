/**
 * What was made of whole mailboxes for one command and will be wanted by the next, in memory: within a number of octets, what
 * was not used for longest goes first.
 */
export class KeptByUse<V extends { readonly octets: number }> {
  /** In order of last use. */
  #kept = new Map<string, { readonly value: V; readonly octets: number }>();
  #octets = 0;
  readonly #maxOctets: number;

  constructor(maxOctets: number) {
    this.#maxOctets = maxOctets;
  }

  get(key: string): V | null {
    const found = this.#kept.get(key);
    if (found === undefined) return null;
    this.#kept.delete(key);
    this.#kept.set(key, found);
    return found.value;
  }

  /** Nothing is kept that is larger than all may be. */
  put(key: string, value: V): void {
    this.#octets -= this.#kept.get(key)?.octets ?? 0;
    this.#kept.delete(key);
    const { octets } = value; // it may grow later
    this.#kept.set(key, { value, octets });
    this.#octets += octets;
    for (const [oldest, one] of this.#kept) {
      if (this.#octets <= this.#maxOctets) break;
      this.#kept.delete(oldest);
      this.#octets -= one.octets;
    }
  }
}
