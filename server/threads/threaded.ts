/**
 * A thread for each part: one writer, N front ends, and their supervision.
 *
 * All Workers load side by side; the writer opens the database first, the others connect to it after, the queue when
 * the ports are open. A front end that dies is replaced, with a wait that grows when it dies again soon: its sessions
 * are gone, its counts in the shared limits are zeroed, the new one opens a segment of its own. So are the queue and the
 * indexer, which find everything in the database. The death of the writer is fatal.
 */
import { getLogger } from "@logtape/logtape";
import { connectWriter } from "../../storage/writer_port.ts";
import type { WriterPort } from "../../storage/writer.ts";
import type { LogSettings } from "../../telemetry/log.ts";
import type { ThreadMetrics } from "../../telemetry/metrics.ts";
import { MaildropLocks } from "../maildrop_locks.ts";
import { Bans } from "../bans.ts";
import { answersBuffer } from "../shared_answers.ts";
import { SharedBuckets } from "../shared_buckets.ts";
import { SharedLimits } from "../shared_limits.ts";
import type { PartSettings, ThreadRole } from "./messages.ts";
import type { PlacedSession, Shape, ShapeOptions, SharedMemory } from "./shape.ts";
import { Thread } from "./thread.ts";

/** Wait before a dead front end is replaced, milliseconds; doubles while it keeps dying. */
const RESTART_MS = 100;
const MAX_RESTART_MS = 30_000;
/** A thread that lived this long starts with the short wait again. */
const SETTLED_MS = 60_000;
/** Milliseconds a thread may take to answer before it counts as trouble. */
const ALIVE_MS = 3_000;

const log = getLogger(["veredus", "server"]);

/** Giving up many recipients writes a bounce for each message. */
const FAIL_TIMEOUT_MS = 60_000;

const ENTRIES: Readonly<Record<ThreadRole, URL>> = {
  writer: new URL("./writer_worker.ts", import.meta.url),
  frontend: new URL("./frontend_worker.ts", import.meta.url),
  queue: new URL("./queue_worker.ts", import.meta.url),
  indexer: new URL("./indexer_worker.ts", import.meta.url),
};

/** The place of one thread, whoever fills it at the moment. */
interface Seat {
  readonly role: ThreadRole;
  readonly name: string;
  readonly column: number;
  thread: Thread;
  startedAt: number;
  restartMs: number;
  restart: ReturnType<typeof setTimeout> | null;
}

export async function startThreaded(options: ShapeOptions): Promise<Shape> {
  const shape = new ThreadedShape(options);
  try {
    await shape.start();
  } catch (error) {
    shape.terminate();
    throw error;
  }
  return shape;
}

class ThreadedShape implements Shape {
  #options: ShapeOptions;
  #settings: PartSettings;
  #logs: LogSettings;
  #limits: SharedArrayBuffer;
  #maildropLocks: SharedArrayBuffer;
  #bans: SharedArrayBuffer;
  #buckets: SharedArrayBuffer;
  #answers: SharedArrayBuffer;
  #epoch: number;
  #writerThread: Thread;
  #writer: WriterPort | null;
  /** The front ends, and behind them the queue and the indexer once the ports are open. */
  #seats: Seat[];
  /** Deaths end the start before this is true, and are repaired after. */
  #running: boolean;
  #draining: boolean;

  constructor(options: ShapeOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#logs = options.logs;
    this.#limits = SharedLimits.buffer(options.frontEnds + 1);
    this.#maildropLocks = MaildropLocks.buffer();
    this.#bans = Bans.buffer();
    this.#buckets = SharedBuckets.buffer();
    this.#answers = answersBuffer(options.settings.config.resolver);
    this.#epoch = Date.now();
    this.#writer = null;
    this.#running = false;
    this.#draining = false;
    this.#writerThread = this.#thread("writer", "writer", (reason) => {
      if (this.#draining) return;
      log.fatal("the writer died: {reason}", { reason });
      if (this.#running) options.onFatal(reason);
    });
    this.#seats = [];
    for (let column = 0; column < options.frontEnds; column++) {
      this.#seats.push(this.#seat("frontend", `frontend-${column + 1}`, column));
    }
  }

