/**
 * The destinations of the queue: what waits for each, and which of it may go now.
 *
 * A job leaves its destination for one connection or agent and comes back where that could not send it. A destination
 * whose quota is used up, or that names our address as listed, waits.
 */
import type { QueueTls } from "../../storage/ops.ts";
import type { DueRecipient } from "../../storage/queue.ts";
import type { Store } from "../../storage/store.ts";
import type { AgentRoute } from "../agents.ts";
import * as metrics from "../queue_metrics.ts";
import { type Identity, type Route, routeKey, routeName } from "../routes.ts";
import type { Verdict } from "../settle.ts";
import { type Destination, type Job, newDestination, wakeOne, withinQuota } from "./destination.ts";
import { listedWaitMs } from "./listed.ts";

export interface DestinationsParts {
  readonly store: Pick<Store, "queue">;
  /** They are not in memory any more. */
  readonly release: (recipients: readonly DueRecipient[]) => void;
  /** Calls `wake` at that time. */
  readonly wakeAt: (at: number) => void;
  /** A destination says that our address is on a list. */
  readonly listed: (destination: string, verdict: Verdict) => void;
}

export class Destinations {
  readonly #parts: DestinationsParts;
  readonly #connectionsEach: number;
  readonly #now: () => number;
  /** Longest unserved first. */
  readonly #byKey: Map<string, Destination>;
  /** Recipients a transaction runs for. */
  readonly sending: Set<number>;
  #draining: boolean;

  /** `connectionsEach` is the limit where the route names none; times are milliseconds. */
  constructor(parts: DestinationsParts, connectionsEach: number, now: () => number) {
    this.#parts = parts;
    this.#connectionsEach = connectionsEach;
    this.#now = now;
    this.#byKey = new Map();
    this.sending = new Set();
    this.#draining = false;
  }

  /** Nothing is given out any more. */
  get draining(): boolean {
    return this.#draining;
  }

  /** The destination of a route; mail of another identity, or that must or need not be under TLS, has one of its own. */
  of(
    route: Route,
    { tls, agent, identity }: {
      readonly tls: QueueTls;
      readonly agent: AgentRoute | null;
      readonly identity: Identity;
    },
  ): Destination {
    const key = agent !== null
      ? `${agent.kind}:${agent.name}`
      : [routeKey(route), tls, identity.key].filter((part) => part !== "").join(" ");
    let destination = this.#byKey.get(key);
    if (destination === undefined) {
      const own = route.kind === "none" ? 0 : route.manner.connections;
      const connections = own === 0 ? this.#connectionsEach : own;
      destination = newDestination(key, { route, tls, agent, identity, connections });
      this.#byKey.set(key, destination);
    }
    return destination;
  }

  all(): IterableIterator<Destination> {
    return this.#byKey.values();
  }

  /** It has got a connection: the others come first now. */
  served(destination: Destination): void {
    this.#byKey.delete(destination.key);
    this.#byKey.set(destination.key, destination);
  }

  /** What is known of a destination goes with its last mail, but not while it has to wait. */
  forgetIdle({ connections, jobs, waitsUntil, key }: Destination): void {
    if (connections > 0 || jobs.length > 0 || waitsUntil > this.#now()) return;
    this.#byKey.delete(key);
  }

  /** The next job whose recipients the operator has not stopped meanwhile; null where there is none, or it has to wait. */
  take(destination: Destination): Job | null {
    if (this.#draining) return null;
    const now = this.#now();
    for (;;) {
      if (destination.waitsUntil > now) {
        this.#parts.wakeAt(destination.waitsUntil);
        return null;
      }
      const job = destination.jobs.take();
      if (job === undefined) return null;
      const waiting = new Set(
        this.#parts.store.queue.waiting(job.recipients.map(({ recipientId }) => recipientId)),
      );
      const gone = job.recipients.filter(({ recipientId }) => !waiting.has(recipientId));
      if (gone.length > 0) this.#parts.release(gone);
      // Those in a transaction already are being given up by the operator.
      job.recipients = job.recipients.filter(({ recipientId }) =>
        waiting.has(recipientId) && !this.sending.has(recipientId)
      );
      if (job.recipients.length === 0) continue;
      if (!withinQuota(destination, now)) {
        destination.jobs.putBack(job);
        continue;
      }
      for (const { recipientId } of job.recipients) this.sending.add(recipientId);
      return job;
    }
  }

  putBack(destination: Destination, job: Job): void {
    for (const { recipientId } of job.recipients) this.sending.delete(recipientId);
    if (this.#draining) return this.#parts.release(job.recipients);
    destination.jobs.putBack(job);
  }

  /** It named our address as listed: it is let alone, the longer the more often it did. */
  listed(destination: Destination, verdict: Verdict): void {
    const now = this.#now();
    if (destination.waitsUntil > now) return;
    destination.waitsUntil = now + listedWaitMs(++destination.listed);
    metrics.listed.inc();
    this.#parts.wakeAt(destination.waitsUntil);
    this.#parts.listed(routeName(destination.route), verdict);
  }

  /** What waits is released, and connections that wait for it are woken. */
  drain(): void {
    this.#draining = true;
    for (const destination of this.#byKey.values()) {
      for (const job of destination.jobs.takeAll()) this.#parts.release(job.recipients);
      while (wakeOne(destination));
    }
  }
}
