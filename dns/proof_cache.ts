/**
 * Denials and wildcards of signed zones, to answer for names nobody has asked for yet (RFC 8198: aggressive use of the cache).
 *
 * From NSEC (5.1) and NSEC3 (5.2) records follows that a name or a type does not exist; together with the records of a
 * wildcard, what stands at a name made from it (5.3). Spans with opt-out prove nothing (5.2, RFC 5155 6), and a chain of
 * NSEC3 is used where looking into it takes at most {@linkcode MAX_HASH_ROUNDS} rounds of the hash. An answer lasts as long
 * as the first of its proofs (5.4). The records are checked already.
 *
 * Limits: octets for all zones, as they are estimated here, of which one zone gets an eighth; the zone learned from longest ago
 * goes first, and a full zone begins anew.
 */
import type { DnssecCrypto } from "./dnssec/crypto.ts";
import { type Nsec, nsecAllowsWildcard, nsecDenies } from "./dnssec/nsec.ts";
import {
  encodeBase32Hex,
  type Nsec3,
  type Nsec3Chain,
  Nsec3Proofs,
  type Nsec3Span,
  sameParameters,
  spans,
  usableNsec3,
} from "./dnssec/nsec3.ts";
import { childName, compareNames, isWithin, parentName } from "./name.ts";
import type { RecordData } from "./rdata.ts";
import type { AnswerStatus } from "./resolver.ts";
import type { Work } from "./work.ts";

const MAX_HASH_ROUNDS = 200;
const ZONE_PART = 8;
/** An entry without its words, roughly in memory. */
const ENTRY_OCTETS = 160, RECORD_OCTETS = 120;
/** QTYPEs and meta types, of which no bitmap tells. RFC 6895 3.1. */
const FIRST_META_TYPE = 128, LAST_META_TYPE = 255;

export interface ProofCacheOptions {
  readonly now: () => number;
  readonly maxOctets: number;
  readonly crypto: Pick<DnssecCrypto, "sha1">;
}

/** What is known about a name without asking. */
export interface Deduced {
  readonly status: AnswerStatus;
  readonly records: readonly RecordData[];
  readonly ttlSeconds: number;
  readonly zone: string;
}

/** Records of a wildcard, in the order of its server. */
export interface Wildcard {
  /** `*.` and the name above. */
  readonly owner: string;
  readonly type: number;
  readonly records: readonly RecordData[];
}

export class ProofCache {
  readonly #options: ProofCacheOptions;
  /** By apex, in the order of what was learned last. */
  readonly #zones: Map<string, ZoneProofs>;
  #octets: number;

  constructor(options: ProofCacheOptions) {
    this.#options = options;
    this.#zones = new Map();
    this.#octets = 0;
  }

  /** As they are estimated. */
  get octets(): number {
    return this.#octets;
  }

