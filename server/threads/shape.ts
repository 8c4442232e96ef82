/**
 * The two shapes a server runs in: a thread for each part, or all parts in one thread.
 *
 * Both are made of the same parts (`writer_part.ts`, `frontend_part.ts`, `queue_part.ts`) and look the same to
 * whoever runs them.
 */
import type { WriterPort } from "../../storage/writer.ts";
import type { LogArea, LogLevel, LogSettings } from "../../telemetry/log.ts";
import type { ThreadMetrics } from "../../telemetry/metrics.ts";
import type { PartSettings, SessionInfo, ThreadRole } from "./messages.ts";

export interface ShapeOptions {
  readonly settings: PartSettings;
  readonly logs: LogSettings;
  /** Log lines of other threads. */
  readonly onLog: (lines: string) => void;
  /** The writer died: the process must end, because a transaction may hold the lock until then. */
  readonly onFatal: (reason: string) => void;
  /** Front ends beside main; 0 is the single shape. */
  readonly frontEnds: number;
  /** Runs between the writer's start and the opening of the ports. */
  readonly prepare?: (writer: WriterPort) => Promise<void>;
  /** Other modules as Worker entries, for tests. */
  readonly entries?: Partial<Record<ThreadRole, URL>>;
}

/** A session and the thread that serves it. */
export interface PlacedSession extends SessionInfo {
  readonly thread: number;
}

/** What main shares with the threads: bans, to look at and lift them, the answers of DNS, limits of connections. */
export interface SharedMemory {
  /** Its last column is main's. */
  readonly limits: SharedArrayBuffer;
  readonly bans: SharedArrayBuffer;
  readonly answers: SharedArrayBuffer;
  readonly epoch: number;
}

export interface Shape {
  readonly shared: SharedMemory;
  /** Main's own way to the writer. */
  readonly writer: WriterPort;
  /** Metrics of the threads beside main. Those that do not answer are left out. */
  metrics(): Promise<ThreadMetrics[]>;
  sessions(): Promise<PlacedSession[]>;
  endSession(id: string): Promise<boolean>;
  /** Gives queued recipients up with a bounce; how many. Rejects while the queue's thread is not there. */
  failRecipients(recipientIds: readonly number[], reason: string): Promise<number>;
  /** Begins to make the full-text index of an account anew. Rejects where none are kept. */
  rebuildIndex(accountId: number): Promise<void>;
  /** On the threads beside main. */
  setLogLevel(area: LogArea | null, level: LogLevel): void;
  reload(settings: PartSettings): Promise<void>;
  /** Why the server cannot take mail; null when every part answers. */
  trouble(): Promise<string | null>;
  /** Ends everything but main, the writer last. */
  drain(withinMs: number): Promise<void>;
}
