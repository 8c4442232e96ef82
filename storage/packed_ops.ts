/**
 * What goes to the writer and comes back, as flat lists: a tenth of the objects, and a fifth of the time to copy them to another
 * thread (bench/writer.ts). Deliveries and their results are spelt out value by value, all octets of a batch lie in one array;
 * everything else goes as it is. The order stays.
 */
import { joined } from "../bytes/joined.ts";
import type { BlobAddress, Target, WriteOp, WriteResult } from "./ops.ts";

type Deliver = Extract<WriteOp, { kind: "deliver" }>;
/** What few deliveries have. */
type Rest = Omit<Deliver, "kind" | "content" | "targets">;

export type PackedValue = number | string | null | WriteOp | Rest | WriteResult;

const OTHER = 0, DELIVERY = 1;

export interface SubmittedOp {
  readonly id: number;
  readonly op: WriteOp;
  readonly segments: readonly number[];
}

export interface PackedOps {
  readonly values: readonly PackedValue[];
  /** Of all deliveries, one behind the other. */
  readonly octets: Uint8Array;
}

export interface ResultOf {
  readonly id: number;
  readonly result: WriteResult;
}

export function packOps(ops: readonly SubmittedOp[]): PackedOps {
  const values: PackedValue[] = [];
  const octets: Uint8Array[] = [];
  for (const { id, op, segments } of ops) {
    if (op.kind === "deliver") {
      values.push(DELIVERY, id, segments.length, ...segments);
      packDelivery(op, { values, octets });
    } else values.push(OTHER, id, segments.length, ...segments, op);
  }
  return { values, octets: joined(octets) };
}

export function unpackOps({ values, octets }: PackedOps): SubmittedOp[] {
  const reader = new Reader(values, octets);
  const ops: SubmittedOp[] = [];
  while (reader.more) {
    const kind = reader.number();
    const id = reader.number();
    const segments = reader.numbers(reader.number());
    ops.push({ id, op: kind === DELIVERY ? readDelivery(reader) : reader.next<WriteOp>(), segments });
  }
  return ops;
}

export function packResults(results: readonly ResultOf[]): PackedValue[] {
  const values: PackedValue[] = [];
  for (const { id, result } of results) {
    if (result.ok && result.kind === "delivered") {
      values.push(DELIVERY, id, result.queueId, result.uids.length);
      for (const { mailboxId, uidValidity, uid, modSeq } of result.uids) {
        values.push(mailboxId, uidValidity, uid, modSeq);
      }
    } else values.push(OTHER, id, result);
  }
  return values;
}

export function unpackResults(values: readonly PackedValue[]): ResultOf[] {
  const reader = new Reader(values);
  const results: ResultOf[] = [];
  while (reader.more) {
    const kind = reader.number();
    const id = reader.number();
    results.push({ id, result: kind === DELIVERY ? readDelivered(reader) : reader.next<WriteResult>() });
  }
  return results;
}

function packDelivery(
  { kind: _, content, targets, ...rest }: Deliver,
  { values, octets }: { readonly values: PackedValue[]; readonly octets: Uint8Array[] },
): void {
  const { blob, headerOctets, imap, preview, subject, from, messageId, references, sentAt, traceId } =
    content;
  octets.push(imap);
  values.push(
    ...[blob.segment, blob.offset, blob.length, headerOctets, imap.length],
    ...[preview, subject, from, messageId, references, sentAt, traceId, targets.length],
  );
  for (const { mailboxId, flags, keywords, internalDate, prefix, seenBy } of targets) {
    octets.push(prefix);
    values.push(mailboxId, flags, keywords, internalDate, prefix.length, seenBy ?? null);
  }
  values.push(isPlain(rest) ? null : rest);
}

function isPlain(rest: Rest): boolean {
  return rest.queue === null && !rest.forwards?.length && !rest.enforceQuota && rest.teaches === undefined &&
    !rest.trapped;
}

function readDelivery(reader: Reader): Deliver {
  const blob: BlobAddress = { segment: reader.number(), offset: reader.number(), length: reader.number() };
  const content = {
    blob,
    headerOctets: reader.number(),
    imap: reader.octets(),
    preview: reader.text(),
    subject: reader.text(),
    from: reader.text(),
    messageId: reader.next<string | null>(),
    references: reader.text(),
    sentAt: reader.next<number | null>(),
    traceId: reader.text(),
  };
  const targets: Target[] = [];
  for (let left = reader.number(); left > 0; left--) {
    const target = {
      mailboxId: reader.number(),
      flags: reader.number(),
      keywords: reader.text(),
      internalDate: reader.number(),
      prefix: reader.octets(),
    };
    const seenBy = reader.next<number | null>();
    targets.push(seenBy === null ? target : { ...target, seenBy });
  }
  const rest = reader.next<Rest | null>();
  return { kind: "deliver", content, targets, ...(rest ?? { queue: null }) };
}

function readDelivered(reader: Reader): WriteResult {
  const queueId = reader.next<number | null>();
  const uids = [];
  for (let left = reader.number(); left > 0; left--) {
    uids.push({
      mailboxId: reader.number(),
      uidValidity: reader.number(),
      uid: reader.number(),
      modSeq: reader.number(),
    });
  }
  return { ok: true, kind: "delivered", uids, queueId };
}

const NO_OCTETS = new Uint8Array(0);

/** Takes values in the order they were pushed; both ends are this file. */
class Reader {
  readonly #values: readonly PackedValue[];
  readonly #octets: Uint8Array;
  #at: number;
  #octetsAt: number;

  constructor(values: readonly PackedValue[], octets: Uint8Array = NO_OCTETS) {
    this.#values = values;
    this.#octets = octets;
    this.#at = 0;
    this.#octetsAt = 0;
  }

  get more(): boolean {
    return this.#at < this.#values.length;
  }

  next<T extends PackedValue>(): T {
    return this.#values[this.#at++] as T;
  }

  number(): number {
    return this.next<number>();
  }

  text(): string {
    return this.next<string>();
  }

  numbers(count: number): number[] {
    return this.#values.slice(this.#at, this.#at += count) as number[];
  }

  /** The length is among the values. */
  octets(): Uint8Array {
    const start = this.#octetsAt;
    return this.#octets.subarray(start, this.#octetsAt += this.number());
  }
}
