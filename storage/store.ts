/**
 * The store as one thread sees it: synchronous short reads, spooled octets, and writes through the writer.
 *
 * Every thread opens its own {@linkcode Store}; reads use its own read-only connection and run on the event loop
 * (indexed, with LIMIT). Writes go to the one writer thread and resolve after commit. Message octets go into this
 * thread's own blob segment and never cross threads.
 */
import type { Access } from "./access.ts";
import type { AuthReports } from "./auth_reports.ts";
import type { ChangeListener } from "./changes.ts";
import type { Directory } from "./directory_view.ts";
import type { Mailboxes } from "./mailboxes.ts";
import type { Messages } from "./messages.ts";
import type { BlobAddress, WriteOp, WriteResult } from "./ops.ts";
import type { PolicyState } from "./policy_state.ts";
import type { Quarantine } from "./quarantine.ts";
import type { Queue } from "./queue.ts";
import type { Scripts } from "./scripts.ts";
import type { SpamLessons } from "./spam_lessons.ts";

export interface Store {
  readonly directory: Directory;
  readonly mailboxes: Mailboxes;
  readonly access: Access;
  readonly messages: Messages;
  readonly queue: Queue;
  readonly quarantine: Quarantine;
  readonly policy: PolicyState;
  readonly reports: AuthReports;
  readonly scripts: Scripts;
  readonly spam: SpamLessons;
  readonly blobs: BlobReader;

  /**
   * Sends one operation to the writer; resolves after its commit, before which the octets it points at are synced. Rejects
   * only when the writer is gone.
   */
  write(op: WriteOp): Promise<WriteResult>;
  /** A place for the octets of one arriving message. */
  spool(): Spool;
  /** True while free space is below the reserve: refuse new mail with 452, keep EXPUNGE and QUIT working. */
  diskFull(): boolean;
  /** Calls `listener` for every change from now on; returns the way to stop. */
  onChange(listener: ChangeListener): () => void;
  /** Seals this thread's segment and closes its connection; the writer belongs to whoever made it. */
  close(): Promise<void>;
}

/** A new message's octets: in memory while small, in a segment of their own when large (bounded memory). */
export interface Spool {
  readonly octets: number;
  /** Copies the span. A returned promise is backpressure: await it before the next write. */
  write(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined;
  /**
   * Octets written so far, at the front of `into` or in an array of their own; for content checks and re-writing before
   * `store`. Small spools answer from memory.
   */
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
  /** The same as they lie in memory, until the next call of another method; null where they do not. */
  held(start: number, end: number): Uint8Array | null;
  /**
   * Where all of it lies once that resolves, for other threads to read until `discard` (spooled_octets.ts); not durable yet.
   * Null while it is in memory. Rejects with StorageError.
   */
  onDisk(): Promise<BlobAddress> | null;
  /**
   * Puts the octets where the address says, small ones at once. They are durable when a {@linkcode Store.write} of this
   * store that points at them has been done. Throws or rejects with StorageError.
   */
  store(salvage: SalvageFacts): BlobAddress | Promise<BlobAddress>;
  /** Forgets the octets. Safe at any time, also after `store` failed. */
  discard(): void;
}

/** What a record's header keeps so that a message can be salvaged without the database. */
export interface SalvageFacts {
  /** Account addresses, empty for queue-only messages. */
  readonly accounts: readonly string[];
  /** Mailbox name, "INBOX" for deliveries, "" for queue-only messages. */
  readonly mailbox: string;
  readonly internalDate: number;
  readonly traceId: string;
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** Disk trouble on the octets' side; the reply is 451 or 452. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly temporary = true;
  /** True when space ran out. */
  readonly full: boolean;
  constructor(message: string, options: { full: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.full = options.full;
  }
}

export interface BlobReader {
  /**
   * Reads payload octets `[start, end)` of a record on the event loop: for spans up to 64 kB. The result is the
   * caller's. Throws StorageError when the record is missing or short.
   */
  readSync(blob: BlobAddress, start: number, end: number): Uint8Array;
  /** Reads straight into `into` at `at` (zero further copies); returns the octets read. */
  readIntoSync(blob: BlobAddress, span: { start: number; end: number }, into: Uint8Array, at: number): void;
  /** The same off the event loop, for long spans. */
  read(blob: BlobAddress, start: number, end: number): Promise<Uint8Array>;
  /**
   * Keeps the octets of a segment readable until the returned function is called, even when compaction removes it
   * meanwhile. A segment that is gone already is found out by the next read.
   */
  pin(segment: number): () => void;
}
