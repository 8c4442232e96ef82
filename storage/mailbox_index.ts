/**
 * (uid, flags, modseq) of every message of one mailbox in typed arrays: 13 octets a message, shared by all sessions of
 * a thread. FETCH FLAGS, SEARCH by flags and sequence numbers are answered from here.
 *
 * Loaded in chunks that yield to the event loop; changes that arrive meanwhile are applied afterwards (a change is
 * newer than a row when its MODSEQ is). Keywords take 4 octets more once a message has some: each set of them is kept once.
 */
import type { Change, ChangeListener, FlagState } from "./changes.ts";
import type { RawStatement } from "./libsql.ts";

/**
 * (uid, flags, keywords, modseq) of every message of one mailbox in memory, in UID order, advanced by the change
 * stream. Shared by this thread's sessions: read it, never write to it. Sessions keep their own sequence numbers.
 */
export interface MailboxIndex {
  readonly mailboxId: number;
  readonly count: number;
  readonly uidNext: number;
  readonly uidValidity: number;
  readonly highestModSeq: number;
  /** False once the mailbox is deleted. */
  readonly exists: boolean;
  uidAt(position: number): number;
  flagsAt(position: number): number;
  keywordsAt(position: number): string;
  modSeqAt(position: number): number;
  /** Visits the first `count` messages whose flags are so, in order: a million messages take a millisecond. */
  eachWithFlags(flags: FlagMask, count: number, visit: (position: number) => void): void;
  /** UIDs of what has a larger MODSEQ, ascending: a million messages take a millisecond. */
  changedSince(modSeq: number): number[];
  /** Position of a UID, or -1. Binary search. */
  positionOf(uid: number): number;
  /** First position whose UID is at least `uid`. */
  lowerBound(uid: number): number;
  /** Called after each change was applied to the index. */
  subscribe(listener: ChangeListener): () => void;
  release(): void;
}

/** Flags that must be there (`value`) of those that are looked at (`mask`), as bits. */
export interface FlagMask {
  readonly mask: number;
  readonly value: number;
}

/** What they leave behind stays among the young objects; a larger slice costs no less. */
const CHUNK_ROWS = 5_000;
/** Sets of keywords kept beyond one for each message before unused ones are looked for. */
const SPARE_SETS = 1_000;

export class SharedMailboxIndex implements MailboxIndex {
  readonly mailboxId: number;
  count = 0;
  uidNext: number;
  uidValidity: number;
  highestModSeq: number;
  exists = true;
  #uids = new Uint32Array(0);
  #flags = new Uint8Array(0);
  #modSeqs = new Float64Array(0);
  /** Each message's set of keywords as its place in `#sets`; empty while no message has any. */
  #keywords = new Uint32Array(0);
  #sets: string[] = [""];
  #placeOf = new Map<string, number>([["", 0]]);
  #listeners = new Set<ChangeListener>();
  #onRelease: () => void;
  /** Changes that arrived while the rows were being read; null once loaded. */
  #pending: Change[] | null = [];

  constructor(
    facts: { mailboxId: number; uidNext: number; uidValidity: number; highestModSeq: number },
    onRelease: () => void,
  ) {
    this.mailboxId = facts.mailboxId;
    this.uidNext = facts.uidNext;
    this.uidValidity = facts.uidValidity;
    this.highestModSeq = facts.highestModSeq;
    this.#onRelease = onRelease;
  }