  /** Keeps what a reply proved about a zone for `ttlSeconds`. */
  put(
    proofs: { readonly zone: string; readonly nsec: readonly Nsec[]; readonly nsec3: readonly Nsec3[] },
    ttlSeconds: number,
    wildcard: Wildcard | null = null,
  ): void {
    if (ttlSeconds <= 0) return;
    const { now, maxOctets } = this.#options;
    let zone = this.#zones.get(proofs.zone) ?? new ZoneProofs();
    this.#zones.delete(proofs.zone);
    this.#octets -= zone.octets;
    if (zone.octets > maxOctets / ZONE_PART) zone = new ZoneProofs();
    zone.put(proofs, wildcard, now() + ttlSeconds * 1000);
    this.#zones.set(proofs.zone, zone);
    this.#octets += zone.octets;
    for (const [oldest, { octets }] of this.#zones) {
      if (this.#octets <= maxOctets) return;
      this.#zones.delete(oldest);
      this.#octets -= octets;
    }
  }

  /** What is proved about the name already; null when it must be asked for. Hashes are taken from `work`. */
  answer(name: string, type: number, work: Work): Deduced | null {
    if (type >= FIRST_META_TYPE && type <= LAST_META_TYPE) return null;
    for (let apex: string | null = name; apex !== null; apex = parentName(apex)) {
      const zone = this.#zones.get(apex);
      if (zone === undefined) continue;
      const now = this.#options.now();
      const question = { name, type, zone: apex, ancestors: ancestorsOf(name, apex) };
      const found = zone.byNsec(question, now) ?? zone.byNsec3(question, now, { ...this.#options, work });
      if (found === null) return null;
      const ttlSeconds = Math.ceil((found.expires - now) / 1000);
      return { status: found.status, records: found.records, ttlSeconds, zone: apex };
    }
    return null;
  }
}

interface Question {
  readonly name: string;
  readonly type: number;
  /** Its apex. */
  readonly zone: string;
  /** From the name above to the apex. */
  readonly ancestors: readonly string[];
}

interface Finding {
  readonly status: AnswerStatus;
  readonly records: readonly RecordData[];
  readonly expires: number;
}

interface Span extends Nsec3Span {
  readonly hash: Uint8Array;
}

type Parameters = Pick<Nsec3Chain, "iterations" | "salt">;

/** One zone's. */
class ZoneProofs {
  readonly #gaps: Ordered<Nsec>;
  /** By the base32hex of the hash, which has the order of the hash. */
  #spans: Ordered<Span>;
  /** Of all spans. */
  #parameters: Parameters | null;
  /** By owner and type. */
  readonly #wildcards: Map<string, Entry<readonly RecordData[]>>;
  #wildcardOctets: number;

  constructor() {
    this.#gaps = new Ordered(compareNames);
    this.#spans = new Ordered(compareText);
    this.#parameters = null;
    this.#wildcards = new Map();
    this.#wildcardOctets = 0;
  }

  get octets(): number {
    return this.#gaps.octets + this.#spans.octets + this.#wildcardOctets;
  }

  put(
    { zone, nsec, nsec3 }: {
      readonly zone: string;
      readonly nsec: readonly Nsec[];
      readonly nsec3: readonly Nsec3[];
    },
    wildcard: Wildcard | null,
    expires: number,
  ): void {
    for (const gap of nsec) {
      const octets = gap.owner.length + gap.next.length + gap.types.length;
      this.#gaps.put(gap.owner, { value: gap, expires, octets: ENTRY_OCTETS + octets });
    }
    for (const { hash, data: { iterations, salt, flags, nextHash, types } } of usableNsec3(nsec3, zone)) {
      if (this.#parameters === null || !sameParameters(this.#parameters, { iterations, salt })) {
        this.#parameters = { iterations, salt };
        this.#spans = new Ordered(compareText);
      }
      const octets = 2 * hash.length + nextHash.length + types.length;
      const value = { hash, flags, nextHash, types };
      this.#spans.put(encodeBase32Hex(hash), { value, expires, octets: ENTRY_OCTETS + octets });
    }
    if (wildcard === null) return;
    const key = `${wildcard.owner} ${wildcard.type}`;
    const octets = ENTRY_OCTETS + key.length + RECORD_OCTETS * wildcard.records.length;
    this.#wildcardOctets += octets - (this.#wildcards.get(key)?.octets ?? 0);
    this.#wildcards.set(key, { value: wildcard.records, expires, octets });
  }

  byNsec(question: Question, now: number): Finding | null {
    const { name, zone, ancestors } = question;
    const own = this.#gaps.upTo(name, now);
    if (own === null) return null;
    const used = [own];
    for (const above of ancestors) {
      const gap = this.#gaps.upTo(childName("*", above), now);
      if (gap !== null) used.push(gap);
    }
    const denial = nsecDenies(used.map(({ value }) => value), question);
    if (denial.kind === "proved") {
      return { status: denial.what, records: [], expires: Math.min(...used.map(({ expires }) => expires)) };
    }
    return this.#made(
      question,
      now,
      (wildcard) => nsecAllowsWildcard([own.value], { name, zone, wildcard }) ? own.expires : null,
    );
  }

  byNsec3(
    question: Question,
    now: number,
    context: { readonly crypto: Pick<DnssecCrypto, "sha1">; readonly work: Work },
  ): Finding | null {
    const parameters = this.#parameters, { name, zone, ancestors } = question;
    // The name, all above it, and the wildcard.
    const hashes = ancestors.length + 2;
    if (parameters === null || hashes * (parameters.iterations + 1) > MAX_HASH_ROUNDS) return null;
    let expires = Infinity;
    const use = (entry: Entry<Span> | null): Span | null => {
      if (entry === null) return null;
      expires = Math.min(expires, entry.expires);
      return entry.value;
    };
    const proofs = new Nsec3Proofs(
      {
        ...parameters,
        matching: (hash) => use(this.#spans.at(encodeBase32Hex(hash), now)),
        covering: (hash) => {
          const before = this.#spans.upTo(encodeBase32Hex(hash), now) ?? this.#spans.last(now);
          return before !== null && spans(before.value.hash, before.value.nextHash, hash)
            ? use(before)
            : null;
        },
      },
      zone,
      context,
    );
    const denial = proofs.denies(question);
    if (denial.kind === "proved") return { status: denial.what, records: [], expires };
    return this.#made(
      question,
      now,
      (wildcard) => proofs.allowsWildcard(name, wildcard).kind === "proved" ? expires : null,
    );
  }

  /** From the records of a wildcard, where `allowed` says until when the name is known to come from it. */
  #made(
    { type, ancestors }: Question,
    now: number,
    allowed: (wildcard: string) => number | null,
  ): Finding | null {
    for (const above of ancestors) {
      const owner = childName("*", above);
      const known = this.#wildcards.get(`${owner} ${type}`);
      if (known === undefined || known.expires <= now) continue;
      const until = allowed(owner);
      if (until === null) continue;
      return { status: "found", records: known.value, expires: Math.min(known.expires, until) };
    }
    return null;
  }
}

interface Entry<T> {
  readonly value: T;
  readonly expires: number;
  readonly octets: number;
}

/** Values in the order of their keys. */
class Ordered<T> {
  readonly #compare: (a: string, b: string) => number;
  readonly #entries: (Entry<T> & { readonly key: string })[];
  octets: number;

