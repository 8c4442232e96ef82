/**
 * The write-ahead log: how large it is, and when it is put into the database.
 *
 * PASSIVE once it is past {@linkcode CHECKPOINT_OCTETS}, after the replies of a group are out; TRUNCATE at open and close. No
 * other connection checkpoints (SQLite 3.45.1 lacks the fix of the WAL-reset race of two checkpointers).
 */
import { getLogger } from "@logtape/logtape";
import { setImmediate } from "node:timers";
import { gauge, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import type { Connection } from "./libsql.ts";

const CHECKPOINT_OCTETS = 16 * 1024 * 1024;
/** While the WAL file is reused from its start its size says nothing: about 16 MB of deliveries. */
const CHECKPOINT_OPERATIONS = 1_000;
/** Between two looks at the size of the file, which costs as much as a small operation: whichever comes first. */
const LOOK_OPERATIONS = 64, LOOK_MS = 100;
const WAL_ALARM_OCTETS = 256 * 1024 * 1024;

const log = getLogger(["veredus", "storage"]);
const checkpointSeconds = histogram("veredus_checkpoint_seconds", "Time of one checkpoint", {
  buckets: SECONDS_BUCKETS,
});
let walOctets = 0;
gauge("veredus_wal_octets", "Size of the write-ahead log", { collect: (g) => g.set(walOctets) });
const walAlarm = gauge("veredus_wal_alarm", "1 while the write-ahead log is far too large");

export class Checkpoints {
  readonly #connection: Connection;
  readonly #logPath: string;
  readonly #alarmOctets: number;
  #alarm: boolean;
  /** Size of the file at the last checkpoint; it keeps that size and is written again from its start. */
  #checkpointed: number;
  #operations: number;
  /** Operations at the last look, and when that was. */
  #looked: { operations: number; at: number };
  #closed: boolean;

  constructor(
    connection: Connection,
    { databasePath, alarmOctets = WAL_ALARM_OCTETS }: {
      readonly databasePath: string;
      readonly alarmOctets?: number | undefined;
    },
  ) {
    this.#connection = connection;
    this.#logPath = `${databasePath}-wal`;
    this.#alarmOctets = alarmOctets;
    this.#alarm = false;
    this.#checkpointed = 0;
    this.#operations = 0;
    this.#looked = { operations: 0, at: -LOOK_MS };
    this.#closed = false;
  }

  truncate(): void {
    this.#connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
  }

  /** Nothing is put into the database after this. */
  close(): void {
    this.#closed = true;
  }

  /** After each group, `now` as performance.now(): a checkpoint follows when it is due. */
  committed(operations: number, now: number): void {
    this.#operations += operations;
    if (this.#operations - this.#looked.operations < LOOK_OPERATIONS && now - this.#looked.at < LOOK_MS) {
      return;
    }
    this.#looked = { operations: this.#operations, at: now };
    this.#look();
    const due = walOctets > this.#checkpointed
      ? walOctets - this.#checkpointed >= CHECKPOINT_OCTETS
      : this.#operations >= CHECKPOINT_OPERATIONS;
    if (!due) return;
    this.#operations = this.#looked.operations = 0;
    setImmediate(() => {
      if (this.#closed) return;
      const begin = performance.now();
      this.#connection.prepare("PRAGMA wal_checkpoint(PASSIVE)").raw().all();
      checkpointSeconds.observe((performance.now() - begin) / 1000);
      this.#checkpointed = walOctets;
    });
  }

  #look(): void {
    try {
      walOctets = Deno.statSync(this.#logPath).size;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      walOctets = 0;
    }
    if (walOctets > this.#alarmOctets === this.#alarm) return;
    this.#alarm = !this.#alarm;
    walAlarm.set(this.#alarm ? 1 : 0);
    if (this.#alarm) {
      log.error("the write-ahead log has {octets} octets: a reader holds it back", { octets: walOctets });
    }
  }
}
