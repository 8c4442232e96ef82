/**
 * What NSEC records prove: that a name does not exist, or has no records of a type.
 *
 * RFC 4035 5.4, RFC 6840 4.1 (records of the parent's side of a zone cut, and of a DNAME, say nothing about names below)
 * and 4.3 (an alias is no lack of data). The records given here are checked already. Pure.
 */
import { canonicalName, childName, commonAncestor, compareNames, isWithin, labelCount } from "../name.ts";
import { TYPE_CODES } from "../rdata.ts";
import { bitmapHas } from "../type_bitmap.ts";

export interface Nsec {
  readonly owner: string;
  /** Lower case. */
  readonly next: string;
  readonly types: Uint8Array;
}

export type Denial =
  | { readonly kind: "proved"; readonly what: "no-data" | "no-such-domain" }
  /** In a span where unsigned delegations may stand (RFC 5155 6): insecure. */
  | { readonly kind: "opt-out" }
  | { readonly kind: "missing" };

const MISSING: Denial = { kind: "missing" };
const NO_DATA: Denial = { kind: "proved", what: "no-data" };

export function nsecOf(owner: string, data: { readonly next: string; readonly types: Uint8Array }): Nsec {
  return { owner, next: canonicalName(data.next) ?? ".", types: data.types };
}

/** `name` has no records of `type`, or does not exist, in `zone`. */
export function nsecDenies(
  records: readonly Nsec[],
  question: { readonly name: string; readonly type: number; readonly zone: string },
): Denial {
  const { name, type, zone } = question;
  const own = records.find((record) => record.owner === name);
  if (own !== undefined) return lacks(own, type, zone) ? NO_DATA : MISSING;
  const covering = records.find((record) => covers(record, name, zone));
  if (covering === undefined) return MISSING;
  // RFC 4592 2.2.2: a name without records that has names below it.
  if (isWithin(covering.next, name)) return NO_DATA;
  const encloser = closestEncloser(covering, name);
  const wildcard = childName("*", encloser);
  const made = records.find((record) => record.owner === wildcard);
  if (made !== undefined) return lacks(made, type, zone) ? NO_DATA : MISSING;
  if (records.some((record) => covers(record, wildcard, zone))) {
    return { kind: "proved", what: "no-such-domain" };
  }
  return MISSING;
}

/** The records of `name` came from a wildcard with `labels` labels: no closer name exists. RFC 4035 5.3.4. */
export function nsecAllowsWildcard(
  records: readonly Nsec[],
  question: { readonly name: string; readonly zone: string; readonly wildcard: string },
): boolean {
  const { name, zone, wildcard } = question;
  const encloserLabels = labelCount(wildcard) - 1;
  return records.some((record) =>
    covers(record, name, zone) && labelCount(closestEncloser(record, name)) === encloserLabels
  );
}

/** Between an existing name and the next one; the last name of a zone is followed by its apex. */
export function covers(record: Nsec, name: string, zone: string): boolean {
  if (!isWithin(name, zone) || !isWithin(record.owner, zone) || !isWithin(record.next, zone)) return false;
  if (compareNames(record.owner, name) >= 0) return false;
  if (record.next !== zone && compareNames(name, record.next) >= 0) return false;
  // RFC 6840 4.1.
  return !(isWithin(name, record.owner) &&
    (isParentSide(record.types) || bitmapHas(record.types, TYPE_CODES.DNAME)));
}

/** The deepest name above `name` that exists: the neighbours show it. */
function closestEncloser(record: Nsec, name: string): string {
  const one = commonAncestor(name, record.owner), other = commonAncestor(name, record.next);
  return labelCount(one) > labelCount(other) ? one : other;
}

/** RFC 4035 5.4 and RFC 6840 4.3. */
function lacks(record: Nsec, type: number, zone: string): boolean {
  const { types } = record;
  if (bitmapHas(types, type) || bitmapHas(types, TYPE_CODES.CNAME)) return false;
  return rightSide(types, { type, apex: record.owner === zone });
}

/** DS stands on the parent's side of a cut, everything else on the child's. */
export function rightSide(
  types: Uint8Array,
  about: { readonly type: number; readonly apex: boolean },
): boolean {
  if (about.type !== TYPE_CODES.DS) return !isParentSide(types);
  return !about.apex || !bitmapHas(types, TYPE_CODES.SOA);
}

/** A delegation as its parent sees it. */
export function isParentSide(types: Uint8Array): boolean {
  return bitmapHas(types, TYPE_CODES.NS) && !bitmapHas(types, TYPE_CODES.SOA);
}
