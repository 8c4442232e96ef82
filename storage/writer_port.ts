/**
 * The writer across threads: operations go over in batches (one a turn), and come back as groups: the changes
 * first, then the results, so that a thread knows of a change before the write that made it resolves. A thread is sent only
 * the kinds of changes it names, and where it is patient many groups together: a message costs the writer as much as a
 * small operation, and wakes the other thread.
 *
 * What is numbers alone goes through a ring in shared memory where there is room, everything else as a message; numbered, so
 * that the two ways keep one order.
 */
import type { Change } from "./changes.ts";
import type { WriteResult } from "./ops.ts";
import {
  opsAsNumbers,
  opsOfNumbers,
  type Outcome,
  outcomeAsNumbers,
  outcomeOfNumbers,
} from "./number_frames.ts";
import { ringBuffer, RingReceiver, RINGS_WAKE, RingSender } from "./number_ring.ts";
import { packChange, type PackedChange, unpackChange } from "./packed_change.ts";
import {
  type PackedOps,
  type PackedValue,
  packOps,
  packResults,
  type ResultOf,
  type SubmittedOp,
  unpackOps,
  unpackResults,
} from "./packed_ops.ts";
import type { WriterPort } from "./writer.ts";

export type ChangeKind = Change["kind"];

type ToWriter =
  | { readonly turn: number; readonly ops: PackedOps }
  | {
    /** The way there and back; null where everything is a message. */
    readonly rings: readonly [SharedArrayBuffer, SharedArrayBuffer] | null;
    readonly kinds: readonly ChangeKind[] | null;
    readonly patienceMs: number;
  }
  | { readonly close: true };
interface FromWriter {
  readonly turn: number;
  readonly changes: readonly PackedChange[];
  readonly results: readonly PackedValue[];
}

const NO_SEGMENTS: readonly number[] = [];
/** Written out here: this end is also main's, which loads no database. */
const CLOSING: WriteResult = { ok: false, fault: "unavailable", detail: "the store is closing" };

/** One side of the way: what is sent, by ring or as a message, has the number of its turn. */
class Turns {
  #sent = 0;
  #next = 0;
  readonly #early = new Map<number, () => void>();

  /** Of what is sent now. */
  take(): number {
    return this.#sent++;
  }

  /** What came: handled when everything sent before it was. */
  came(turn: number, handle: () => void): void {
    if (turn !== this.#next) {
      this.#early.set(turn, handle);
      return;
    }
    this.#next++;
    handle();
    for (let early; (early = this.#early.get(this.#next)) !== undefined;) {
      this.#early.delete(this.#next++);
      early();
    }
  }
}

/** Serves `port` from the thread that owns the writer. */
export function serveWriter(writer: WriterPort, port: MessagePort): void {
  const turns = new Turns();
  let sender: RingSender | null = null;
  let receiver: RingReceiver | null = null;
  let changes: Change[] = [];
  let kinds: ReadonlySet<ChangeKind> | null = null;
  let results: ResultOf[] = [];
  let patienceMs = 0;
  let scheduled = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    scheduled = false;
    clearTimeout(timer);
    timer = undefined;
    const outcome = { changes, results };
    changes = [];
    results = [];
    const turn = turns.take();
    const frame = sender === null ? null : outcomeAsNumbers(turn, outcome);
    if (frame !== null && sender!.send(frame)) return;
    const message: FromWriter = {
      turn,
      changes: outcome.changes.map(packChange),
      results: packResults(outcome.results),
    };
    port.postMessage(message);
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(flush);
  };
  const stop = writer.onChanges((announced) => {
    for (const change of announced) {
      if (kinds === null || kinds.has(change.kind)) changes.push(change);
    }
    if (changes.length === 0) return;
    if (patienceMs === 0) schedule();
    else if (!scheduled) timer ??= setTimeout(flush, patienceMs);
  });
  const submit = (ops: readonly SubmittedOp[]) => {
    for (const { id, op, segments } of ops) {
      writer.submit(op, segments).then((result) => {
        results.push({ id, result });
        schedule();
      });
    }
  };
  port.onmessage = ({ data }: MessageEvent<ToWriter>) => {
    if ("close" in data) {
      stop();
      clearTimeout(timer);
      receiver?.close();
      port.close();
    } else if ("rings" in data) {
      kinds = data.kinds === null ? null : new Set(data.kinds);
      patienceMs = data.patienceMs;
      if (data.rings === null) return;
      receiver = new RingReceiver(data.rings[0], (frame) => {
        turns.came(frame[0]!, () => submit(opsOfNumbers(frame)));
      });
      sender = new RingSender(data.rings[1]);
    } else turns.came(data.turn, () => submit(unpackOps(data.ops)));
  };
}

/**
 * The other end: what a thread without the writer submits to. `kinds`: the changes it wants to hear of, `patienceMs` later at most
 * where it submits nothing meanwhile; null for all, at once.
 */
export function connectWriter(
  port: MessagePort,
  kinds: readonly ChangeKind[] | null = null,
  { patienceMs = 0 }: { readonly patienceMs?: number } = {},
): WriterPort {
  const turns = new Turns();
  const waiting = new Map<number, (result: WriteResult) => void>();
  const listeners = new Set<(changes: readonly Change[]) => void>();
  let ops: SubmittedOp[] = [];
  let next = 1;
  let closed = false;
  const hear = ({ changes, results }: Outcome) => {
    if (changes.length > 0) { for (const listener of listeners) listener(changes); }
    for (const { id, result } of results) {
      waiting.get(id)?.(result);
      waiting.delete(id);
    }
  };
  const rings: [SharedArrayBuffer, SharedArrayBuffer] | null = RINGS_WAKE
    ? [ringBuffer(), ringBuffer()]
    : null;
  const sender = rings === null ? null : new RingSender(rings[0]);
  const receiver = rings === null ? null : new RingReceiver(rings[1], (frame) => {
    turns.came(frame[0]!, () => hear(outcomeOfNumbers(frame)));
  });
  port.onmessage = ({ data: { turn, changes, results } }: MessageEvent<FromWriter>) => {
    turns.came(turn, () => hear({ changes: changes.map(unpackChange), results: unpackResults(results) }));
  };
  port.postMessage({ rings, kinds, patienceMs } satisfies ToWriter);
  const flush = () => {
    const batch = ops;
    ops = [];
    const turn = turns.take();
    const frame = sender === null ? null : opsAsNumbers(turn, batch);
    if (frame !== null && sender!.send(frame)) return;
    port.postMessage({ turn, ops: packOps(batch) } satisfies ToWriter);
  };
  return {
    submit(op, segments = NO_SEGMENTS) {
      if (closed) return Promise.resolve(CLOSING);
      return new Promise((resolve) => {
        const id = next++;
        waiting.set(id, resolve);
        ops.push({ id, op, segments });
        if (ops.length === 1) queueMicrotask(flush);
      });
    },
    onChanges(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      if (closed) return;
      closed = true;
      while (waiting.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      port.postMessage({ close: true } satisfies ToWriter);
      receiver?.close();
      port.close();
    },
  };
}
