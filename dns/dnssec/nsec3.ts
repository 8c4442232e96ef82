/**
 * What NSEC3 records prove: the same as NSEC, over hashes of names.
 *
 * RFC 5155 8. Records with an unknown hash, unknown flags, or other parameters than the first one are passed over
 * (8.1, 8.2). With more than {@linkcode MAX_ITERATIONS} extra rounds the zone counts as insecure (RFC 9276 3.2). Every
 * round is taken from the question's {@linkcode Work} (CVE-2023-50868). The records given here are checked already.
 */
import { childName, isWithin, nameOctets, parentName } from "../name.ts";
import { TYPE_CODES } from "../rdata.ts";
import type { Nsec3Data } from "../rdata_dnssec.ts";
import { compareOctets } from "../rrset.ts";
import { bitmapHas } from "../type_bitmap.ts";
import type { Work } from "../work.ts";
import type { DnssecCrypto } from "./crypto.ts";
import { type Denial, isParentSide, rightSide } from "./nsec.ts";

export const MAX_ITERATIONS = 150;
const SHA1 = 1, OPT_OUT = 0x01;

export interface Nsec3 {
  readonly owner: string;
  readonly data: Nsec3Data;
}

/** The part of a record that proves something. */
export type Nsec3Span = Pick<Nsec3Data, "flags" | "nextHash" | "types">;

/** Records of one zone that belong together, found by the hash of a name. */
export interface Nsec3Chain {
  readonly iterations: number;
  readonly salt: Uint8Array;
  matching(hash: Uint8Array): Nsec3Span | null;
  /** RFC 5155 1.3: between a hash and the next one. */
  covering(hash: Uint8Array): Nsec3Span | null;
}

export type Nsec3Denial = Denial | { readonly kind: "too-many-iterations" };

const MISSING: Denial = { kind: "missing" };
const NO_DATA: Denial = { kind: "proved", what: "no-data" };

/** Records that can be of use, and the hash in the name of each: of a known hash, known flags, right below the zone. */
export function usableNsec3(
  records: readonly Nsec3[],
  zone: string,
): { readonly hash: Uint8Array; readonly data: Nsec3Data }[] {
  const hashed = records.flatMap(({ owner, data }) => {
    if (data.hashAlgorithm !== SHA1 || (data.flags & ~OPT_OUT) !== 0 || parentName(owner) !== zone) return [];
    const dot = owner.indexOf(".");
    const hash = decodeBase32Hex(owner.slice(0, dot < 0 ? owner.length : dot));
    return hash === null ? [] : [{ hash, data }];
  });
  const first = hashed[0]?.data;
  return hashed.filter(({ data }) => sameParameters(data, first!));
}

export function sameParameters(
  one: Pick<Nsec3Data, "iterations" | "salt">,
  other: Pick<Nsec3Data, "iterations" | "salt">,
): boolean {
  return one.iterations === other.iterations && compareOctets(one.salt, other.salt) === 0;
}

/** `hash` lies behind `owner` and before `next`; the last hash is followed by the first. */
export function spans(owner: Uint8Array, next: Uint8Array, hash: Uint8Array): boolean {
  const behind = compareOctets(owner, hash) < 0, before = compareOctets(hash, next) < 0;
  return compareOctets(owner, next) < 0 ? behind && before : behind || before;
}

/** The records of one message; null without any. */
export function chainOf(records: readonly Nsec3[], zone: string): Nsec3Chain | null {
  const usable = usableNsec3(records, zone);
  if (usable.length === 0) return null;
  const { iterations, salt } = usable[0]!.data;
  return {
    iterations,
    salt,
    matching: (hash) => usable.find((record) => compareOctets(record.hash, hash) === 0)?.data ?? null,
    covering: (hash) => usable.find((record) => spans(record.hash, record.data.nextHash, hash))?.data ?? null,
  };
}

/** All that is known about one zone while one question is answered. */
export class Nsec3Proofs {
  readonly #chain: Nsec3Chain | null;
  readonly #zone: string;
  readonly #context: { readonly crypto: Pick<DnssecCrypto, "sha1">; readonly work: Work };
  /** By name: one question asks for the same hashes more than once. */
  readonly #hashes: Map<string, Uint8Array>;

  constructor(
    chain: Nsec3Chain | null,
    zone: string,
    context: { readonly crypto: Pick<DnssecCrypto, "sha1">; readonly work: Work },
  ) {
    this.#chain = chain;
    this.#zone = zone;
    this.#context = context;
    this.#hashes = new Map();
  }

  get tooManyIterations(): boolean {
    return this.#chain !== null && this.#chain.iterations > MAX_ITERATIONS;
  }

