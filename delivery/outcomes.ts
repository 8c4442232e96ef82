/**
 * What attempts did to recipients, on its way into the queue: written in groups, together with the bounces it asks for.
 *
 * While one group is being committed the next one collects, so that a fast destination costs few transactions. A
 * recipient that is given up leaves the queue in the same transaction that files its bounce: a crash loses neither.
 * Failures of one message in one group make one notice. A write that is refused (disk full, closing) is tried again
 * until it is taken or the queue stops; the recipient stays claimed meanwhile, so that it is not sent twice.
 */
import { getLogger } from "@logtape/logtape";
import type { QueueOutcome, WriteOp } from "../storage/ops.ts";
import type { DueRecipient, QueuedMessage } from "../storage/queue.ts";
import type { Store } from "../storage/store.ts";
import type { Timers } from "./connector.ts";
import { notices as noticeCount } from "./queue_metrics.ts";

const log = getLogger(["veredus", "queue"]);
const AGAIN_MS = 1_000;
/**
 * What is not committed at a crash is sent a second time, so an outcome is committed at once; but each commit costs a sync
 * that nobody waits for, so where many come one follows the other at this distance, and they gather in between.
 */
const PACE_MS = 5;
const FULL_GROUP = 100;

/** Why a recipient was not reached, as its sender is told. */
export interface NoticeRecipient {
  readonly recipient: DueRecipient;
  /** RFC 3464 2.3.3. */
  readonly action: "failed" | "delayed" | "delivered" | "relayed" | "expanded";
  /** RFC 3463. */
  readonly enhanced: string;
  /** The peer's words with their codes, or ours. */
  readonly text: string;
  /** The words are the peer's. */
  readonly fromPeer: boolean;
  readonly remote: string;
}

export interface Notice {
  readonly kind: "failure" | "delay" | "success";
  readonly message: QueuedMessage;
  readonly recipients: readonly NoticeRecipient[];
}

/** Makes the operation that files a notice; null when there is nobody to tell. Rejects on trouble of the disk. */
export type NoticeWriter = (notice: Notice) => Promise<WriteOp | null>;

/** One recipient's outcome. */
export interface Settled {
  readonly message: QueuedMessage;
  readonly recipient: string;
  readonly outcome: QueueOutcome;
  readonly notice: { readonly kind: Notice["kind"]; readonly about: NoticeRecipient } | null;
}

export class OutcomeWriter {
  readonly #store: Store;
  readonly #notice: NoticeWriter;
  readonly #timers: Timers;
  /** Called with outcomes that are durable. */
  readonly #written: (outcomes: readonly QueueOutcome[]) => void;
  readonly #beside: (settled: readonly Settled[], at: number) => readonly WriteOp[];
  #waiting: Settled[];
  #writing: Promise<void> | null;
  /** When the last commit began. */
  #begunAt: number;
  #stopped: boolean;

  constructor(parts: {
    store: Store;
    notice: NoticeWriter;
    timers: Timers;
    written: (outcomes: readonly QueueOutcome[]) => void;
    /** What is written in the same transaction. Left out: nothing. */
    beside?: (settled: readonly Settled[], at: number) => readonly WriteOp[];
  }) {
    this.#store = parts.store;
    this.#notice = parts.notice;
    this.#timers = parts.timers;
    this.#written = parts.written;
    this.#beside = parts.beside ?? (() => []);
    this.#waiting = [];
    this.#writing = null;
    this.#begunAt = -Infinity;
    this.#stopped = false;
  }

  add(settled: readonly Settled[]): void {
    if (settled.length === 0) return;
    this.#waiting.push(...settled);
    this.#writing ??= this.#run();
  }

  /** Resolves when everything added so far is durable, or given up by `stop`. */
  async flushed(): Promise<void> {
    while (this.#writing !== null) await this.#writing;
  }

  /** From now on a refused write is not tried again: the recipients are due once more at the next start. */
  stop(): void {
    this.#stopped = true;
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      // A clock that was set back makes nobody wait.
      const pause = Math.min(this.#begunAt + PACE_MS - this.#timers.now(), PACE_MS);
      if (pause > 0 && this.#waiting.length < FULL_GROUP && !this.#stopped) {
        await new Promise<void>((resolve) => this.#timers.after(pause, resolve));
      } else await null; // the other results of this turn
      this.#begunAt = this.#timers.now();
      const group = this.#waiting;
      this.#waiting = [];
      const failed = await this.#write(group);
      if (failed.length === 0) continue;
      if (this.#stopped) break;
      this.#waiting.unshift(...failed);
      await new Promise<void>((resolve) => this.#timers.after(AGAIN_MS, resolve));
    }
    this.#writing = null;
  }

  /** Returns what could not be written. */
  async #write(group: readonly Settled[]): Promise<Settled[]> {
    const silent: Settled[] = [];
    const telling = new Map<string, Settled[]>();
    for (const settled of group) {
      if (settled.notice === null) silent.push(settled);
      else {
        const key = `${settled.notice.kind} ${settled.message.queueId}`;
        const together = telling.get(key);
        if (together === undefined) telling.set(key, [settled]);
        else together.push(settled);
      }
    }
    const results = await Promise.all([
      ...(silent.length === 0 ? [] : [this.#commit(silent, null)]),
      ...[...telling.values()].map((together) => this.#tell(together)),
    ]);
    return results.flat();
  }

  async #tell(together: Settled[]): Promise<Settled[]> {
    const { message, notice } = together[0]!;
    const kind = notice!.kind;
    let operation: WriteOp | null;
    try {
      operation = await this.#notice({
        kind,
        message,
        recipients: together.map(({ notice }) => notice!.about),
      });
    } catch (error) {
      log.error("a notice about {traceId} could not be made and is tried again: {error}", {
        traceId: message.traceId,
        error,
      });
      return together;
    }
    const left = await this.#commit(together, operation);
    if (left.length === 0 && operation !== null) noticeCount.inc({ kind });
    return left;
  }

  async #commit(group: Settled[], extra: WriteOp | null): Promise<Settled[]> {
    const at = this.#timers.now();
    const outcomes: WriteOp = {
      kind: "queue-outcomes",
      at,
      outcomes: group.map(({ outcome }) => outcome),
    };
    const more = [...(extra === null ? [] : [extra]), ...this.#beside(group, at)];
    const result = await this.#store.write(
      more.length === 0 ? outcomes : { kind: "batch", ops: [outcomes, ...more] },
    );
    if (result.ok) {
      this.#written(group.map(({ outcome }) => outcome));
      return [];
    }
    log.error("outcomes of {count} recipients could not be stored and are tried again: {fault} {detail}", {
      count: group.length,
      fault: result.fault,
      detail: result.detail,
    });
    return group;
  }
}
