/**
 * The one writer: group commit over the only connection that writes or checkpoints.
 *
 * What arrives while one group commits goes into the next. When an operation of it is refused the group is rolled back
 * and run again with a SAVEPOINT for each, so that the refused one leaves the others whole; results and changes go out
 * only after COMMIT (synchronous=FULL) returned. A group is bounded in operations and time. Trouble of the disk fails the
 * whole group. SQLITE_FULL gives up the reserve: what removes mail is run again in its room, everything else is answered
 * "disk-full" until the reserve is back. While another program holds the write lock all is refused. Anything else (I/O errors above all) is reported to `onFatal` and nothing is
 * retried on the connection that failed.
 *
 * Checkpoints: PASSIVE once the WAL is past {@linkcode CHECKPOINT_OCTETS}, after the replies are out; TRUNCATE at
 * open. No other connection checkpoints (SQLite 3.45.1 lacks the fix of the WAL-reset race of two checkpointers).
 */
import { getLogger } from "@logtape/logtape";
import { setImmediate } from "node:timers";
import { counter, gauge, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import type { Change } from "./changes.ts";
import { BUSY_TIMEOUT_MS, openWriterConnection } from "./database.ts";
import { type Connection, isSqliteError } from "./libsql.ts";
import { migrate } from "./migrate.ts";
import { DONE, OperationContext, refuse } from "./operations/context.ts";
import * as addresses from "./operations/addresses.ts";
import { setAcl } from "./operations/acl.ts";
import * as annotations from "./operations/annotations.ts";
import { abandonCopies, abandonCopy, copy } from "./operations/copy.ts";
import { DeliverOperation } from "./operations/deliver.ts";
import * as credentials from "./operations/credentials.ts";
import * as directory from "./operations/directory.ts";
import { expunge } from "./operations/expunge.ts";
import { adoptUidValidity, importMessages } from "./operations/import.ts";
import { storeFlags } from "./operations/flags.ts";
import { storeSharedFlags } from "./operations/shared_flags.ts";
import * as groups from "./operations/groups.ts";
import * as mailbox from "./operations/mailbox.ts";
import * as policyState from "./operations/policy_state.ts";
import * as spam from "./operations/spam.ts";
import * as scripts from "./operations/scripts.ts";
import * as senderDomains from "./operations/sender_domains.ts";
import * as quarantine from "./operations/quarantine.ts";
import * as queue from "./operations/queue.ts";
import { countDead, relocate } from "./operations/relocate.ts";
import { noteQuota, settleUsage } from "./operations/usage.ts";
import type { WriteOp, WriteResult } from "./ops.ts";

const CHECKPOINT_OCTETS = 16 * 1024 * 1024;
/** While the WAL file is reused from its start its size says nothing: about 16 MB of deliveries. */
const CHECKPOINT_OPERATIONS = 1_000;
const WAL_ALARM_OCTETS = 256 * 1024 * 1024;
/** Instead of BUSY_TIMEOUT_MS while another program is known to hold the write lock. */
const LOCKED_TIMEOUT_MS = 50;
const MAX_GROUP = 200;
const MAX_GROUP_MS = 50;
/** Rows the reaper frees in one go, and how long it waits between. */
const REAP_ROWS = 500;
const REAP_EVERY_MS = 2_000;

const log = getLogger(["veredus", "storage"]);
const groupSize = histogram("veredus_commit_group_size", "Operations in one transaction", {
  buckets: [1, 2, 4, 8, 16, 32, 64, 128, 256],
});
const commitSeconds = histogram("veredus_commit_seconds", "Time of COMMIT with its sync", {
  buckets: SECONDS_BUCKETS,
});
const checkpointSeconds = histogram("veredus_checkpoint_seconds", "Time of one checkpoint", {
  buckets: SECONDS_BUCKETS,
});
const operations = counter("veredus_write_operations_total", "Write operations by kind and result", [
  "kind",
  "result",
]);
const counted = new Map<string, { inc(): void }>();
let walOctets = 0;
gauge("veredus_wal_octets", "Size of the write-ahead log", { collect: (g) => g.set(walOctets) });
const walAlarm = gauge("veredus_wal_alarm", "1 while the write-ahead log is far too large");
const lockedOut = counter(
  "veredus_database_locked_total",
  "Groups of writes refused because another program held the write lock",
);
const diskFull = gauge("veredus_disk_full", "1 while only what removes mail is written");

/** What threads talk to: this class itself, or a port to it (writer_port.ts). */
export interface WriterPort {
  submit(op: WriteOp): Promise<WriteResult>;
  /** Calls `listener` with the changes of each group, before the results of that group are delivered. */
  onChanges(listener: (changes: readonly Change[]) => void): () => void;
  close(): Promise<void>;
}

export interface WriterOptions {
  readonly databasePath: string;
  readonly clock: () => number;
  /** The writer cannot go on: the process has to end and start again. */
  readonly onFatal: (reason: Error) => void;
  /** Space that is kept for a full disk (storage/data_folder.ts). Without it nothing works on a full one. */
  readonly reserve?: {
    release(): void;
    /** False while there is no room for it. */
    fill(): boolean;
  };
  /** Instead of {@linkcode WAL_ALARM_OCTETS} and {@linkcode REAP_EVERY_MS}. */
  readonly walAlarmOctets?: number;
  readonly reapEveryMs?: number;
}

interface Waiting {
  readonly op: WriteOp;
  /** It met a full disk before. */
  readonly again: boolean;
  readonly resolve: (result: WriteResult) => void;
}

export class Writer implements WriterPort {
  #options: WriterOptions;
  #connection: Connection;
  #context: OperationContext;
  #deliver: DeliverOperation;
  #waiting: Waiting[] = [];
  #scheduled = false;
  #listeners = new Set<(changes: readonly Change[]) => void>();
  #closed = false;
  #reaper: ReturnType<typeof setTimeout> | undefined;
  #walAlarm = false;
  /** The reserve was given up: only removals are taken. */
  #full = false;
  /** Another program held the write lock when it was last wanted. */
  #locked = false;
  /** After trouble nothing is done on the connection any more, not even at close. */
  #broken = false;
  /** Size of the WAL file at the last checkpoint; it keeps that size and is written again from its start. */
  #checkpointed = 0;
  #operationsSince = 0;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#connection = openWriterConnection(options.databasePath);
    const applied = migrate(this.#connection);
    if (applied.length > 0) log.info("database migrated: {applied}", { applied: applied.join(", ") });
    this.#connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
    this.#context = new OperationContext(this.#connection, options.clock);
    this.#deliver = new DeliverOperation(this.#context);
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

  submit(op: WriteOp): Promise<WriteResult> {
    if (this.#closed) return Promise.resolve(refuse("unavailable", "the store is closing"));
    return new Promise((resolve) => {
      this.#waiting.push({ op, resolve, again: false });
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
    if (this.#broken) return;
    this.#connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
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
    const { changes, usage } = this.#context;
    const group = this.#waiting.slice(0, MAX_GROUP);
    let results: WriteResult[] | null;
    try {
      this.#connection.exec("BEGIN IMMEDIATE");
      this.#lockedIn();
      results = this.#runTogether(group);
      if (results === null) {
        this.#connection.exec("ROLLBACK");
        changes.length = usage.length = 0;
        this.#connection.exec("BEGIN IMMEDIATE");
        results = this.#runApart(group);
      }
      settleUsage(this.#context);
      const commit = performance.now();
      this.#connection.exec("COMMIT");
      commitSeconds.observe((performance.now() - commit) / 1000);
    } catch (error) {
      this.#waiting.splice(0, group.length);
      this.#failed(error, group);
      return;
    }
    const done = this.#waiting.splice(0, results.length);
    groupSize.observe(done.length);
    this.#operationsSince += done.length;
    const announced = changes.splice(0);
    if (announced.length > 0) { for (const listener of this.#listeners) listener(announced); }
    for (const [at, { op, resolve }] of done.entries()) {
      const result = results[at]!;
      countOperation(op.kind, result.ok ? "ok" : result.fault);
      resolve(result);
    }
    this.#checkpoint();
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
      this.#context.changes.length = mark;
      this.#context.usage.length = Math.min(usageMark, this.#context.usage.length);
    }
    this.#connection.exec("RELEASE operation");
    return result;
  }

  /** One operation; what it wrote stays when it is refused. */
  #attempted(op: WriteOp): WriteResult {
    return this.#full && !removes(op) ? refuse("disk-full", "the disk is full") : this.#run(op);
  }

  #run(op: WriteOp): WriteResult {
    const context = this.#context;
    switch (op.kind) {
      case "batch": {
        const results: WriteResult[] = [];
        for (const part of op.ops) {
          const result = this.#run(part);
          if (!result.ok) return result;
          results.push(result);
        }
        return { ok: true, kind: "batch", results };
      }
      case "deliver":
        return this.#deliver.run(op);
      case "import":
        return importMessages(context, this.#deliver, op);
      case "adopt-uid-validity":
        return adoptUidValidity(context, op);
      case "store-flags":
        return op.reader === undefined ? storeFlags(context, op) : storeSharedFlags(context, op, op.reader);
      case "copy":
        return copy(context, op);
      case "abandon-copy":
        return abandonCopy(context, op);
      case "expunge":
        return expunge(context, op);
      case "claim-recent":
        return mailbox.claimRecent(context, op);
      case "create-mailbox":
        return mailbox.createMailbox(context, op);
      case "rename-mailbox":
        return mailbox.renameMailbox(context, op);
      case "delete-mailbox":
        return mailbox.deleteMailbox(context, op);
      case "set-acl":
        return setAcl(context, op);
      case "put-annotations":
        return annotations.putAnnotations(context, op);
      case "subscribe":
        return mailbox.subscribe(context, op);
      case "queue-outcomes":
        return queue.queueOutcomes(context, op);
      case "queue-control":
        return queue.queueControl(context, op);
      case "put-events":
        return queue.putEvents(context, op);
      case "event-outcomes":
        return queue.eventOutcomes(context, op);
      case "quarantine-control":
        return quarantine.quarantineControl(context, op);
      case "quarantine-expire":
        return quarantine.quarantineExpire(context, op);
      case "relocate":
        return relocate(context, op);
      case "put-domain":
        return directory.putDomain(context, op);
      case "remove-domain":
        return directory.removeDomain(context, op);
      case "put-account":
        return directory.putAccount(context, op);
      case "remove-account":
        return directory.removeAccount(context, op);
      case "put-scram":
        return credentials.putScram(context, op);
      case "put-certificate":
        return credentials.putCertificate(context, op);
      case "remove-certificate":
        return credentials.removeCertificate(context, op);
      case "put-alias":
        return directory.putAlias(context, op);
      case "remove-alias":
        return directory.removeAlias(context, op);
      case "put-address":
        return addresses.putAddress(context, op);
      case "remove-address":
        return addresses.removeAddress(context, op);
      case "touch-address":
        return addresses.touchAddress(context, op);
      case "put-group":
        return groups.putGroup(context, op);
      case "remove-group":
        return groups.removeGroup(context, op);
      case "change-members":
        return groups.changeMembers(context, op);
      case "note-quota":
        return noteQuota(context, op);
      case "rotate-secret":
        return directory.rotateSecret(context, op);
      case "put-dkim-key":
        return senderDomains.putDkimKey(context, op);
      case "set-dkim-key-state":
        return senderDomains.setDkimKeyState(context, op);
      case "remove-dkim-key":
        return senderDomains.removeDkimKey(context, op);
      case "put-report":
        return senderDomains.putReport(context, op);
      case "remove-reports":
        return senderDomains.removeReports(context, op);
      case "observe":
        return senderDomains.observe(context, op);
      case "remove-observed":
        return senderDomains.removeObserved(context, op);
      case "put-state":
        return policyState.putState(context, op);
      case "remove-state":
        return policyState.removeState(context, op);
      case "sweep-state":
        return policyState.sweepState(context, op);
      case "once":
        return policyState.claim(context, op.row) ? this.#run({ kind: "batch", ops: op.ops }) : DONE;
      case "put-script":
        return scripts.putScript(context, op);
      case "activate-script":
        return scripts.activateScript(context, op);
      case "rename-script":
        return scripts.renameScript(context, op);
      case "remove-script":
        return scripts.removeScript(context, op);
      case "teach":
        return spam.teach(context, op);
      case "drop-wishes":
        return spam.dropWishes(context, op);
      case "put-knowledge":
        return spam.putKnowledge(context, op);
      case "forget-lessons":
        return spam.forgetLessons(context, op);
      case "sweep-lessons":
        return spam.sweepLessons(context, op);
      case "put-token":
        return directory.putToken(context, op);
      case "remove-token":
        return directory.removeToken(context, op);
      default:
        return op satisfies never;
    }
  }

  #failed(error: unknown, group: Waiting[]): void {
    this.#context.changes.length = 0;
    this.#context.usage.length = 0;
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

  #checkpoint(): void {
    try {
      walOctets = Deno.statSync(`${this.#options.databasePath}-wal`).size;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      walOctets = 0;
    }
    if (walOctets > (this.#options.walAlarmOctets ?? WAL_ALARM_OCTETS) !== this.#walAlarm) {
      this.#walAlarm = !this.#walAlarm;
      walAlarm.set(this.#walAlarm ? 1 : 0);
      if (this.#walAlarm) {
        log.error("the write-ahead log has {octets} octets: a reader holds it back", { octets: walOctets });
      }
    }
    const due = walOctets > this.#checkpointed
      ? walOctets - this.#checkpointed >= CHECKPOINT_OCTETS
      : this.#operationsSince >= CHECKPOINT_OPERATIONS;
    if (!due) return;
    this.#operationsSince = 0;
    setImmediate(() => {
      if (this.#closed) return;
      const begin = performance.now();
      this.#connection.prepare("PRAGMA wal_checkpoint(PASSIVE)").raw().all();
      checkpointSeconds.observe((performance.now() - begin) / 1000);
      this.#checkpointed = walOctets;
    });
  }

  /** Frees contents nothing points at any more, a bounded number at a time, and counts their octets as dead. */
  #reap(): void {
    if (this.#closed) return;
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
      if (free.length > 0) spam.dropStrayWishes(this.#context);
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

/** What still runs on a full disk: it removes mail, or a client cannot remove mail without it. */
function removes(op: WriteOp): boolean {
  switch (op.kind) {
    case "batch":
      return op.ops.every(removes);
    case "copy":
      return op.move; // to the trash
    case "abandon-copy":
    case "expunge":
    case "store-flags":
    case "claim-recent":
    case "delete-mailbox":
    case "queue-outcomes":
    case "queue-control":
    case "event-outcomes":
    case "quarantine-control":
    case "quarantine-expire":
    case "remove-account":
    case "remove-address":
    case "remove-alias":
    case "remove-certificate":
    case "remove-domain":
    case "remove-group":
    case "remove-script":
    case "remove-state":
    case "remove-token":
    case "sweep-state":
    case "drop-wishes":
    case "forget-lessons":
    case "sweep-lessons":
      return true;
    default:
      return false;
  }
}
