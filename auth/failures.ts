/**
 * Failed logins per client address: a bucket that fills by one with each failure and leaks with time.
 *
 * The interface lets the server count for all threads at once; {@linkcode MemoryFailures} counts for one. IPv6 clients
 * are counted by their /64, which is what one customer gets. Limit: {@linkcode MAX_ADDRESSES}, the oldest go first.
 */

/** All calls are synchronous and cheap: they stand in front of every login. */
export interface FailureCounter {
  /** One failure is forgotten in this time, milliseconds. */
  readonly leakMs: number;
  /** What the bucket of this address holds now; a fraction while it leaks. */
  count(address: string, now: number): number;
  /** Notes a failure; returns the new count. */
  add(address: string, now: number): number;
}

/** What was refused a moment ago, so that it counts once, whichever thread sees it again. */
export interface RepeatMemory {
  /** Notes `what`, evenly spread text (a digest); true when it was not noted within the last `forMs`. */
  first(what: string, now: number, forMs: number): boolean;
}

/** One failure is forgotten in this time. */
const DEFAULT_LEAK_MS = 60_000;
const MAX_ADDRESSES = 10_000;

export class MemoryFailures implements FailureCounter {
  readonly leakMs: number;
  #maxAddresses: number;
  /** When each bucket will be empty: its level is what is left until then. */
  #emptyAt = new Map<string, number>();

  constructor(options: { leakMs?: number; maxAddresses?: number } = {}) {
    this.leakMs = options.leakMs ?? DEFAULT_LEAK_MS;
    this.#maxAddresses = options.maxAddresses ?? MAX_ADDRESSES;
  }

  count(address: string, now: number): number {
    const emptyAt = this.#emptyAt.get(address);
    if (emptyAt === undefined) return 0;
    if (emptyAt > now) return (emptyAt - now) / this.leakMs;
    this.#emptyAt.delete(address);
    return 0;
  }

  add(address: string, now: number): number {
    const emptyAt = Math.max(now, this.#emptyAt.get(address) ?? 0) + this.leakMs;
    this.#emptyAt.delete(address); // and back in, as the youngest
    if (this.#emptyAt.size >= this.#maxAddresses) {
      for (const oldest of this.#emptyAt.keys()) {
        this.#emptyAt.delete(oldest);
        break;
      }
    }
    this.#emptyAt.set(address, emptyAt);
    return (emptyAt - now) / this.leakMs;
  }
}

/** What failures are counted under: an IPv4 address, or the /64 of an IPv6 one. */
export function failureKey(address: string): string {
  if (!address.includes(":")) return address;
  const text = address.toLowerCase().replace(/%.*$/, "");
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (mapped) return mapped[1]!;
  const [head = "", tail] = text.split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail === undefined || tail === "" ? [] : tail.split(":");
  // An IPv4 tail counts for two groups, but only its distance from the front matters here.
  const missing = 8 - groups.length - behind.length - (text.includes(".") ? 1 : 0);
  if (tail !== undefined) { for (let i = 0; i < missing; i++) groups.push("0"); }
  const prefix = [...groups, ...behind].slice(0, 4).map((group) => group.replace(/^0+(?=.)/, ""));
  return `${prefix.join(":")}::/64`;
}
