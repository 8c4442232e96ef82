/**
 * A mailbox's index as one reader who does not own it sees it: \Seen is his own, everything else is shared.
 *
 * The index below is the one of all sessions of the thread; each session of such a reader keeps its own set of what he has
 * seen, read when the mailbox is opened and advanced by the change stream.
 */
import { type Change, type ChangeListener, FLAG_SEEN } from "./changes.ts";
import type { UidRanges } from "./ops.ts";
import type { FlagMask, MailboxIndex } from "./mailbox_index.ts";
import { UidSet } from "./uid_set.ts";

export class SeenIndex implements MailboxIndex {
  readonly mailboxId: number;
  readonly #base: MailboxIndex;
  readonly #readerId: number;
  readonly #seen: UidSet;
  readonly #listeners = new Set<ChangeListener>();
  readonly #stop: () => void;
  /** MODSEQ of what the set holds already. */
  #since: number;

  constructor(
    base: MailboxIndex,
    reader: { readonly readerId: number; readonly modSeq: number; readonly uids: UidRanges },
  ) {
    this.mailboxId = base.mailboxId;
    this.#base = base;
    this.#readerId = reader.readerId;
    this.#seen = new UidSet(reader.uids);
    this.#since = reader.modSeq;
    this.#stop = base.subscribe((change) => this.#apply(change));
  }

  get count(): number {
    return this.#base.count;
  }

  get uidNext(): number {
    return this.#base.uidNext;
  }

  get uidValidity(): number {
    return this.#base.uidValidity;
  }

  get highestModSeq(): number {
    return this.#base.highestModSeq;
  }

  get exists(): boolean {
    return this.#base.exists;
  }

  uidAt(position: number): number {
    return this.#base.uidAt(position);
  }

  flagsAt(position: number): number {
    const flags = this.#base.flagsAt(position) & ~FLAG_SEEN;
    return this.#seen.has(this.#base.uidAt(position)) ? flags | FLAG_SEEN : flags;
  }

  keywordsAt(position: number): string {
    return this.#base.keywordsAt(position);
  }

  modSeqAt(position: number): number {
    return this.#base.modSeqAt(position);
  }

  eachWithFlags({ mask, value }: FlagMask, count: number, visit: (position: number) => void): void {
    const shared = { mask: mask & ~FLAG_SEEN, value: value & ~FLAG_SEEN };
    this.#base.eachWithFlags(shared, count, (position) => {
      if ((this.flagsAt(position) & mask) === value) visit(position);
    });
  }

  changedSince(modSeq: number): number[] {
    return this.#base.changedSince(modSeq);
  }

  positionOf(uid: number): number {
    return this.#base.positionOf(uid);
  }

  lowerBound(uid: number): number {
    return this.#base.lowerBound(uid);
  }

  subscribe(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  release(): void {
    this.#stop();
    this.#base.release();
  }

  #apply(change: Change): void {
    if (change.kind === "seen" && change.readerId === this.#readerId && change.modSeq > this.#since) {
      this.#since = change.modSeq;
      this.#seen.add(change.added);
      this.#seen.remove(change.removed);
    }
    for (const listener of [...this.#listeners]) listener(change);
  }
}
