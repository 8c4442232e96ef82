/**
 * One session's view of its mailbox: its own sequence numbers over the shared index, and what it must still be told.
 *
 * RFC 3501 2.3.1.2, 5.2, 7.3.1, 7.4.1. The index is ahead of the client: expunged messages keep their number here
 * until EXPUNGE may be told, new ones have none until EXISTS is. Nothing is stored per message: numbers are computed
 * from the index and the (short) list of expunges not yet told, so a session costs the same in a mailbox of ten
 * messages and of a million. Pure. Limit: {@linkcode MAX_PENDING_FLAGS}; past it changed flags are found again by
 * modseq.
 */
import { joinRanges, LARGEST, type Ranges, type SequenceSet } from "./sequence_set.ts";

const MAX_PENDING_FLAGS = 10_000;

/** What the view asks of the mailbox index; UIDs ascend with positions. */
export interface UidIndex {
  readonly count: number;
  readonly uidNext: number;
  uidAt(position: number): number;
  modSeqAt(position: number): number;
  /** Position of a UID, or -1. */
  positionOf(uid: number): number;
  /** First position whose UID is at least `uid`. */
  lowerBound(uid: number): number;
}

/** Called with a sequence number, its UID, and its position in the index or -1 when it is expunged. */
export type Visit = (sequence: number, uid: number, position: number) => void;

export class MailboxView {
  readonly index: UidIndex;
  /** Messages the client knows of. */
  exists: number;
  /** UIDs from here on are \Recent in this session. */
  recentFrom: number;

  /** The largest UID the client was told of by EXISTS. */
  #lastUid: number;
  /** UIDs gone from the index whose EXPUNGE is still to be told, ascending. */
  #gone: number[] = [];
  /** MODSEQ of the first of these expunges; Infinity without. */
  #goneModSeq = Infinity;
  #flags = new Set<number>();
  /** Every message changed since this modseq is to be told; Infinity when `#flags` holds them all. */
  #flagsSince = Infinity;
  /** Flag changes that arrived while a STORE of our own is under way. */
  #during: { modSeq: number; uids: readonly number[] }[] | null = null;

  constructor(index: UidIndex, recentFrom: number) {
    this.index = index;
    this.exists = index.count;
    this.recentFrom = recentFrom;
    this.#lastUid = index.count === 0 ? 0 : index.uidAt(index.count - 1);
  }

  /** The largest UID the client knows; 0 in an empty mailbox. */
  get largestUid(): number {
    return this.exists === 0 ? 0 : this.uidOf(this.exists);
  }

