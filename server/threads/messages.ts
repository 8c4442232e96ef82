/**
 * What main and the other threads say to each other. Everything here can be cloned across threads.
 *
 * Main sends one `start`, then requests; a thread answers `ready` or `failed` once, answers each request, and sends
 * its log lines. Message octets and write operations do not pass here: octets never cross threads, operations have
 * a port of their own (storage/writer_port.ts).
 */
import type { LogArea, LogLevel, LogSettings } from "../../telemetry/log.ts";
import type { ThreadMetrics } from "../../telemetry/metrics.ts";
import type { Certificate } from "../certificate.ts";
import type { Config } from "../config/config.ts";

/** What every thread is given, also the only one of `threads: 0`. */
export interface PartSettings {
  readonly config: Config;
  readonly certificates: readonly Certificate[];
  /** Passwords are taken without TLS from loopback (local mode). */
  readonly local: boolean;
}

/** A session as administration lists it. */
export interface SessionInfo {
  readonly id: string;
  readonly protocol: "smtp" | "imap" | "pop3" | "managesieve";
  readonly address: string;
  /** Milliseconds since the epoch. */
  readonly since: number;
  readonly tls: boolean;
  readonly account: string | null;
  /** What it does now, in a few words. */
  readonly doing: string;
}

export type ThreadRole = "frontend" | "writer" | "queue" | "indexer";

export interface StartMessage extends SharedState {
  readonly kind: "start";
  readonly name: string;
  readonly settings: PartSettings;
  readonly logs: LogSettings;
  /** Connection to the writer; the writer itself gets `attach` requests. */
  readonly writer: MessagePort | null;
}

/** What all threads that serve or send have in common, in shared memory. */
export interface SharedState {
  readonly limits: SharedArrayBuffer;
  /** The locks of POP3 maildrops (maildrop_locks.ts). */
  readonly maildropLocks: SharedArrayBuffer;
  /** Bans and their offences (bans.ts), token buckets of rates (shared_buckets.ts). */
  readonly bans: SharedArrayBuffer;
  readonly buckets: SharedArrayBuffer;
  /** Answers of DNS (dns/shared_table.ts). */
  readonly answers: SharedArrayBuffer;
  readonly column: number;
  /** Common zero of the shared limits' times. */
  readonly epoch: number;
}

export type ThreadRequest =
  | { readonly kind: "metrics" }
  | { readonly kind: "sessions" }
  | { readonly kind: "end-session"; readonly id: string }
  | { readonly kind: "log-level"; readonly area: LogArea | null; readonly level: LogLevel }
  | { readonly kind: "reload"; readonly settings: PartSettings }
  /** Writer only: a thread's end of a new channel. */
  | { readonly kind: "attach"; readonly port: MessagePort }
  /** Queue only: gives recipients up with a bounce; the answer is how many. */
  | {
    readonly kind: "fail-recipients";
    readonly recipientIds: readonly number[];
    readonly reason: string;
  }
  /** Indexer only. */
  | { readonly kind: "rebuild-index"; readonly accountId: number }
  | { readonly kind: "drain"; readonly withinMs: number };

/** The answer to each kind of request. */
export interface ThreadAnswers {
  readonly "metrics": ThreadMetrics;
  readonly "sessions": SessionInfo[];
  readonly "end-session": boolean;
  readonly "log-level": null;
  readonly "reload": null;
  readonly "attach": null;
  readonly "fail-recipients": number;
  readonly "rebuild-index": null;
  readonly "drain": null;
}

export interface RequestMessage {
  readonly kind: "request";
  readonly id: number;
  readonly request: ThreadRequest;
}

export type ToThread = StartMessage | RequestMessage;

export type FromThread =
  | { readonly kind: "loaded" }
  | { readonly kind: "ready" }
  /** It could not start, or cannot go on; the text says why. */
  | { readonly kind: "failed"; readonly reason: string }
  | { readonly kind: "log"; readonly lines: string }
  | { readonly kind: "answer"; readonly id: number; readonly value: unknown }
  | { readonly kind: "refusal"; readonly id: number; readonly reason: string };

/** One thread's work, in a Worker or, with `threads: 0`, in main. */
export interface ThreadPart {
  sessions(): SessionInfo[];
  /** False when it has no such session. */
  endSession(id: string): boolean;
  /** Takes over what can change while it runs. */
  reload(settings: PartSettings): void;
  /** Takes no new work, lets what runs end within the time, then closes everything. */
  drain(withinMs: number): Promise<void>;
}
