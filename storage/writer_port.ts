/**
 * The writer across threads: operations go over in batches (one message a turn), and come back as groups: the changes
 * first, then the results, so that a thread knows of a change before the write that made it resolves. A thread is sent only
 * the kinds of changes it names, and where it is patient many groups together: a message costs the writer as much as a
 * small operation, and wakes the other thread.
 */
import type { Change } from "./changes.ts";
import type { WriteResult } from "./ops.ts";
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
  | { readonly ops: PackedOps }
  | { readonly kinds: readonly ChangeKind[]; readonly patienceMs: number }
  | { readonly close: true };
interface FromWriter {
  readonly changes: readonly PackedChange[];
  readonly results: readonly PackedValue[];
}

const NO_SEGMENTS: readonly number[] = [];
/** Written out here: this end is also main's, which loads no database. */
const CLOSING: WriteResult = { ok: false, fault: "unavailable", detail: "the store is closing" };

/** Serves `port` from the thread that owns the writer. */
export function serveWriter(writer: WriterPort, port: MessagePort): void {
  let changes: PackedChange[] = [];
  let kinds: ReadonlySet<ChangeKind> | null = null;
  let results: ResultOf[] = [];
  let patienceMs = 0;
  let scheduled = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    scheduled = false;
    clearTimeout(timer);
    timer = undefined;
    const message: FromWriter = { changes, results: packResults(results) };
    changes = [];
    results = [];
    port.postMessage(message);
  };
  const schedule = () => {
    if (scheduled) return;
    scheduled = true;
    queueMicrotask(flush);
  };
  const stop = writer.onChanges((announced) => {
    for (const change of announced) {
      if (kinds === null || kinds.has(change.kind)) changes.push(packChange(change));
    }
    if (changes.length === 0) return;
    if (patienceMs === 0) schedule();
    else if (!scheduled) timer ??= setTimeout(flush, patienceMs);
  });
  port.onmessage = ({ data }: MessageEvent<ToWriter>) => {
    if ("close" in data) {
      stop();
      clearTimeout(timer);
      port.close();
      return;
    }
    if ("kinds" in data) {
      kinds = new Set(data.kinds);
      patienceMs = data.patienceMs;
      return;
    }
    for (const { id, op, segments } of unpackOps(data.ops)) {
      writer.submit(op, segments).then((result) => {
        results.push({ id, result });
        schedule();
      });
    }
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
  const waiting = new Map<number, (result: WriteResult) => void>();
  const listeners = new Set<(changes: readonly Change[]) => void>();
  let ops: SubmittedOp[] = [];
  let next = 1;
  let closed = false;
  port.onmessage = ({ data }: MessageEvent<FromWriter>) => {
    if (data.changes.length > 0) {
      const changes = data.changes.map(unpackChange);
      for (const listener of listeners) listener(changes);
    }
    for (const { id, result } of unpackResults(data.results)) {
      waiting.get(id)?.(result);
      waiting.delete(id);
    }
  };
  if (kinds !== null) port.postMessage({ kinds, patienceMs } satisfies ToWriter);
  const flush = () => {
    const batch = ops;
    ops = [];
    port.postMessage({ ops: packOps(batch) } satisfies ToWriter);
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
      port.close();
    },
  };
}
