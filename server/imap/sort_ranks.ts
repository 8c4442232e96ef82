/**
 * The order of all messages of a mailbox by one sort key, in memory: each message's rank, and what stands at each rank.
 *
 * What SORT compares never changes while a message exists, so ranks are made once; for messages that came since only
 * theirs is read. Sorting is then counting. Hot: SORT of a large mailbox again and again. Limit: {@linkcode MAX_OCTETS} a
 * thread, the order that was not used for longest goes first.
 */
import { mergeOrder } from "../../protocols/imap/merge_order.ts";
import type { Candidate } from "./search_result.ts";

export const MAX_OCTETS = 32 * 1024 * 1024;
/** Between two pauses. */
const SLICE = 50_000;
/** Of a text in memory, beside its characters. */
const TEXT_OCTETS = 24;

export type SortValue = number | string;

export interface RankedOrder {
  /** Ascending. */
  readonly uids: Uint32Array;
  /** Of the message at the same place: a place in `values`. */
  readonly ranks: Uint32Array;
  /** Each once, ascending. */
  readonly values: readonly SortValue[];
}

export class SortRanks {
  /** In order of last use, by mailbox and key. */
  #orders = new Map<string, RankedOrder & { readonly octets: number }>();
  #octets = 0;
  readonly #maxOctets: number;

  constructor(maxOctets = MAX_OCTETS) {
    this.#maxOctets = maxOctets;
  }

  get(key: string): RankedOrder | null {
    const found = this.#orders.get(key);
    if (found === undefined) return null;
    this.#orders.delete(key);
    this.#orders.set(key, found);
    return found;
  }

  put(key: string, order: RankedOrder): void {
    const old = this.#orders.get(key);
    if (old !== undefined) this.#octets -= old.octets;
    this.#orders.delete(key);
    let octets = 8 * order.uids.length;
    for (const value of order.values) octets += typeof value === "string" ? TEXT_OCTETS + value.length : 8;
    this.#orders.set(key, { ...order, octets });
    this.#octets += octets;
    for (const [oldest, one] of this.#orders) {
      if (this.#octets <= this.#maxOctets) break;
      this.#orders.delete(oldest);
      this.#octets -= one.octets;
    }
  }
}

/** `order` with messages that came behind it, ascending by UID, and what they are sorted by. */
export function* extended(
  order: RankedOrder | null,
  added: { readonly uids: readonly number[]; readonly values: readonly SortValue[] },
): Generator<void, RankedOrder> {
  const old = order ?? { uids: new Uint32Array(0), ranks: new Uint32Array(0), values: [] };
  const all = [...new Set(added.values)];
  const sorted = yield* mergeOrder(all.length, (a, b) => all[a]! < all[b]! ? -1 : 1);
  const fresh = Array.from(sorted, (at) => all[at]!);
  // Both lists of values in one, and where each old one went.
  const values: SortValue[] = [];
  const places = new Uint32Array(old.values.length);
  const rankOf = new Map<SortValue, number>();
  for (let left = 0, right = 0; left < old.values.length || right < fresh.length;) {
    const a = old.values[left], b = fresh[right];
    const takeOld = b === undefined || (a !== undefined && a <= b);
    const value = takeOld ? a! : b;
    if (takeOld) places[left++] = values.length;
    if (value === b) {
      rankOf.set(b, values.length);
      right++;
    }
    values.push(value);
    if (values.length % SLICE === 0) yield;
  }
  const count = old.uids.length;
  const uids = new Uint32Array(count + added.uids.length);
  const ranks = new Uint32Array(uids.length);
  uids.set(old.uids);
  uids.set(added.uids, count);
  for (let at = 0; at < count; at++) ranks[at] = places[old.ranks[at]!]!;
  yield;
  for (let at = 0; at < added.uids.length; at++) ranks[count + at] = rankOf.get(added.values[at]!)!;
  return { uids, ranks, values };
}

/** The ranks of some messages, which ascend; 0 for one that is not there. */
export function ranksOf({ uids, ranks }: RankedOrder, hits: readonly Candidate[]): Uint32Array {
  const result = new Uint32Array(hits.length);
  let at = 0;
  for (let place = 0; place < hits.length; place++) {
    const { uid } = hits[place]!;
    while (at < uids.length && uids[at]! < uid) at++;
    if (uids[at] === uid) result[place] = ranks[at]!;
  }
  return result;
}

export interface RankedKey {
  /** By place. */
  readonly ranks: Uint32Array;
  /** How many there are. */
  readonly distinct: number;
  readonly reverse: boolean;
}

/** The places in order of the keys, the first of which counts most; equal ones stay as they are (RFC 5256 3). */
export function* countingOrder(count: number, keys: readonly RankedKey[]): Generator<void, Uint32Array> {
  let from = new Uint32Array(count), to = new Uint32Array(count);
  for (let at = 0; at < count; at++) from[at] = at;
  for (const { ranks, distinct, reverse } of keys.toReversed()) {
    const starts = new Uint32Array(distinct + 1);
    const rank = (place: number) => reverse ? distinct - 1 - ranks[place]! : ranks[place]!;
    for (let at = 0; at < count; at++) {
      starts[rank(at) + 1]!++;
      if (at % SLICE === SLICE - 1) yield;
    }
    for (let at = 1; at <= distinct; at++) starts[at]! += starts[at - 1]!;
    yield;
    for (let at = 0; at < count; at++) {
      const place = from[at]!;
      to[starts[rank(place)]!++] = place;
      if (at % SLICE === SLICE - 1) yield;
    }
    [from, to] = [to, from];
  }
  return from;
}