  /** Reads all rows through `select` (mailbox, after UID, limit), giving way after each chunk. */
  async load(select: RawStatement, expected: number): Promise<void> {
    this.#reserve(expected);
    for (let after = 0;;) {
      const row = select.get(this.mailboxId, after, CHUNK_ROWS);
      const [uids, flags, modSeqs, keywords] = (row ?? ["[]", "[]", "[]", "{}"]) as [
        string,
        string,
        string,
        string,
      ];
      const chunk = JSON.parse(uids) as number[];
      if (chunk.length === 0) break;
      const at = this.count;
      this.#reserve(at + chunk.length);
      this.#uids.set(chunk, at);
      this.#flags.set(JSON.parse(flags) as number[], at);
      this.#modSeqs.set(JSON.parse(modSeqs) as number[], at);
      this.count += chunk.length;
      for (const [uid, words] of Object.entries(JSON.parse(keywords) as Record<string, string>)) {
        this.#setKeywords(this.positionOf(Number(uid)), words);
      }
      after = chunk.at(-1)!;
      if (chunk.length < CHUNK_ROWS) break;
      await new Promise((resolve) => setImmediate(resolve)); // a timer would wait for a millisecond
    }
    const pending = this.#pending ?? [];
    this.#pending = null;
    if (this.count > 0) this.uidNext = Math.max(this.uidNext, this.#uids[this.count - 1]! + 1);
    for (const change of pending) this.apply(change);
  }

  uidAt(position: number): number {
    return this.#uids[position] ?? 0;
  }

  flagsAt(position: number): number {
    return this.#flags[position] ?? 0;
  }

  keywordsAt(position: number): string {
    return this.#sets[this.#keywords[position] ?? 0] ?? "";
  }

  modSeqAt(position: number): number {
    return this.#modSeqs[position] ?? 0;
  }

  /** Four at a time: where little is asked for, the engine never compiles this. */
  eachWithFlags({ mask, value }: FlagMask, count: number, visit: (position: number) => void): void {
    const flags = this.#flags, end = Math.min(count, this.count);
    const fours = new Uint32Array(flags.buffer, 0, end >>> 2);
    const masks = mask * 0x01010101, values = value * 0x01010101;
    for (let four = 0; four < fours.length; four++) {
      const other = (fours[four]! & masks) ^ values;
      if (((other - 0x01010101) & ~other & 0x80808080) === 0) continue; // none of its octets is zero
      for (let at = four * 4; at < four * 4 + 4; at++) if ((flags[at]! & mask) === value) visit(at);
    }
    for (let at = fours.length * 4; at < end; at++) if ((flags[at]! & mask) === value) visit(at);
  }

  changedSince(modSeq: number): number[] {
    const modSeqs = this.#modSeqs, { count } = this;
    const uids: number[] = [];
    for (let at = 0; at < count; at++) if (modSeqs[at]! > modSeq) uids.push(this.#uids[at]!);
    return uids;
  }

  positionOf(uid: number): number {
    const at = this.lowerBound(uid);
    return at < this.count && this.#uids[at] === uid ? at : -1;
  }

  lowerBound(uid: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#uids[middle]! < uid) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  release(): void {
    this.#onRelease();
  }

  /** Takes one change of this mailbox from the stream, then tells the sessions. */
  apply(change: Change): void {
    if (this.#pending !== null) {
      this.#pending.push(change);
      return;
    }
    switch (change.kind) {
      case "added":
        for (const message of change.messages) this.#add(message, change.modSeq);
        break;
      case "flags":
        for (const message of change.messages) this.#change(message, change.modSeq);
        break;
      case "expunged":
        this.#remove(change.uids);
        break;
      case "seen":
        this.#move(change.added, change.modSeq);
        this.#move(change.removed, change.modSeq);
        break;
      case "mailboxes":
        if (change.deleted.includes(this.mailboxId)) this.exists = false;
        break;
    }
    if ("modSeq" in change) this.highestModSeq = Math.max(this.highestModSeq, change.modSeq);
    for (const listener of [...this.#listeners]) listener(change);
  }

  #add(message: FlagState, modSeq: number): void {
    const last = this.count === 0 ? 0 : this.#uids[this.count - 1]!;
    // UIDs only grow: one that is not above the last was read from its row already (or is gone again).
    if (message.uid <= last) return this.#change(message, modSeq);
    this.#reserve(this.count + 1);
    this.#uids[this.count] = message.uid;
    this.#flags[this.count] = message.flags;
    this.#modSeqs[this.count] = modSeq;
    this.#setKeywords(this.count, message.keywords);
    this.count++;
    this.uidNext = Math.max(this.uidNext, message.uid + 1);
  }

  #change(message: FlagState, modSeq: number): void {
    const at = this.positionOf(message.uid);
    if (at < 0 || this.#modSeqs[at]! > modSeq) return;
    this.#flags[at] = message.flags;
    this.#modSeqs[at] = modSeq;
    this.#setKeywords(at, message.keywords);
  }

  /** Nothing of these messages changed that is shared, but their MODSEQ did. */
  #move(uids: readonly number[], modSeq: number): void {
    for (const uid of uids) {
      const at = this.positionOf(uid);
      if (at >= 0 && this.#modSeqs[at]! < modSeq) this.#modSeqs[at] = modSeq;
    }
  }

  #setKeywords(position: number, words: string): void {
    if (words === "" && this.#keywords.length === 0) return;
    if (this.#keywords.length === 0) this.#keywords = new Uint32Array(this.#uids.length);
    let place = this.#placeOf.get(words);
    if (place === undefined) {
      if (this.#sets.length > this.count + SPARE_SETS) this.#forgetUnusedSets();
      place = this.#sets.push(words) - 1;
      this.#placeOf.set(words, place);
    }
    this.#keywords[position] = place;
  }

  /** Sets that no message has any more would pile up while a mailbox stays open. */
  #forgetUnusedSets(): void {
    const old = this.#sets;
    this.#sets = [""];
    this.#placeOf = new Map([["", 0]]);
    for (let i = 0; i < this.count; i++) {
      const words = old[this.#keywords[i]!]!;
      const place = this.#placeOf.get(words) ?? this.#sets.push(words) - 1;
      this.#placeOf.set(words, place);
      this.#keywords[i] = place;
    }
  }

  #remove(uids: readonly number[]): void {
    const first = uids.map((uid) => this.positionOf(uid)).find((at) => at >= 0);
    if (first === undefined) return;
    let write = first;
    const gone = new Set(uids);
    for (let read = first; read < this.count; read++) {
      if (gone.has(this.#uids[read]!)) continue;
      this.#uids[write] = this.#uids[read]!;
      this.#flags[write] = this.#flags[read]!;
      this.#modSeqs[write] = this.#modSeqs[read]!;
      if (this.#keywords.length > 0) this.#keywords[write] = this.#keywords[read]!;
      write++;
    }
    this.count = write;
  }

  #reserve(size: number): void {
    if (size <= this.#uids.length) return;
    const capacity = Math.max(size, Math.ceil(this.#uids.length * 1.25) + 16);
    const uids = new Uint32Array(capacity);
    const flags = new Uint8Array(capacity);
    const modSeqs = new Float64Array(capacity);
    uids.set(this.#uids);
    flags.set(this.#flags);
    modSeqs.set(this.#modSeqs);
    this.#uids = uids;
    this.#flags = flags;
    this.#modSeqs = modSeqs;
    if (this.#keywords.length > 0) {
      const keywords = new Uint32Array(capacity);
      keywords.set(this.#keywords);
      this.#keywords = keywords;
    }
  }
}