  constructor(compare: (a: string, b: string) => number) {
    this.#compare = compare;
    this.#entries = [];
    this.octets = 0;
  }

  put(key: string, entry: Entry<T>): void {
    const at = this.#place(key), old = this.#entries[at];
    const replaces = old?.key === key;
    this.octets += entry.octets - (replaces ? old.octets : 0);
    this.#entries.splice(at, replaces ? 1 : 0, { ...entry, key });
  }

  /** The live one at a key. */
  at(key: string, now: number): Entry<T> | null {
    const entry = this.#entries[this.#place(key)];
    return entry?.key === key && entry.expires > now ? entry : null;
  }

  /** The one at a key or before it, when it is live. */
  upTo(key: string, now: number): Entry<T> | null {
    const at = this.#place(key);
    return this.#live(this.#entries[at]?.key === key ? at : at - 1, now);
  }

  last(now: number): Entry<T> | null {
    return this.#live(this.#entries.length - 1, now);
  }

  #live(at: number, now: number): Entry<T> | null {
    const entry = this.#entries[at];
    return entry !== undefined && entry.expires > now ? entry : null;
  }

  /** The first place whose key is not before `key`. */
  #place(key: string): number {
    let low = 0, high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#compare(this.#entries[middle]!.key, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function ancestorsOf(name: string, apex: string): string[] {
  const ancestors: string[] = [];
  for (let up = parentName(name); up !== null && isWithin(up, apex); up = parentName(up)) ancestors.push(up);
  return ancestors;
}