  /** `name` has no records of `type`, or does not exist. */
  denies(question: { readonly name: string; readonly type: number }): Nsec3Denial {
    const { name, type } = question;
    if (this.tooManyIterations) return { kind: "too-many-iterations" };
    const own = this.#matching(name);
    if (own !== null) return this.#lacks(own, name, type) ? NO_DATA : MISSING;
    const found = this.#closestEncloser(name);
    if (found === null) return MISSING;
    const { encloser, next } = found;
    const optOut = (next.flags & OPT_OUT) !== 0;
    // RFC 5155 8.6: an unsigned delegation in an opt-out span.
    if (type === TYPE_CODES.DS && optOut) return { kind: "opt-out" };
    const wildcard = childName("*", encloser);
    const made = this.#matching(wildcard);
    if (made !== null) {
      return this.#lacks(made, wildcard, type) ? (optOut ? { kind: "opt-out" } : NO_DATA) : MISSING;
    }
    if (this.#covering(wildcard) === null) return MISSING;
    // RFC 5155 9.2: the name may be an unsigned delegation, or below one.
    return optOut ? { kind: "opt-out" } : { kind: "proved", what: "no-such-domain" };
  }

  /** RFC 5155 8.8: the next closer name of an expanded wildcard does not exist. */
  allowsWildcard(name: string, wildcard: string): Nsec3Denial {
    if (this.tooManyIterations) return { kind: "too-many-iterations" };
    const encloser = parentName(wildcard)!;
    const next = nextCloser(name, encloser);
    const covering = next === null ? null : this.#covering(next);
    if (covering === null) return MISSING;
    return (covering.flags & OPT_OUT) !== 0
      ? { kind: "opt-out" }
      : { kind: "proved", what: "no-such-domain" };
  }

  /** The types at `name` when a record matches it. */
  typesAt(name: string): Uint8Array | null {
    return this.tooManyIterations ? null : this.#matching(name)?.types ?? null;
  }

  #lacks({ types }: Nsec3Span, name: string, type: number): boolean {
    if (bitmapHas(types, type) || bitmapHas(types, TYPE_CODES.CNAME)) return false;
    return rightSide(types, { type, apex: name === this.#zone });
  }

  /** RFC 5155 8.3: the deepest ancestor with a record, and the record over the name below it. */
  #closestEncloser(name: string): { encloser: string; next: Nsec3Span } | null {
    let below = name;
    for (let at = parentName(name); at !== null && isWithin(at, this.#zone); at = parentName(at)) {
      const matching = this.#matching(at);
      if (matching !== null) {
        const { types } = matching;
        if (isParentSide(types) || bitmapHas(types, TYPE_CODES.DNAME)) return null;
        const next = this.#covering(below);
        return next && { encloser: at, next };
      }
      below = at;
    }
    return null;
  }

  #matching(name: string): Nsec3Span | null {
    return this.#chain && this.#chain.matching(this.#hash(name, this.#chain));
  }

  #covering(name: string): Nsec3Span | null {
    return this.#chain && this.#chain.covering(this.#hash(name, this.#chain));
  }

  /** RFC 5155 5. */
  #hash(name: string, { iterations, salt }: Nsec3Chain): Uint8Array {
    const known = this.#hashes.get(name);
    if (known !== undefined) return known;
    this.#context.work.spend("hashRounds", name, iterations + 1);
    let hash: Uint8Array = nameOctets(name)!;
    for (let round = 0; round <= iterations; round++) {
      const input = new Uint8Array(hash.length + salt.length);
      input.set(hash);
      input.set(salt, hash.length);
      hash = this.#context.crypto.sha1(input);
    }
    this.#hashes.set(name, hash);
    return hash;
  }
}

/** The name one label below `encloser` on the way to `name`. */
function nextCloser(name: string, encloser: string): string | null {
  for (let at: string | null = name; at !== null; at = parentName(at)) {
    if (parentName(at) === encloser) return at;
  }
  return null;
}

const BASE32HEX = "0123456789abcdefghijklmnopqrstuv";

/** RFC 4648 7 without padding, as NSEC3 owners have it; null when it is none. */
export function decodeBase32Hex(text: string): Uint8Array | null {
  const octets: number[] = [];
  let bits = 0, count = 0;
  for (const character of text.toLowerCase()) {
    const value = BASE32HEX.indexOf(character);
    if (value < 0) return null;
    bits = (bits << 5 | value) & 0xfff;
    count += 5;
    if (count >= 8) {
      count -= 8;
      octets.push(bits >> count & 0xff);
    }
  }
  return Uint8Array.from(octets);
}

export function encodeBase32Hex(octets: Uint8Array): string {
  let text = "", bits = 0, count = 0;
  for (const octet of octets) {
    bits = (bits << 8 | octet) & 0xfff;
    count += 8;
    while (count >= 5) {
      count -= 5;
      text += BASE32HEX[bits >> count & 31];
    }
  }
  return count > 0 ? text + BASE32HEX[bits << 5 - count & 31] : text;
}