  /** Messages that are \Recent here. */
  get recent(): number {
    return this.exists - (this.#lowerSequence(this.recentFrom) - 1);
  }

  /** UID of a sequence number from 1 to `exists`. */
  uidOf(sequence: number): number {
    const gone = this.#goneBefore(sequence);
    const hidden = this.#gone[gone];
    if (hidden !== undefined && this.#sequenceOfGone(gone) === sequence) return hidden;
    return this.index.uidAt(sequence - 1 - gone);
  }

  /** Sequence number of a UID the client knows; 0 when it has none. */
  sequenceOf(uid: number): number {
    if (uid > this.#lastUid) return 0;
    const gone = lowerBound(this.#gone, uid);
    if (this.#gone[gone] !== uid && this.index.positionOf(uid) < 0) return 0;
    return this.index.lowerBound(uid) + gone + 1;
  }

  /** Sequence ranges of a set of sequence numbers; null when one is out of range (BAD). */
  resolveSequence(set: SequenceSet): Ranges | null {
    const ranges: [number, number][] = [];
    for (const [a, b] of set) {
      const from = a === LARGEST ? this.exists : a;
      const to = b === LARGEST ? this.exists : b;
      if (from > this.exists || to > this.exists || from === 0 || to === 0) return null;
      ranges.push(from <= to ? [from, to] : [to, from]);
    }
    return joinRanges(ranges);
  }

  /** The same for searching, where numbers beyond the end match nothing (RFC 7377 2). */
  clipSequence(set: SequenceSet): Ranges {
    const ranges: [number, number][] = [];
    for (const [a, b] of set) {
      const x = a === LARGEST ? this.exists : a;
      const y = b === LARGEST ? this.exists : b;
      const from = Math.max(1, Math.min(x, y)), to = Math.min(this.exists, Math.max(x, y));
      if (from <= to) ranges.push([from, to]);
    }
    return joinRanges(ranges);
  }

  /** Sequence ranges of a set of UIDs; unknown UIDs are left out (RFC 3501 6.4.8). */
  resolveUids(set: SequenceSet): Ranges {
    const ranges: [number, number][] = [];
    const largest = this.largestUid;
    if (largest === 0) return ranges;
    for (const [a, b] of set) {
      const x = a === LARGEST ? largest : a;
      const y = b === LARGEST ? largest : b;
      const from = this.#lowerSequence(Math.min(x, y));
      const to = this.#lowerSequence(Math.max(x, y) + 1) - 1;
      if (from <= to) ranges.push([from, to]);
    }
    return joinRanges(ranges);
  }

  /** UID ranges covering the given sequence ranges: each from the first to the last UID of its range. */
  uidRanges(ranges: Ranges): Ranges {
    return ranges.map(([from, to]) => [this.uidOf(from), this.uidOf(to)] as const);
  }

  /** Visits the messages of one sequence range in order. Nothing may change the index meanwhile. */
  walk(from: number, to: number, visit: Visit): void {
    const { index } = this;
    let gone = this.#goneBefore(from);
    let position = from - 1 - gone;
    let hidden = this.#gone[gone] ?? Infinity;
    for (let sequence = from; sequence <= to; sequence++) {
      const uid = position < index.count ? index.uidAt(position) : Infinity;
      if (hidden < uid) {
        visit(sequence, hidden, -1);
        hidden = this.#gone[++gone] ?? Infinity;
      } else {
        visit(sequence, uid, position++);
      }
    }
  }

  /** The index has lost these UIDs. */
  noteExpunged(uids: readonly number[], modSeq: number): void {
    const last = this.#gone.at(-1) ?? 0;
    let sorted = true;
    for (const uid of uids) {
      if (uid > this.#lastUid) continue;
      if (uid <= last) sorted = false;
      this.#gone.push(uid);
      this.#goneModSeq = Math.min(this.#goneModSeq, modSeq);
    }
    if (!sorted) this.#gone = [...new Set(this.#gone)].sort((a, b) => a - b);
  }

  /** The flags of these UIDs changed. */
  noteFlags(uids: readonly number[], modSeq: number): void {
    if (this.#during !== null) {
      this.#during.push({ modSeq, uids });
      return;
    }
    if (this.#flagsSince !== Infinity) return;
    for (const uid of uids) if (uid <= this.#lastUid) this.#flags.add(uid);
    if (this.#flags.size <= MAX_PENDING_FLAGS) return;
    // Everything from the oldest change not yet told on; telling one twice does no harm.
    let since = modSeq;
    for (const uid of this.#flags) {
      const position = this.index.positionOf(uid);
      if (position >= 0) since = Math.min(since, this.index.modSeqAt(position));
    }
    this.#flags.clear();
    this.#flagsSince = since;
  }

  /** A STORE of this session begins: its own changes are kept apart until `endStore`. */
  beginStore(): void {
    this.#during = [];
  }

  /** It ended with this modseq; the client knows of its own changes (or gets them from the caller). */
  endStore(modSeq: number | null): void {
    const during = this.#during ?? [];
    this.#during = null;
    for (const change of during) if (change.modSeq !== modSeq) this.noteFlags(change.uids, change.modSeq);
  }

  get hasExpunged(): boolean {
    return this.#gone.length > 0;
  }

  /** MODSEQ of the first expunge that is still to be told; Infinity when all are. */
  get goneModSeq(): number {
    return this.#goneModSeq;
  }

  /** UIDs whose EXPUNGE is still to be told. */
  get gone(): readonly number[] {
    return this.#gone;
  }

  /** True when there is anything to tell. */
  get behind(): boolean {
    return this.#gone.length > 0 || this.#flags.size > 0 || this.#flagsSince !== Infinity ||
      this.index.count + this.#gone.length !== this.exists;
  }

  /** The UIDs for a VANISHED response, ascending; the messages are gone for this session. */
  takeVanished(): readonly number[] {
    const uids = this.#gone;
    this.#forgetGone();
    return uids;
  }

  /** The numbers for EXPUNGE responses in the order to send them; the messages are gone for this session. */
  takeExpunged(): number[] {
    const numbers = this.#gone.map((uid) => this.index.lowerBound(uid) + 1);
    this.#forgetGone();
    return numbers;
  }

  #forgetGone(): void {
    this.exists -= this.#gone.length;
    this.#gone = [];
    this.#goneModSeq = Infinity;
  }

  /** The new number of messages when it grew, else null. */
  takeExists(): number | null {
    const now = this.index.count + this.#gone.length;
    if (now === this.exists) return null;
    this.exists = now;
    this.#lastUid = Math.max(this.#lastUid, this.index.uidAt(this.index.count - 1));
    return now;
  }

  /** UIDs whose flags are to be told, ascending, at most `limit`; the rest stays for the next call. */
  takeFlags(limit: number): number[] {
    if (this.#flagsSince !== Infinity) this.#findChanged();
    let uids = [...this.#flags].sort((a, b) => a - b);
    if (uids.length > limit) uids = uids.slice(0, limit);
    for (const uid of uids) this.#flags.delete(uid);
    return uids.filter((uid) => this.index.positionOf(uid) >= 0);
  }

  #findChanged(): void {
    const since = this.#flagsSince;
    this.#flagsSince = Infinity;
    const known = this.index.lowerBound(this.#lastUid + 1);
    for (let position = 0; position < known; position++) {
      if (this.index.modSeqAt(position) >= since) this.#flags.add(this.index.uidAt(position));
    }
  }

  /** First sequence number whose UID is at least `uid`; `exists + 1` when there is none. */
  #lowerSequence(uid: number): number {
    if (uid > this.#lastUid) return this.exists + 1;
    return this.index.lowerBound(uid) + lowerBound(this.#gone, uid) + 1;
  }

  #sequenceOfGone(k: number): number {
    return this.index.lowerBound(this.#gone[k]!) + k + 1;
  }

  /** How many expunged messages have a smaller sequence number. */
  #goneBefore(sequence: number): number {
    let low = 0, high = this.#gone.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#sequenceOfGone(middle) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function lowerBound(sorted: readonly number[], value: number): number {
  let low = 0, high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
