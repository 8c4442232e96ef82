/** Opens the store for one thread: its reading connection, its blob segment, and the way to the writer. */
import { getLogger } from "@logtape/logtape";
import { SqlAccess } from "./access.ts";
import { SegmentBlobReader } from "./blob_reader.ts";
import type { Change, ChangeListener } from "./changes.ts";
import { type DataFolder, freeOctets } from "./data_folder.ts";
import { openReaderConnection } from "./database.ts";
import { SqlDirectory } from "./directory.ts";
import { DENO_FILES, type Files } from "./files.ts";
import type { Connection } from "./libsql.ts";
import { SqlMailboxes } from "./mailboxes.ts";
import { SqlMessages } from "./messages.ts";
import { blobsOf, type WriteOp, type WriteResult } from "./ops.ts";
import { SqlAuthReports } from "./auth_reports.ts";
import { SqlPolicyState } from "./policy_state.ts";
import { SqlScripts } from "./scripts.ts";
import { SqlSpamLessons } from "./spam_lessons.ts";
import { SqlQuarantine } from "./quarantine.ts";
import { SqlQueue } from "./queue.ts";
import { DEFAULT_SEGMENT_OPTIONS, type SegmentOptions, SegmentWriter } from "./segment_writer.ts";
import { SegmentSpool } from "./spool.ts";
import { Statements } from "./statements.ts";
import type { Spool, Store } from "./store.ts";
import type { WriterPort } from "./writer.ts";

/** New mail is refused below this much free space, so that removals and the database keep working. */
const DEFAULT_MIN_FREE_OCTETS = 64 * 1024 * 1024;
const FREE_CHECK_MS = 1_000;

const log = getLogger(["veredus", "storage"]);

export interface StoreOptions {
  readonly folder: DataFolder;
  readonly writer: WriterPort;
  readonly files?: Files;
  readonly segment?: Partial<SegmentOptions>;
  readonly minFreeOctets?: number;
  /** Opens the segment now and not at the first message. */
  readonly openSegment?: boolean;
  /** Whether a large message may have a file of its own, of descriptors; left out: always. */
  readonly mayOpen?: () => boolean;
}

export function openStore(options: StoreOptions): Store {
  return new ThreadStore(options);
}

/** For a process beside the server, which only reads; writing is refused. */
export function openReadOnlyStore(folder: DataFolder): Store {
  const writer: WriterPort = {
    submit: () => Promise.resolve({ ok: false, fault: "unavailable", detail: "this store is read only" }),
    onChanges: () => () => {},
    close: () => Promise.resolve(),
  };
  return new ThreadStore({ folder, writer });
}

class ThreadStore implements Store {
  readonly directory: SqlDirectory;
  readonly access: SqlAccess;
  readonly mailboxes: SqlMailboxes;
  readonly messages: SqlMessages;
  readonly queue: SqlQueue;
  readonly quarantine: SqlQuarantine;
  readonly policy: SqlPolicyState;
  readonly reports: SqlAuthReports;
  readonly scripts: SqlScripts;
  readonly spam: SqlSpamLessons;
  readonly blobs: SegmentBlobReader;
  #connection: Connection;
  #writer: WriterPort;
  #segments: SegmentWriter;
  #folder: DataFolder;
  #minFree: number;
  #mayOpen: () => boolean;
  #free: { at: number; full: boolean } = { at: -FREE_CHECK_MS, full: false };
  #listeners = new Set<ChangeListener>();
  #stop: () => void;

  constructor(options: StoreOptions) {
    const { folder, writer, files = DENO_FILES } = options;
    this.#folder = folder;
    this.#writer = writer;
    this.#connection = openReaderConnection(folder.database);
    const statements = new Statements(this.#connection);
    this.directory = new SqlDirectory(statements);
    this.access = new SqlAccess(statements, this.directory);
    this.mailboxes = new SqlMailboxes(statements, this.access);
    this.messages = new SqlMessages(statements);
    this.queue = new SqlQueue(statements);
    this.quarantine = new SqlQuarantine(statements);
    this.policy = new SqlPolicyState(statements);
    this.reports = new SqlAuthReports(statements);
    this.scripts = new SqlScripts(statements);
    this.spam = new SqlSpamLessons(statements);
    this.blobs = new SegmentBlobReader(folder.segments);
    this.#segments = new SegmentWriter(folder.segments, files, {
      ...DEFAULT_SEGMENT_OPTIONS,
      ...options.segment,
    });
    if (options.openSegment) this.#segments.open();
    this.#minFree = options.minFreeOctets ?? DEFAULT_MIN_FREE_OCTETS;
    this.#mayOpen = options.mayOpen ?? (() => true);
    this.#stop = writer.onChanges((changes) => {
      for (const change of changes) this.#apply(change);
    });
  }

  write(op: WriteOp): Promise<WriteResult> {
    const blobs = blobsOf(op);
    if (blobs.length === 0) return this.#writer.submit(op);
    return this.#segments.cover(blobs, (segments) => this.#writer.submit(op, segments));
  }

  spool(): Spool {
    return new SegmentSpool(this.#folder.segments, this.#segments, this.#mayOpen);
  }

  diskFull(): boolean {
    const now = performance.now();
    if (now - this.#free.at >= FREE_CHECK_MS) {
      const free = freeOctets(this.#folder.path);
      const full = free < this.#minFree;
      if (full !== this.#free.full) {
        const facts = { free, least: this.#minFree };
        if (full) {
          log.error("new mail is put off: {free} octets of the disk are free, {least} are the least", facts);
        } else log.info("new mail is taken again: {free} octets of the disk are free", facts);
      }
      this.#free = { at: now, full };
    }
    return this.#free.full;
  }

  onChange(listener: ChangeListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#segments.close();
    this.blobs.close();
    this.#connection.close();
  }

  #apply(change: Change): void {
    if (change.kind === "directory") {
      this.directory.invalidate();
      this.access.invalidate();
      this.scripts.invalidate();
    }
    this.mailboxes.apply(change);
    this.policy.apply(change);
    for (const listener of [...this.#listeners]) listener(change);
  }
}
