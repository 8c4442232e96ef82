/**
 * Proven gaps of signed zones, to answer for names nobody has asked for yet (RFC 8198: aggressive use of NSEC).
 *
 * Zones with NSEC only: a gap of NSEC3 tells nothing without hashing for every question. Limits: {@linkcode MAX_ZONES}
 * zones, {@linkcode MAX_GAPS} gaps of each; the oldest zone goes first, and a full zone begins anew.
 */
import { type Denial, type Nsec, nsecDenies } from "./dnssec/nsec.ts";
import { compareNames, parentName } from "./name.ts";

const MAX_ZONES = 500;
const MAX_GAPS = 2_000;

interface Gap extends Nsec {
  readonly expires: number;
}

export class NsecCache {
  readonly #now: () => number;
  /** Gaps in the order of their owners. */
  readonly #zones: Map<string, Gap[]>;

  constructor(now: () => number) {
    this.#now = now;
    this.#zones = new Map();
  }

  put(zone: string, records: readonly Nsec[], ttlSeconds: number): void {
    let gaps = this.#zones.get(zone) ?? [];
    if (gaps.length + records.length > MAX_GAPS) gaps = [];
    const expires = this.#now() + ttlSeconds * 1000;
    for (const record of records) {
      const at = place(gaps, record.owner);
      gaps.splice(at, gaps[at]?.owner === record.owner ? 1 : 0, { ...record, expires });
    }
    this.#zones.delete(zone);
    this.#zones.set(zone, gaps);
    if (this.#zones.size > MAX_ZONES) this.#zones.delete(this.#zones.keys().next().value!);
  }

  /** What is proved about the name already; null when it must be asked for. */
  deny(
    name: string,
    type: number,
  ): { readonly denial: Denial & { kind: "proved" }; readonly ttlSeconds: number } | null {
    for (let zone: string | null = name; zone !== null; zone = parentName(zone)) {
      const gaps = this.#zones.get(zone);
      if (gaps === undefined) continue;
      const own = this.#at(gaps, name);
      const ancestors: string[] = [];
      for (let up = parentName(name); up !== null; up = parentName(up)) {
        ancestors.push(up === "." ? "*" : `*.${up}`);
      }
      const used = [own, ...ancestors.map((wildcard) => this.#at(gaps, wildcard))].filter((gap) =>
        gap !== null
      );
      const denial = nsecDenies(used, { name, type, zone });
      if (denial.kind !== "proved") return null;
      const ttlSeconds = Math.ceil((Math.min(...used.map(({ expires }) => expires)) - this.#now()) / 1000);
      return { denial, ttlSeconds };
    }
    return null;
  }

  /** The live gap at or before a name. */
  #at(gaps: readonly Gap[], name: string): Gap | null {
    const at = place(gaps, name);
    const gap = gaps[at]?.owner === name ? gaps[at] : gaps[at - 1];
    return gap !== undefined && gap.expires > this.#now() ? gap : null;
  }
}

/** The first place whose owner is not before `name`. */
function place(gaps: readonly Gap[], name: string): number {
  let low = 0, high = gaps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (compareNames(gaps[middle]!.owner, name) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
