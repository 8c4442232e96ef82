/** One destination of the queue: what waits for it, who works for it, and how fast it may go. */
import type { ClientTransaction } from "../../protocols/smtp/client_transaction.ts";
import type { QueueTls } from "../../storage/ops.ts";
import type { DueRow, QueuedMessage } from "../../storage/queue.ts";
import type { AgentRoute } from "../agents.ts";
import type { Identity, Route } from "../routes.ts";
import { Concurrency } from "./concurrency.ts";
import { FairJobs } from "./fair_jobs.ts";

/** Recipients of one message that go the same way. */
export interface Job {
  readonly message: QueuedMessage;
  readonly priority: number;
  readonly sender: string;
  recipients: DueRow[];
  /** It met a connection the peer had closed, and was put back once. */
  again: boolean;
  /** Sent behind the message before already, and the result is to come. */
  transaction: ClientTransaction | null;
}

export interface Destination {
  readonly key: string;
  readonly route: Route;
  readonly tls: QueueTls;
  /** Null for other servers. */
  readonly agent: AgentRoute | null;
  readonly identity: Identity;
  readonly jobs: FairJobs<Job>;
  readonly concurrency: Concurrency;
  connections: number;
  /** Connections to another host beside the first one of theirs. */
  beside: number;
  /** Connections that are open and past EHLO. */
  ready: number;
  /** Wakes a connection that waits for work. */
  idle: (() => void)[];
  /** Connections that were woken for work and have not asked for it yet. */
  waking: number;
  /** No further connection before this: it refused one while others worked. */
  crowdedUntil: number;
  /** Nothing is sent before this: its quota is used up, or it named our address as listed. */
  waitsUntil: number;
  /** Since the last message that got through: how often it named us as listed. */
  listed: number;
  /** Failed connections since the last that was opened. */
  failures: number;
  /** It follows messages that are sent behind one another by BDAT, as far as is known. */
  whole: boolean;
  /** Of the route's quota: when messages were begun in the running period. */
  period: { begin: number; messages: number };
}

export function newDestination(
  key: string,
  facts: Pick<Destination, "route" | "tls" | "agent" | "identity"> & { readonly connections: number },
): Destination {
  const { connections, ...rest } = facts;
  return {
    key,
    ...rest,
    jobs: new FairJobs(),
    concurrency: new Concurrency(connections),
    connections: 0,
    beside: 0,
    ready: 0,
    idle: [],
    waking: 0,
    crowdedUntil: 0,
    waitsUntil: 0,
    listed: 0,
    failures: 0,
    whole: true,
    period: { begin: 0, messages: 0 },
  };
}

/** Wakes a connection that waits for work; false where none does. */
export function wakeOne(destination: Destination): boolean {
  const wake = destination.idle.shift();
  if (wake === undefined) return false;
  destination.waking++;
  wake();
  return true;
}

/** Counts a message against the quota of the route; false, and the destination waits, where it is used up. */
export function withinQuota(destination: Destination, now: number): boolean {
  const { route, period } = destination;
  const quota = route.kind === "none" ? null : route.manner.quota;
  if (quota === null) return true;
  if (now >= period.begin + quota.perMs) destination.period = { begin: now, messages: 0 };
  if (destination.period.messages >= quota.messages) {
    destination.waitsUntil = Math.max(destination.waitsUntil, destination.period.begin + quota.perMs);
    return false;
  }
  destination.period.messages++;
  return true;
}
