/**
 * The one writer: group commit over the only connection that writes or checkpoints.
 *
 * What arrives while one group commits goes into the next. First the octets a group points at are synced, then its rows are
 * written and committed. When an operation of it is refused the group is rolled back
 * and run again with a SAVEPOINT for each, so that the refused one leaves the others whole; results and changes go out
 * only after COMMIT (synchronous=FULL) returned. A group is bounded in operations and time. Trouble of the disk fails the
 * whole group. SQLITE_FULL gives up the reserve: what removes mail is run again in its room, everything else is answered
 * "disk-full" until the reserve is back. While another program holds the write lock all is refused. Anything else (I/O errors above all) is reported to `onFatal` and nothing is
 * retried on the connection that failed.
 */
import { getLogger } from "@logtape/logtape";
import { setImmediate } from "node:timers";
import { counter, gauge, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import type { Change } from "./changes.ts";
import { Checkpoints } from "./checkpoints.ts";
import { BUSY_TIMEOUT_MS, openWriterConnection } from "./database.ts";
import { type Connection, isSqliteError } from "./libsql.ts";
import { migrate } from "./migrate.ts";
import { OperationContext, refuse } from "./operations/context.ts";
import { abandonCopies } from "./operations/copy.ts";
import { Operations, removes } from "./operations/run.ts";
import { countDead } from "./operations/relocate.ts";
import { dropStrayWishes } from "./operations/spam.ts";
import { settleUsage } from "./operations/usage.ts";
import type { WriteOp, WriteResult } from "./ops.ts";
import { SegmentSync } from "./segment_sync.ts";
import type { Files } from "./files.ts";

/** Instead of BUSY_TIMEOUT_MS while another program is known to hold the write lock. */
const LOCKED_TIMEOUT_MS = 50;
const MAX_GROUP = 200;
const MAX_GROUP_MS = 50;
/** Rows the reaper frees in one go, and how long it waits between. */
const REAP_ROWS = 500;
const REAP_EVERY_MS = 2_000;

const NO_SEGMENTS: readonly number[] = [];

const log = getLogger(["veredus", "storage"]);
const groupSize = histogram("veredus_commit_group_size", "Operations in one transaction", {
  buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
});
const commitSeconds = histogram("veredus_commit_seconds", "Time of COMMIT with its sync", {
  buckets: SECONDS_BUCKETS,
});
const operations = counter("veredus_write_operations_total", "Write operations by kind and result", [
  "kind",
  "result",
]);
const counted = new Map<string, { inc(): void }>();
const lockedOut = counter(
  "veredus_database_locked_total",
  "Groups of writes refused because another program held the write lock",
);
const diskFull = gauge("veredus_disk_full", "1 while only what removes mail is written");

/** What threads talk to: this class itself, or a port to it (writer_port.ts). */
export interface WriterPort {
  /** `segments`: those whose octets must be on stable storage before the operation is committed. */
  submit(op: WriteOp, segments?: readonly number[]): Promise<WriteResult>;
  /** Calls `listener` with the changes of each group, before the results of that group are delivered. */
  onChanges(listener: (changes: readonly Change[]) => void): () => void;
  close(): Promise<void>;
}

export interface WriterOptions {
  readonly databasePath: string;
  /** Folder of the blob segments. */
  readonly segments: string;
  /** How they are opened; left out: as files. */
  readonly files?: Files;
  readonly clock: () => number;
  /** The writer cannot go on: the process has to end and start again. */
  readonly onFatal: (reason: Error) => void;
  /** Space that is kept for a full disk (storage/data_folder.ts). Without it nothing works on a full one. */
  readonly reserve?: {
    release(): void;
    /** False while there is no room for it. */
    fill(): boolean;
  };
  /** Instead of what checkpoints.ts and {@linkcode REAP_EVERY_MS} say. */
  readonly walAlarmOctets?: number;
  readonly reapEveryMs?: number;
}

interface Waiting {
  readonly op: WriteOp;
  readonly segments: readonly number[];
  /** It met a full disk before. */
  readonly again: boolean;
  readonly resolve: (result: WriteResult) => void;
}

export class Writer implements WriterPort {
  #options: WriterOptions;
  #connection: Connection;
  #context: OperationContext;
  #operations: Operations;
  #segments: SegmentSync;
  #checkpoints: Checkpoints;
  #waiting: Waiting[] = [];
  #scheduled = false;
  #listeners = new Set<(changes: readonly Change[]) => void>();
  #closed = false;
  #reaper: ReturnType<typeof setTimeout> | undefined;
  /** The reserve was given up: only removals are taken. */
  #full = false;
  /** Another program held the write lock when it was last wanted. */
  #locked = false;
  /** After trouble nothing is done on the connection any more, not even at close. */
  #broken = false;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#connection = openWriterConnection(options.databasePath);
    const applied = migrate(this.#connection);
    if (applied.length > 0) log.info("database migrated: {applied}", { applied: applied.join(", ") });
    this.#checkpoints = new Checkpoints(this.#connection, {
      databasePath: options.databasePath,
      alarmOctets: options.walAlarmOctets,
    });
    this.#checkpoints.truncate();
    this.#context = new OperationContext(this.#connection, options.clock);
    this.#operations = new Operations(this.#context);
    this.#segments = new SegmentSync(options.segments, options.files);
    this.#finishCopies();
    this.#reaper = setTimeout(() => this.#reap(), options.reapEveryMs ?? REAP_EVERY_MS);
  }

  /** A COPY that was cut off by the end of the process before this one is as if it had never begun. */
  #finishCopies(): void {
    const { changes, usage } = this.#context;
    const abandoned = this.#connection.transaction(() => {
      const count = abandonCopies(this.#context);
      settleUsage(this.#context);
      return count;
    });
    changes.length = usage.length = 0; // nobody listens yet
    if (abandoned > 0) log.warn("{abandoned} unfinished copies were taken back", { abandoned });
  }

  submit(op: WriteOp, segments: readonly number[] = NO_SEGMENTS): Promise<WriteResult> {
    if (this.#closed) return Promise.resolve(refuse("unavailable", "the store is closing"));
    return new Promise((resolve) => {
      this.#waiting.push({ op, segments, resolve, again: false });
      this.#schedule();
    });
  }

  onChanges(listener: (changes: readonly Change[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    while (this.#waiting.length > 0) await new Promise((resolve) => setImmediate(resolve));
    this.#closed = true;
    clearTimeout(this.#reaper);
    this.#checkpoints.close();
    this.#segments.close();
    if (this.#broken) return;
    this.#checkpoints.truncate();
    this.#connection.close();
  }

  /** The connection, for maintenance that runs between groups on this thread (compaction). */
  get connection(): Connection {
    return this.#connection;
  }

  /** A turn later, so that everything that arrived while the last group was committing is in this one. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#closed || this.#waiting.length === 0) return;
      this.#group();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  #group(): void {
    const { changes } = this.#context;
    const group = this.#synced(this.#waiting.slice(0, MAX_GROUP));
    if (group.length === 0) return;
    let results: WriteResult[] | null;
    let committed: number;
    try {
      this.#connection.exec("BEGIN IMMEDIATE");
      this.#lockedIn();
      results = this.#runTogether(group);
      if (results === null) {
        this.#connection.exec("ROLLBACK");
        this.#forget();
        this.#connection.exec("BEGIN IMMEDIATE");
        results = this.#runApart(group);
      }
      this.#operations.settle();
      const begin = performance.now();
      this.#connection.exec("COMMIT");
      committed = performance.now();
      commitSeconds.observe((committed - begin) / 1000);
    } catch (error) {
      this.#waiting.splice(0, group.length);
      this.#failed(error, group);
      return;
    }
    const done = this.#waiting.splice(0, results.length);
    groupSize.observe(done.length);
    const announced = changes.splice(0);
    if (announced.length > 0) { for (const listener of this.#listeners) listener(announced); }
    for (const [at, { op, resolve }] of done.entries()) {
      const result = results[at]!;
      countOperation(op.kind, result.ok ? "ok" : result.fault);
      resolve(result);
    }
    this.#checkpoints.committed(done.length, committed);
  }

  /** Syncs the octets the group points at, and refuses what points at those that are lost. The rest. */
  #synced(group: Waiting[]): Waiting[] {
    const lost = new Map<number, string>();
    for (const segment of new Set(group.flatMap(({ segments }) => segments))) {
      const reason = this.#segments.sync(segment);
      if (reason !== null) lost.set(segment, reason);
    }
    if (lost.size === 0) return group;
    const refused = new Set(group.filter(({ segments }) => segments.some((segment) => lost.has(segment))));
    this.#waiting = this.#waiting.filter((waiting) => !refused.has(waiting));
    for (const { resolve } of refused) resolve(refuse("unsynced", [...lost.values()].join("; ")));
    return group.filter((waiting) => !refused.has(waiting));
  }

  /** Without savepoints, which cost as much as a small operation. Null when one is refused: what it wrote must go. */
  #runTogether(group: readonly Waiting[]): WriteResult[] | null {
    const end = performance.now() + MAX_GROUP_MS;
    const results: WriteResult[] = [];
    for (const { op } of group) {
      try {
        const result = this.#attempted(op);
        if (!result.ok) return null;
        results.push(result);
      } catch (error) {
        if (!ofOneOperation(error)) throw error;
        return null;
      }
      if (performance.now() >= end) break;
    }
    return results;
  }

  /** Each in a savepoint of its own: those that are refused leave the others whole. */
  #runApart(group: readonly Waiting[]): WriteResult[] {
    const end = performance.now() + MAX_GROUP_MS;
    const results: WriteResult[] = [];
    for (const { op } of group) {
      results.push(this.#guarded(op));
      if (performance.now() >= end) break;
    }
    return results;
  }

  /** Runs one operation in its savepoint. Throws only what ends the group. */
  #guarded(op: WriteOp): WriteResult {
    const mark = this.#context.changes.length;
    const usageMark = this.#context.usage.length;
    this.#operations.counters.release();
    this.#connection.exec("SAVEPOINT operation");
    let result: WriteResult;
    try {
      result = this.#attempted(op);
    } catch (error) {
      if (!ofOneOperation(error)) throw error;
      log.error("a write operation failed: {kind}: {error}", { kind: op.kind, error: String(error) });
      result = refuse("not-permitted", "the operation was refused by the database");
    }
    if (!result.ok) {
      this.#connection.exec("ROLLBACK TO operation");
      this.#operations.counters.forget();
      this.#context.changes.length = mark;
      this.#context.usage.length = Math.min(usageMark, this.#context.usage.length);
    }
    this.#connection.exec("RELEASE operation");
    return result;
  }

  /** One operation; what it wrote stays when it is refused. */
  #attempted(op: WriteOp): WriteResult {
    return this.#full && !removes(op) ? refuse("disk-full", "the disk is full") : this.#operations.run(op);
  }

  /** What was noted beside the transaction that is rolled back. */
  #forget(): void {
    this.#context.changes.length = 0;
    this.#context.usage.length = 0;
    this.#operations.counters.forget();
  }

  #failed(error: unknown, group: Waiting[]): void {
    this.#forget();
    if (isSqliteError(error) && error.code === "SQLITE_FULL") {
      try {
        this.#connection.exec("ROLLBACK");
      } catch (rollback) {
        // SQLite rolls back by itself on some faults and then says there is no transaction: both are fine.
        log.debug("rollback after a full disk: {error}", { error: String(rollback) });
      }
      this.#diskFull(group);
      return;
    }
    if (isSqliteError(error) && error.code === "SQLITE_BUSY") return this.#lockedOut(group);
    this.#broken = true;
    this.#closed = true;
    this.#checkpoints.close();
    clearTimeout(this.#reaper);
    const reason = new Error(`the writer cannot go on: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
    for (const { resolve } of [...group, ...this.#waiting.splice(0)]) {
      resolve(refuse("unavailable", "the writer failed"));
    }
    this.#options.onFatal(reason);
  }

  /**
   * Another program holds the write lock, as a shell or a copy of the database may: no transaction has begun. Whoever waits
   * hears of it, and from now on at once, because on one thread the wait holds up everything.
   */
  #lockedOut(group: readonly Waiting[]): void {
    lockedOut.inc();
    if (!this.#locked) {
      this.#locked = true;
      this.#connection.exec(`PRAGMA busy_timeout = ${LOCKED_TIMEOUT_MS}`);
      log.error(
        "another program holds the write lock of {database}: what comes in is refused until it lets go",
        {
          database: this.#options.databasePath,
        },
      );
    }
    for (const { resolve } of group) {
      resolve(refuse("unavailable", "the database is locked by another program"));
    }
  }

  #lockedIn(): void {
    if (!this.#locked) return;
    this.#locked = false;
    this.#connection.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    log.info("the write lock of the database is ours again: mail is taken");
  }

  /** Runs again what removes mail, in the room of the reserve, and refuses the rest. */
  #diskFull(group: Waiting[]): void {
    const { reserve } = this.#options;
    const again = reserve === undefined
      ? []
      : group.filter((waiting) => !waiting.again && removes(waiting.op));
    log.error("the disk is full: {refused} write operations are refused, {again} run again in the reserve", {
      refused: group.length - again.length,
      again: again.length,
    });
    for (const waiting of group) {
      if (!again.includes(waiting)) waiting.resolve(refuse("disk-full", "the disk is full"));
    }
    if (reserve === undefined) return;
    reserve.release();
    this.#full = true;
    diskFull.set(1);
    this.#waiting.unshift(...again.map((waiting) => ({ ...waiting, again: true })));
    this.#schedule();
  }

  /** Frees contents nothing points at any more, a bounded number at a time, and counts their octets as dead. */
  #reap(): void {
    if (this.#closed) return;
    this.#segments.rest();
    if (this.#full && this.#options.reserve?.fill()) {
      this.#full = false;
      diskFull.set(0);
      log.info("there is room again: the reserve is back, and mail is taken");
    }
    let more = false;
    try {
      this.#connection.exec("BEGIN IMMEDIATE");
      this.#lockedIn();
      const free = this.#context.rows(
        "DELETE FROM contents WHERE id IN (SELECT id FROM contents WHERE refs = 0 LIMIT ?) RETURNING segment, length",
      ).all(REAP_ROWS) as [number, number][];
      // Their numbers may be given to other messages.
      if (free.length > 0) dropStrayWishes(this.#context);
      const dead = new Map<number, number>();
      for (const [segment, length] of free) dead.set(segment, (dead.get(segment) ?? 0) + length);
      for (const [segment, octets] of dead) countDead(this.#context, segment, octets);
      this.#connection.exec("COMMIT");
      more = free.length === REAP_ROWS;
    } catch (error) {
      this.#failed(error, []);
      if (this.#closed) return;
    }
    this.#reaper = setTimeout(() => this.#reap(), more ? 50 : this.#options.reapEveryMs ?? REAP_EVERY_MS);
  }
}

/** The fault of one operation, and not of the disk or of the group. */
function ofOneOperation(error: unknown): boolean {
  return isSqliteError(error) ? error.code.startsWith("SQLITE_CONSTRAINT") : error instanceof TypeError;
}

function countOperation(kind: WriteOp["kind"], result: string): void {
  const key = `${kind} ${result}`;
  let child = counted.get(key);
  if (child === undefined) counted.set(key, child = operations.labels({ kind, result }));
  child.inc();
}
