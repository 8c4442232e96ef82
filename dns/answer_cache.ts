/**
 * What the resolver remembers: answers and failures, in a cache of its thread's own before one that all threads share.
 *
 * The own cache hands out the very objects and costs next to nothing; what it does not know, or what is nearly over there, is
 * looked for among what the other threads were told. Shared values are octets: words as JSON, records in the wire form of
 * a message. What does not fit that form is kept by its thread alone.
 */
import { type CacheOptions, type Hit, TtlCache } from "./cache.ts";
import { decodeMessage, encodeMessage } from "./message.ts";
import { canonicalData, type RecordData } from "./rdata.ts";
import type { AnswerStatus, ExtendedError, ResolveFault, Security } from "./resolver.ts";
import type { SharedTable } from "./shared_table.ts";
import { encode, utf8OrNull } from "../bytes/decode.ts";

/** An answer of any type. */
export interface Found {
  readonly status: AnswerStatus;
  readonly canonicalName: string;
  readonly records: readonly RecordData[];
  readonly ttlSeconds: number;
  readonly security: Security;
  readonly reason: ExtendedError | null;
}

export type Kept = { readonly kind: "answer"; readonly found: Found } | {
  readonly kind: "failure";
  readonly fault: ResolveFault;
  readonly detail: string;
  readonly reason: ExtendedError | null;
};

export interface AnswerCacheOptions {
  readonly own: CacheOptions;
  readonly shared: SharedAnswers | null;
}

export interface SharedAnswers {
  readonly table: SharedTable;
  /** Milliseconds, the same in all threads; never goes back. */
  readonly now: () => number;
}

/** A cached answer without its records, and one record, roughly in memory. */
const ENTRY_OCTETS = 350, RECORD_OCTETS = 120;
const LENGTH_OCTETS = 4;

export class AnswerCache {
  readonly #own: TtlCache<Kept>;
  readonly #shared: SharedAnswers | null;
  readonly #staleMs: number;

  constructor(options: AnswerCacheOptions) {
    this.#own = new TtlCache(options.own);
    this.#shared = options.shared;
    this.#staleMs = options.own.staleMs ?? 0;
  }

  /** Octets of the thread's own, as it counts them. */
  get octets(): number {
    return this.#own.octets;
  }

  /** `from` says whose memory it was. */
  get(key: string): (Hit<Kept> & { readonly from: "cache" | "shared" }) | null {
    const own = this.#own.get(key);
    if (own !== null && !own.fading) return { ...own, from: "cache" };
    const other = this.#fromOthers(key, own?.ttlSeconds ?? 0);
    if (other !== null) return { ...other, from: "shared" };
    return own && { ...own, from: "cache" };
  }

  /** A value whose time is over, but not for too long. */
  stale(key: string): Kept | null {
    const own = this.#own.stale(key);
    if (own !== null || this.#shared === null || this.#staleMs === 0) return own;
    const value = this.#shared.table.get(key);
    const late = value === null ? Infinity : this.#shared.now() - value.expires;
    return late < this.#staleMs ? decodeKept(value!.octets) : null;
  }

  /** Keeps it for `ttlSeconds`; not at all for 0. */
  put(key: string, kept: Kept, ttlSeconds: number): void {
    this.#own.put(key, kept, { ttlSeconds, octets: octetsOf(kept) });
    if (this.#shared === null || ttlSeconds <= 0) return;
    const octets = encodeKept(kept);
    if (octets === null) return;
    const now = this.#shared.now();
    this.#shared.table.put(key, { octets, expires: now + ttlSeconds * 1000 }, now);
  }

  /** What lasts longer than `ttlSeconds`; it is the thread's own from now on. */
  #fromOthers(key: string, ttlSeconds: number): Hit<Kept> | null {
    const value = this.#shared?.table.get(key) ?? null;
    if (value === null) return null;
    const left = (value.expires - this.#shared!.now()) / 1000;
    if (left <= 0 || Math.ceil(left) <= ttlSeconds) return null;
    const kept = decodeKept(value.octets);
    if (kept === null) return null;
    this.#own.put(key, kept, { ttlSeconds: left, octets: octetsOf(kept) });
    return { value: kept, ttlSeconds: Math.ceil(left), fading: false };
  }
}

function octetsOf(kept: Kept): number {
  if (kept.kind === "failure") return ENTRY_OCTETS + 2 * kept.detail.length;
  let octets = ENTRY_OCTETS;
  for (const record of kept.found.records) octets += RECORD_OCTETS + 2 * canonicalData(record).length;
  return octets;
}

/** Null where it has no such form. */
export function encodeKept(kept: Kept): Uint8Array | null {
  const { records, ...rest } = kept.kind === "answer" ? kept.found : { records: [], ...kept };
  const words = { ...rest, kind: kept.kind };
  const text = encode(JSON.stringify(words));
  let wire: Uint8Array;
  try {
    wire = encodeMessage({
      ...{
        id: 0,
        response: true,
        opcode: 0,
        authoritative: false,
        truncated: false,
        recursionDesired: false,
      },
      ...{
        recursionAvailable: false,
        authenticData: false,
        checkingDisabled: false,
        rcode: 0,
        questions: [],
      },
      answers: records.map((data) => ({ name: ".", class: 1, ttlSeconds: 0, data })),
      ...{ authorities: [], additionals: [], edns: null },
    });
  } catch (error) {
    if (error instanceof RangeError) return null; // more than a message holds
    throw error;
  }
  const octets = new Uint8Array(LENGTH_OCTETS + text.length + wire.length);
  new DataView(octets.buffer).setUint32(0, text.length);
  octets.set(text, LENGTH_OCTETS);
  octets.set(wire, LENGTH_OCTETS + text.length);
  return octets;
}

/** Null when the octets are no such value. */
export function decodeKept(octets: Uint8Array): Kept | null {
  if (octets.length < LENGTH_OCTETS) return null;
  const length = new DataView(octets.buffer, octets.byteOffset).getUint32(0);
  const text = utf8OrNull(octets, LENGTH_OCTETS, Math.min(LENGTH_OCTETS + length, octets.length));
  const message = decodeMessage(octets.subarray(LENGTH_OCTETS + length));
  if (text === null || message === null) return null;
  const { kind, ...words } = JSON.parse(text);
  if (kind === "failure") return { kind, ...words };
  return { kind: "answer", found: { ...words, records: message.answers.map(({ data }) => data) } };
}
