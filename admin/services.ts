/**
 * What administration needs from the server around it. The running server gives all of it (running.ts); the command
 * line on a folder without a server gives what it can (cli/direct.ts).
 */
import type { OwnServer } from "../delivery/domain_records.ts";
import type { OwnPolicy } from "../delivery/security/own_policy.ts";
import type { DnsReport } from "../dns/report.ts";
import type { Imports } from "./imports.ts";
import type { PlacedSession } from "../server/threads/shape.ts";
import type { Ban } from "../server/bans.ts";
import type { Setting } from "../server/config/settings.ts";
import type { IndexState } from "../search/index_reader.ts";
import type { Store } from "../storage/store.ts";
import type { LogArea, LogLevel } from "../telemetry/log.ts";

export type { PlacedSession };

export interface SessionControl {
  list(): Promise<readonly PlacedSession[]>;
  /** Ends one, with a word to the client where the protocol has one; false when there is no such session. */
  end(id: string): Promise<boolean>;
}

export interface LogControl {
  /** The common level, and those of areas that have their own. */
  levels(): { readonly level: LogLevel; readonly areas: Readonly<Partial<Record<LogArea, LogLevel>>> };
  /** On all threads, until the next start or reload. `area` null is the common level. */
  set(area: LogArea | null, level: LogLevel): void;
}

export interface BanControl {
  list(page: { readonly after: string; readonly limit: number }): Ban[];
  /** Null where the address is never banned. */
  add(address: string, forMs: number): Promise<Ban | null>;
  /** False when it was not banned. */
  lift(address: string): Promise<boolean>;
}

/** The full-text indexes. */
export interface IndexControl {
  /** Null where an account has none yet. */
  state(accountId: number): Promise<IndexState | null>;
  /** Begins to make one anew. */
  rebuild(accountId: number): Promise<void>;
}

export interface BackupState {
  readonly state: "running" | "done" | "failed";
  readonly to: string;
  /** Why it failed. */
  readonly reason: string;
  /** Octets; a total of 0 is not known yet. */
  readonly done: number;
  readonly total: number;
  readonly missingSegments: readonly number[];
}

/** Copies of the data folder, one at a time. */
export interface BackupControl {
  /** Null: none was asked for since the server started. */
  state(): BackupState | null;
  /** When the last whole one was done, whoever made it; milliseconds. */
  lastAt(): number | null;
  /** False while one is made. */
  start(to: string): boolean;
  /** False when none is made. */
  stop(): Promise<boolean>;
}

/** Gives up on recipients now, as after the last attempt; returns how many there were. */
export type FailRecipients = (recipientIds: readonly number[], reason: string) => Promise<number>;

/** A look-up by the resolver of the server, with its steps when `trace` is set. */
export type QueryDns = (
  question: { readonly name: string; readonly type: number; readonly trace: boolean },
) => Promise<DnsReport>;

/** The spam filter, for a message at hand. */
export interface SpamControl {
  signals(): Promise<readonly { readonly name: string; readonly points: number; readonly explain: string }[]>;
  /** With what the account has taught; null: what all share. */
  judge(octets: Uint8Array, accountId: number | null): Promise<{
    readonly points: number;
    readonly hits: readonly { readonly name: string; readonly points: number; readonly explain: string }[];
    readonly marks: readonly string[];
  }>;
  lesson(octets: Uint8Array): Promise<{ readonly key: string; readonly tokens: Uint8Array }>;
}

export interface AdminServices {
  readonly store: Store;
  readonly clock: () => number;
  readonly version: string;
  readonly startedAt: number;
  /** Rejects with HashBusy when too many wait (auth/hash_work.ts). */
  hashPassword(password: string): Promise<string>;
  /** A DSN goes to the sender where one is due. Null: no queue runner here. */
  readonly failRecipients: FailRecipients | null;
  /** Null: no server. */
  readonly bans: BanControl | null;
  /** Where the life of messages is written; null: nowhere. */
  readonly traceFolder: string | null;
  /** Null: no server, hence no sessions. */
  readonly sessions: SessionControl | null;
  readonly logs: LogControl | null;
  readonly imports: Imports;
  /** Null: no server. */
  readonly backups: BackupControl | null;
  /** Null: none are kept. */
  readonly indexes: IndexControl | null;
  /** What our domains should show of this server; null: no server. */
  readonly own: (() => OwnServer) | null;
  /** The MTA-STS policy of our domains; null: none is published. */
  readonly stsPolicy: (() => OwnPolicy | null) | null;
  /** Null: no server. */
  readonly spam: SpamControl | null;
  /** Null: no server, hence no resolver. */
  readonly queryDns: QueryDns | null;
  /** Reads the configuration again and names the keys that need a restart; null: there is none to read. */
  readonly reload: (() => Promise<string[]>) | null;
  /** The settings in force; null: there is no configuration file. */
  readonly settings: (() => readonly Setting[]) | null;
  /** The Prometheus text of all threads. */
  metrics(): Promise<string>;
  /** Why the server cannot take mail at the moment; null when all is well. */
  trouble(): Promise<string | null>;
}