  get shared(): SharedMemory {
    return { limits: this.#limits, bans: this.#bans, answers: this.#answers, epoch: this.#epoch };
  }

  get writer(): WriterPort {
    if (this.#writer === null) throw new Error("the writer has not started");
    return this.#writer;
  }

  async start(): Promise<void> {
    await this.#writerThread.start({
      kind: "start",
      name: "writer",
      settings: this.#settings,
      logs: this.#logs,
      writer: null,
      limits: this.#limits,
      maildropLocks: this.#maildropLocks,
      bans: this.#bans,
      buckets: this.#buckets,
      answers: this.#answers,
      column: 0,
      epoch: this.#epoch,
    });
    // Main opens no mailbox.
    this.#writer = connectWriter(this.#attach(), ["mailboxes", "directory", "annotations"]);
    await this.#options.prepare?.(this.#writer);
    await Promise.all(this.#seats.map((seat) => this.#startSeat(seat)));
    this.#running = true;
    const late: ThreadRole[] = this.#settings.config.search.index ? ["queue", "indexer"] : ["queue"];
    for (const role of late) {
      const seat = this.#seat(role, role, 0);
      this.#seats.push(seat);
      this.#startSeat(seat).catch(() => {}); // told by its death
    }
  }

  async metrics(): Promise<ThreadMetrics[]> {
    const answers = await Promise.allSettled(
      this.#threads().map((thread) => thread.request({ kind: "metrics" })),
    );
    return answers.flatMap((answer) => answer.status === "fulfilled" ? [answer.value] : []);
  }

  async sessions(): Promise<PlacedSession[]> {
    const answers = await Promise.allSettled(
      this.#seats.map(({ thread }) => thread.request({ kind: "sessions" })),
    );
    return answers.flatMap((answer, at) =>
      answer.status === "fulfilled" ? answer.value.map((session) => ({ ...session, thread: at + 1 })) : []
    );
  }

  async endSession(id: string): Promise<boolean> {
    const answers = await Promise.allSettled(
      this.#seats.map(({ thread }) => thread.request({ kind: "end-session", id })),
    );
    return answers.some((answer) => answer.status === "fulfilled" && answer.value);
  }

  async failRecipients(recipientIds: readonly number[], reason: string): Promise<number> {
    const queue = this.#seats.find(({ role }) => role === "queue");
    if (queue === undefined) throw new Error("the queue has not started");
    return await queue.thread.request({ kind: "fail-recipients", recipientIds, reason }, {
      timeoutMs: FAIL_TIMEOUT_MS,
    });
  }

  async rebuildIndex(accountId: number): Promise<void> {
    const indexer = this.#seats.find(({ role }) => role === "indexer");
    if (indexer === undefined) throw new Error("no full-text indexes are kept (search.index)");
    await indexer.thread.request({ kind: "rebuild-index", accountId });
  }

  setLogLevel(area: Parameters<Shape["setLogLevel"]>[0], level: Parameters<Shape["setLogLevel"]>[1]): void {
    this.#logs = area === null
      ? { ...this.#logs, level }
      : { ...this.#logs, areas: { ...this.#logs.areas, [area]: level } };
    for (const thread of this.#threads()) {
      thread.request({ kind: "log-level", area, level }).catch((error) => {
        log.warn("the log level of {thread} was not changed: {error}", { thread: thread.name, error });
      });
    }
  }

  async reload(settings: PartSettings): Promise<void> {
    this.#settings = settings;
    await Promise.all(this.#seats.map(({ thread }) => thread.request({ kind: "reload", settings })));
  }

  async trouble(): Promise<string | null> {
    const answers = await Promise.allSettled(
      this.#threads().map((thread) => thread.request({ kind: "sessions" }, { timeoutMs: ALIVE_MS })),
    );
    const silent = this.#threads().filter((_, at) => answers[at]?.status === "rejected");
    return silent.length === 0 ? null : `no answer from ${silent.map(({ name }) => name).join(", ")}`;
  }

  async drain(withinMs: number): Promise<void> {
    this.#draining = true;
    const timeoutMs = withinMs + 5_000;
    const ends = await Promise.allSettled(this.#seats.map(async (seat) => {
      if (seat.restart !== null) clearTimeout(seat.restart);
      if (seat.thread.dead === null) await seat.thread.request({ kind: "drain", withinMs }, { timeoutMs });
    }));
    for (const end of ends) if (end.status === "rejected") log.warn("drain: {error}", { error: end.reason });
    await this.#writer?.close();
    await this.#writerThread.request({ kind: "drain", withinMs }, { timeoutMs });
    this.terminate();
  }

  terminate(): void {
    this.#draining = true;
    for (const seat of this.#seats) if (seat.restart !== null) clearTimeout(seat.restart);
    for (const thread of this.#threads()) thread.terminate();
  }

  #threads(): Thread[] {
    return [this.#writerThread, ...this.#seats.map(({ thread }) => thread)];
  }

  #thread(role: ThreadRole, name: string, onDeath: (reason: string) => void): Thread {
    const entry = this.#options.entries?.[role] ?? ENTRIES[role];
    return new Thread({ name, role, entry, events: { onLog: this.#options.onLog, onDeath } });
  }

  /** Main's end of a new channel whose other end the writer serves. */
  #attach(): MessagePort {
    const { port1, port2 } = new MessageChannel();
    this.#writerThread.request({ kind: "attach", port: port1 }, { transfer: [port1] }).catch((error) => {
      if (!this.#draining) log.error("the writer takes no more connections: {error}", { error });
    });
    return port2;
  }

  #seat(role: ThreadRole, name: string, column: number): Seat {
    const seat: Seat = {
      role,
      name,
      column,
      thread: this.#thread(role, name, (reason) => this.#seatDied(seat, reason)),
      startedAt: performance.now(),
      restartMs: RESTART_MS,
      restart: null,
    };
    return seat;
  }

  async #startSeat(seat: Seat): Promise<void> {
    await seat.thread.start({
      kind: "start",
      name: seat.name,
      settings: this.#settings,
      logs: this.#logs,
      writer: this.#attach(),
      limits: this.#limits,
      maildropLocks: this.#maildropLocks,
      bans: this.#bans,
      buckets: this.#buckets,
      answers: this.#answers,
      column: seat.column,
      epoch: this.#epoch,
    });
  }

  #seatDied(seat: Seat, reason: string): void {
    if (!this.#running || this.#draining) return;
    if (seat.role === "frontend") {
      new SharedLimits(this.#limits, { column: seat.column, epoch: this.#epoch }).clearColumn(seat.column);
      new MaildropLocks(this.#maildropLocks, { column: seat.column }).clearColumn(seat.column);
    }
    if (performance.now() - seat.startedAt > SETTLED_MS) seat.restartMs = RESTART_MS;
    log.error("{thread} died and is started again in {restartMs} ms: {reason}", {
      thread: seat.name,
      restartMs: seat.restartMs,
      reason,
    });
    seat.restart = setTimeout(() => {
      seat.restart = null;
      seat.startedAt = performance.now();
      seat.thread = this.#thread(seat.role, seat.name, (again) => this.#seatDied(seat, again));
      this.#startSeat(seat).then(
        () => log.info("{thread} runs again", { thread: seat.name }),
        () => {}, // its death was told already
      );
    }, seat.restartMs);
    seat.restartMs = Math.min(MAX_RESTART_MS, seat.restartMs * 2);
  }
}
