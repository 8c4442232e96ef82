/**
 * The order of all messages of a mailbox by one sort key, in memory: each message's rank, and what stands at each rank.
 *
 * What SORT compares never changes while a message exists, so ranks are made once; for messages that came since only
 * theirs is read. Sorting is then counting. Hot: SORT of a large mailbox again and again.
 */
import { mergeOrder } from "../../protocols/imap/merge_order.ts";

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
  /** Of the message at the same place: 1 for a subject that was that of an answer; empty for other keys. */
  readonly answers: Uint8Array;
  readonly octets: number;
}

const NOTHING = {
  ...{ uids: new Uint32Array(0), ranks: new Uint32Array(0), values: [], answers: new Uint8Array(0) },
} satisfies Partial<RankedOrder>;

/** `order` with messages that came behind it, ascending by UID, and what they are sorted by. */
export function* extended(
  order: RankedOrder | null,
  added: {
    readonly uids: ArrayLike<number>;
    readonly values: readonly SortValue[];
    readonly answers?: Uint8Array;
  },
): Generator<void, RankedOrder> {
  const old = order ?? NOTHING;
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
  const answers = new Uint8Array(added.answers === undefined ? 0 : uids.length);
  if (added.answers !== undefined) {
    answers.set(old.answers);
    answers.set(added.answers, count);
  }
  let octets = 8 * uids.length + answers.length;
  for (const value of values) octets += typeof value === "string" ? TEXT_OCTETS + value.length : 8;
  return { uids, ranks, values, answers, octets };
}

/** Of some messages, which ascend, what a column holds beside `uids`, which ascend too; `none` for one that is not there. */
export function gathered<T extends Uint32Array | Int32Array | Uint8Array>(
  { uids, column }: { readonly uids: Uint32Array; readonly column: T },
  wanted: Uint32Array,
  { into, none = 0 }: { readonly into: T; readonly none?: number },
): T {
  let at = 0;
  for (let place = 0; place < wanted.length; place++) {
    const uid = wanted[place]!;
    while (at < uids.length && uids[at]! < uid) at++;
    into[place] = uids[at] === uid ? column[at]! : none;
  }
  return into;
}

/** The ranks of some messages, which ascend; 0 for one that is not there. */
export function ranksOf({ uids, ranks: column }: RankedOrder, wanted: Uint32Array): Uint32Array {
  return gathered<Uint32Array>({ uids, column }, wanted, { into: new Uint32Array(wanted.length) });
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
    const starts = startsOf(ranks, distinct, reverse);
    yield;
    for (let at = 0; at < count; at += SLICE) {
      place(from.subarray(at, at + SLICE), to, ranks, starts);
      yield;
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Where those of each rank begin. */
function startsOf(ranks: Uint32Array, distinct: number, reverse: boolean): Uint32Array {
  const starts = new Uint32Array(distinct);
  for (let at = 0; at < ranks.length; at++) starts[ranks[at]!]!++;
  for (let at = 0, before = 0; at < distinct; at++) {
    const rank = reverse ? distinct - 1 - at : at;
    const count = starts[rank]!;
    starts[rank] = before;
    before += count;
  }
  return starts;
}

/** A function of its own, which is compiled sooner than a part of a generator. */
function place(places: Uint32Array, to: Uint32Array, ranks: Uint32Array, starts: Uint32Array): void {
  for (let at = 0; at < places.length; at++) {
    const one = places[at]!, rank = ranks[one]!;
    const start = starts[rank]!;
    to[start] = one;
    starts[rank] = start + 1;
  }
}
