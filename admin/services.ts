/**
 * What administration needs from the server around it. The running server gives all of it; the command line on a
 * folder without a server gives what it can (admin/cli/direct.ts).
 */
import type { Store } from "../storage/store.ts";
import type { LogArea, LogLevel } from "../telemetry/log.ts";

/** One connection of a client, on whatever thread. */
export interface SessionInfo {
  /** The id in every log line of the session. */
  readonly id: string;
  readonly protocol: string;
  readonly address: string;
  /** Address of the account; "" before a login. */
  readonly login: string;
  readonly tls: boolean;
  readonly startedAt: number;
  readonly thread: number;
}

export interface SessionControl {
  list(): Promise<readonly SessionInfo[]>;
  /** Ends the connections with a word to the client where the protocol has one; returns how many there were. */
  kill(ids: readonly string[]): Promise<number>;
}

export interface LogControl {
  /** The common level, and those of areas that have their own. */
  levels(): { readonly level: LogLevel; readonly areas: Readonly<Partial<Record<LogArea, LogLevel>>> };
  /** On all threads, until the next start. `area` null is the common level. */
  set(area: LogArea | null, level: LogLevel): void;
}

/** One thing that `verify` found. */
export interface VerifyProblem {
  readonly kind: string;
  /** What it is about: a mailbox, a message, a segment. */
  readonly subject: string;
  readonly detail: string;
  readonly fixed: boolean;
}

export interface VerifyReport {
  /** What was looked at, and how many. */
  readonly checked: Readonly<Record<string, number>>;
  readonly problems: readonly VerifyProblem[];
}

export interface Progress {
  readonly done: number;
  readonly total: number;
}

export interface AdminServices {
  readonly store: Store;
  readonly clock: () => number;
  readonly version: string;
  readonly startedAt: number;
  /** Rejects with HashBusy when too many wait (auth/hash_work.ts). */
  hashPassword(password: string): Promise<string>;
  /**
   * Gives up on recipients now: a DSN goes to the sender where one is due, as after the last attempt. Returns how many
   * there were. Null: no queue runner here.
   */
  readonly failRecipients: ((recipientIds: readonly number[], reason: string) => Promise<number>) | null;
  /** Null: no server, hence no sessions. */
  readonly sessions: SessionControl | null;
  readonly logs: LogControl | null;
  /** The Prometheus text of all threads. */
  metrics(): Promise<string>;
  /** Checks the database against the blobs; null where it cannot be done. */
  readonly verify:
    | ((options: { fix: boolean; progress: (progress: Progress) => void }) => Promise<VerifyReport>)
    | null;
  /** Why the server cannot take mail at the moment; null when all is well. */
  trouble(): string | null;
}
