/**
 * What crosses threads as numbers alone (number_ring.ts): STOREs of flags by the owner, and what a group tells of them and of
 * deliveries. Whatever has words in it goes as a message (packed_ops.ts). The first number of a frame is that of its turn
 * (writer_port.ts).
 */
import type { Change, FlagState } from "./changes.ts";
import type { AppendedUid, UidRanges, WriteOp, WriteResult } from "./ops.ts";
import type { ResultOf, SubmittedOp } from "./packed_ops.ts";

type StoreFlags = Extract<WriteOp, { kind: "store-flags" }>;

const MODES: readonly StoreFlags["mode"][] = ["add", "remove", "replace"];
/** Kinds of changes. */
const ADDED = 0, FLAGS = 1, EXPUNGED = 2;
/** Kinds of results. */
const STORED = 0, DELIVERED = 1;
/** Instead of a number that is not there; none of ours is negative. */
const NONE = -1;
const NO_SEGMENTS: readonly number[] = [];

/** Null when not all of them are numbers. */
export function opsAsNumbers(turn: number, ops: readonly SubmittedOp[]): number[] | null {
  const frame: number[] = [turn];
  for (const { id, op, segments } of ops) {
    if (op.kind !== "store-flags" || segments.length > 0 || !isPlain(op)) return null;
    const { mailboxId, mode, flags, unchangedSince, uids } = op;
    frame.push(id, mailboxId, MODES.indexOf(mode), flags, unchangedSince ?? NONE, uids.length);
    for (const [first, last] of uids) frame.push(first, last);
  }
  return frame;
}

function isPlain({ keywords, reader, teaches }: StoreFlags): boolean {
  return keywords.length === 0 && reader === undefined && teaches === undefined;
}

export function opsOfNumbers(frame: readonly number[]): SubmittedOp[] {
  const ops: SubmittedOp[] = [];
  for (let at = 1; at < frame.length;) {
    const id = frame[at++]!;
    const mailboxId = frame[at++]!;
    const mode = MODES[frame[at++]!]!;
    const flags = frame[at++]!;
    const since = frame[at++]!;
    const uids: [number, number][] = [];
    for (let left = frame[at++]!; left > 0; left--) uids.push([frame[at++]!, frame[at++]!]);
    ops.push({ id, op: storeOf({ mailboxId, mode, flags, since, uids }), segments: NO_SEGMENTS });
  }
  return ops;
}

function storeOf({ since, ...named }: {
  readonly mailboxId: number;
  readonly mode: StoreFlags["mode"];
  readonly flags: number;
  readonly since: number;
  readonly uids: UidRanges;
}): StoreFlags {
  return { kind: "store-flags", ...named, keywords: [], unchangedSince: since === NONE ? null : since };
}

export interface Outcome {
  readonly changes: readonly Change[];
  readonly results: readonly ResultOf[];
}

/** Null when not all of it is numbers. */
export function outcomeAsNumbers(turn: number, { changes, results }: Outcome): number[] | null {
  const frame: number[] = [turn, changes.length];
  for (const change of changes) if (!putChange(frame, change)) return null;
  for (const { id, result } of results) if (!putResult(frame, id, result)) return null;
  return frame;
}

function putChange(frame: number[], change: Change): boolean {
  switch (change.kind) {
    case "added":
    case "flags":
      frame.push(
        ...[change.kind === "added" ? ADDED : FLAGS, change.accountId, change.mailboxId, change.modSeq],
        change.messages.length,
      );
      for (const { uid, flags, keywords } of change.messages) {
        if (keywords !== "") return false;
        frame.push(uid, flags);
      }
      return true;
    case "expunged":
      frame.push(EXPUNGED, change.accountId, change.mailboxId, change.modSeq);
      putList(frame, change.uids);
      return true;
    default:
      return false;
  }
}

function putResult(frame: number[], id: number, result: WriteResult): boolean {
  if (!result.ok) return false;
  if (result.kind === "flags") {
    frame.push(STORED, id, result.modSeq);
    putList(frame, result.changed);
    putList(frame, result.modified);
    return true;
  }
  if (result.kind !== "delivered") return false;
  frame.push(DELIVERED, id, result.queueId ?? NONE, result.uids.length);
  for (const { mailboxId, uidValidity, uid, modSeq } of result.uids) {
    frame.push(mailboxId, uidValidity, uid, modSeq);
  }
  return true;
}

export function outcomeOfNumbers(frame: readonly number[]): Outcome {
  const reader = new Reader(frame);
  const changes: Change[] = [];
  for (let left = reader.next(); left > 0; left--) changes.push(readChange(reader));
  const results: ResultOf[] = [];
  while (reader.more) results.push(readResult(reader));
  return { changes, results };
}

function readChange(reader: Reader): Change {
  const kind = reader.next();
  const place = { accountId: reader.next(), mailboxId: reader.next(), modSeq: reader.next() };
  if (kind === EXPUNGED) return { kind: "expunged", ...place, uids: reader.list() };
  const messages: FlagState[] = [];
  for (let left = reader.next(); left > 0; left--) {
    messages.push({ uid: reader.next(), flags: reader.next(), keywords: "" });
  }
  return { kind: kind === ADDED ? "added" : "flags", ...place, messages };
}

function readResult(reader: Reader): ResultOf {
  const kind = reader.next();
  const id = reader.next();
  if (kind === STORED) {
    const modSeq = reader.next();
    return {
      id,
      result: { ok: true, kind: "flags", modSeq, changed: reader.list(), modified: reader.list() },
    };
  }
  const queueId = reader.next();
  const uids: AppendedUid[] = [];
  for (let left = reader.next(); left > 0; left--) {
    uids.push({
      mailboxId: reader.next(),
      uidValidity: reader.next(),
      uid: reader.next(),
      modSeq: reader.next(),
    });
  }
  return { id, result: { ok: true, kind: "delivered", uids, queueId: queueId === NONE ? null : queueId } };
}

function putList(frame: number[], numbers: readonly number[]): void {
  frame.push(numbers.length);
  for (const number of numbers) frame.push(number);
}

class Reader {
  readonly #frame: readonly number[];
  #at: number;

  constructor(frame: readonly number[]) {
    this.#frame = frame;
    this.#at = 1;
  }

  get more(): boolean {
    return this.#at < this.#frame.length;
  }

  next(): number {
    return this.#frame[this.#at++]!;
  }

  list(): number[] {
    const count = this.next();
    return this.#frame.slice(this.#at, this.#at += count);
  }
}
