/**
 * The connections of the queue: which destination gets one, and message after message over it.
 *
 * Free connections go to the destinations in turn, longest unserved first; how many one may have says its
 * {@linkcode Concurrency}, in which order its mail goes its {@linkcode FairJobs}. A connection is used for message after
 * message and then kept for a moment. When no host of a destination can be reached, everything in memory for it is put
 * off together. A destination whose quota is used up, or that names our address as listed, waits.
 */
import { getLogger } from "@logtape/logtape";
import { ours, type RecipientResult, type TransactionResult } from "../../protocols/smtp/client_result.ts";
import type { ClientTransaction } from "../../protocols/smtp/client_transaction.ts";
import { replyText } from "../../protocols/smtp/reply_parser.ts";
import type { QueueTls } from "../../storage/ops.ts";
import type { DueRecipient, DueRow, QueuedMessage, Store } from "../../storage/store.ts";
import { type AgentRoute, type Agents, agentVerdict } from "../agents.ts";
import { openConnection, type OutboundParts } from "../outbound.ts";
import { type HopFailure, OutboundConnection } from "../outbound_connection.ts";
import * as metrics from "../queue_metrics.ts";
import { type Identity, type Route, routeKey, routeName } from "../routes.ts";
import type { Verdict } from "../settle.ts";
import { type EightBitRule, sevenBit } from "./conversion.ts";
import { type Destination, type Job, newDestination, withinQuota } from "./destination.ts";
import { listedWaitMs, namesUsAsListed } from "./listed.ts";
import { sourceOf, transactionOf } from "./transaction.ts";

const log = getLogger(["veredus", "queue"]);

/** A destination that refused one more connection is not asked for another for this long. */
const CROWDED_MS = 10_000;
/** A destination that cannot be reached and has more mail than fits into memory rests: the first time, and at most. */
const FIRST_REST_MS = 5_000;
const LONGEST_REST_MS = 20_000;

export interface DispatchOptions {
  readonly connections: number;
  readonly connectionsPerDestination: number;
  /** How long a connection waits for the next message. */
  readonly idleMs: number;
  /** Left out: `send`. */
  readonly eightBit?: EightBitRule;
}

/** What became of recipients of one message. */
export interface Results {
  readonly message: QueuedMessage;
  readonly route: Route;
  readonly results: readonly { readonly recipient: DueRecipient; readonly verdict: Verdict }[];
  readonly tookMs: number;
}

export interface DispatchParts {
  readonly store: Store;
  readonly outbound: OutboundParts;
  readonly options: DispatchOptions;
  readonly agents: Agents;
  readonly settle: (results: Results) => void;
  /** They are not in memory any more. */
  readonly release: (recipients: readonly DueRecipient[]) => void;
  /** The destination cannot be reached: no more of it before then. */
  readonly rest: (destination: string, until: number) => void;
  /** Calls `wake` at that time. */
  readonly wakeAt: (at: number) => void;
  /** A destination says that our address is on a list. */
  readonly listed: (destination: string, verdict: Verdict) => void;
}

/** A connection as administration lists it. */
export interface OutgoingSession {
  readonly id: string;
  readonly address: string;
  readonly since: number;
  readonly tls: boolean;
  readonly doing: string;
}

interface Session {
  readonly since: number;
  connection: OutboundConnection | null;
  doing: string;
}

export class Dispatcher {
  readonly #parts: DispatchParts;
  #destinations: Map<string, Destination>;
  /** Recipients a transaction runs for. */
  readonly sending: Set<number>;
  #sessions: Map<string, Session>;
  #nextSession: number;
  #draining: boolean;
  #drained: (() => void) | null;

  constructor(parts: DispatchParts) {
    this.#parts = parts;
    this.#destinations = new Map();
    this.sending = new Set();
    this.#sessions = new Map();
    this.#nextSession = 1;
    this.#draining = false;
    this.#drained = null;
  }

  /** The destination of a route; mail of another identity, or that must or need not be under TLS, has one of its own. */
  destinationOf(
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
    let destination = this.#destinations.get(key);
    if (destination === undefined) {
      const own = route.kind === "none" ? 0 : route.manner.connections;
      const connections = own === 0 ? this.#parts.options.connectionsPerDestination : own;
      destination = newDestination(key, { route, tls, agent, identity, connections });
      this.#destinations.set(key, destination);
    }
    return destination;
  }

  /** Lets running transactions end within the time, then cuts; what waits is released. */
  async drain(withinMs: number): Promise<void> {
    this.#draining = true;
    for (const destination of this.#destinations.values()) {
      for (const job of destination.jobs.takeAll()) this.#parts.release(job.recipients);
      for (const wake of destination.idle.splice(0)) wake();
    }
    if (this.#sessions.size > 0) {
      const cancel = this.#parts.outbound.timers.after(withinMs, () => {
        for (const { connection } of this.#sessions.values()) connection?.close();
        this.#drained?.();
      });
      await new Promise<void>((resolve) => this.#drained = resolve);
      cancel();
    }
  }

  sessions(): OutgoingSession[] {
    return [...this.#sessions].map(([id, { since, connection, doing }]) => ({
      id,
      address: connection?.remote ?? "",
      since,
      tls: connection !== null && connection.tls !== null,
      doing,
    }));
  }

  /** Cuts one connection; what it sends is tried again later. */
  endSession(id: string): boolean {
    const connection = this.#sessions.get(id)?.connection;
    connection?.close();
    return connection != null;
  }

  #now(): number {
    return this.#parts.outbound.timers.now();
  }

  /** A first connection for each destination, longest unserved first, then a second one for each, up to the limits. */
  startConnections(): void {
    if (this.#draining) return;
    const now = this.#now();
    const waiting = [...this.#destinations.values()].filter((destination) => {
      if (destination.jobs.length === 0 || destination.waitsUntil > now) return false;
      while (destination.jobs.length > 0 && destination.idle.length > 0) destination.idle.shift()!();
      return true;
    });
    for (let has = 0, more = waiting; more.length > 0; has++) {
      const still: Destination[] = [];
      for (const destination of more) {
        if (!this.#wantsAnother(destination, now)) continue;
        still.push(destination);
        if (destination.connections > has) continue;
        if (this.#sessions.size >= this.#parts.options.connections) return this.#freeOne();
        this.#connect(destination);
      }
      more = still;
    }
  }

  #wantsAnother(
    { jobs, connections, ready, concurrency, crowdedUntil, listed }: Destination,
    now: number,
  ): boolean {
    const starting = connections - ready;
    if (jobs.length <= starting) return false;
    if (connections === 0) return true;
    return listed === 0 && connections < concurrency.connections && crowdedUntil <= now;
  }

  /** All connections are taken and somebody has none: one that only waits is given up. */
  #freeOne(): void {
    for (const { idle } of this.#destinations.values()) {
      const wake = idle.shift();
      if (wake !== undefined) return wake();
    }
  }

  /** True when another destination has work, no connection, and no room for one. */
  #crowded(mine: Destination): boolean {
    if (this.#sessions.size < this.#parts.options.connections) return false;
    for (const other of this.#destinations.values()) {
      if (other !== mine && other.jobs.length > 0 && other.connections === 0) return true;
    }
    return false;
  }

  #connect(destination: Destination): void {
    const id = `q${this.#nextSession++}`;
    const session: Session = {
      since: this.#now(),
      connection: null,
      doing: `connecting to ${destination.key}`,
    };
    this.#sessions.set(id, session);
    destination.connections++;
    this.#destinations.delete(destination.key);
    this.#destinations.set(destination.key, destination);
    metrics.connections.inc();
    this.#serve(destination, session).catch((error) => {
      log.error("a connection of the queue ended by a fault of ours: {error}", { error });
    }).finally(() => {
      session.connection?.close();
      this.#sessions.delete(id);
      destination.connections--;
      metrics.connections.dec();
      this.#forgetIdle(destination);
      if (this.#draining) {
        if (this.#sessions.size === 0) this.#drained?.();
      } else this.startConnections();
    });
  }

  /** What is known of a destination goes with its last mail, but not while it has to wait. */
  #forgetIdle(destination: Destination): void {
    const { connections, jobs, waitsUntil, key } = destination;
    if (connections > 0 || jobs.length > 0 || waitsUntil > this.#now()) return;
    this.#destinations.delete(key);
  }

  /** One connection from its opening to QUIT. */
  async #serve(destination: Destination, session: Session): Promise<void> {
    if (destination.agent !== null) return await this.#runAgent(destination.agent, destination, session);
    const first = this.#takeJob(destination);
    if (first === null) return;
    const opened = await this.#open(destination, first);
    if (opened === null) return;
    session.connection = opened;
    destination.ready++;
    destination.failures = 0;
    try {
      for (let job: Job | null = first; job !== null;) {
        session.doing = `sending ${job.message.traceId} to ${destination.key}`;
        const next = await this.#send(opened, destination, job);
        if (next !== null) job = next;
        else if (!opened.usable || this.#crowded(destination)) break;
        else job = await this.#nextJob(destination, session);
      }
    } finally {
      destination.ready--;
    }
    session.doing = "QUIT";
    await opened.quit();
  }

  /** Gives an agent its jobs, one recipient after the other. */
  async #runAgent(agent: AgentRoute, destination: Destination, session: Session): Promise<void> {
    for (let job = this.#takeJob(destination); job !== null; job = this.#takeJob(destination)) {
      const { message } = job;
      session.doing = `${destination.key} takes ${message.traceId}`;
      for (const recipient of job.recipients) {
        const startedAt = this.#now();
        let verdict: Verdict;
        try {
          verdict = await this.#parts.agents[agent.kind](agent.name, {
            message,
            recipient,
            source: sourceOf(this.#parts.store, message),
          });
        } catch (error) {
          log.error("{agent} could not take {traceId}: {error}", {
            agent: destination.key,
            traceId: message.traceId,
            error,
          });
          verdict = agentVerdict("temporary", "4.3.0", "local error");
        }
        const tookMs = this.#now() - startedAt;
        this.#parts.settle({ message, route: destination.route, results: [{ recipient, verdict }], tookMs });
      }
      if (this.#draining || this.#crowded(destination)) return;
    }
  }

  /** The next job whose recipients the operator has not stopped meanwhile; null where there is none, or it has to wait. */
  #takeJob(destination: Destination): Job | null {
    const now = this.#now();
    for (;;) {
      if (destination.waitsUntil > now) {
        this.#parts.wakeAt(destination.waitsUntil);
        return null;
      }
      const job = destination.jobs.take();
      if (job === undefined) return null;
      const waiting = new Set(this.#parts.store.queue.waiting(job.message.queueId));
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

  async #nextJob(destination: Destination, session: Session): Promise<Job | null> {
    if (this.#draining) return null;
    const job = this.#takeJob(destination);
    if (job !== null) return job;
    session.doing = `waiting for mail to ${destination.key}`;
    const { promise, resolve } = Promise.withResolvers<void>();
    destination.idle.push(resolve);
    const cancel = this.#parts.outbound.timers.after(this.#parts.options.idleMs, resolve);
    await promise;
    cancel();
    const at = destination.idle.indexOf(resolve);
    if (at >= 0) destination.idle.splice(at, 1);
    return this.#draining ? null : this.#takeJob(destination);
  }

  /** Opens a connection for a job; where that fails, the job and all that waits with it is put off. */
  async #open(destination: Destination, job: Job): Promise<OutboundConnection | null> {
    const startedAt = this.#now();
    let opened: OutboundConnection | HopFailure;
    try {
      opened = await openConnection(destination.route, this.#parts.outbound, {
        need: destination.tls,
        identity: destination.identity,
      });
    } catch (error) {
      log.error("connecting to {destination} met a fault of ours: {error}", {
        destination: routeName(destination.route),
        error,
      });
      opened = { enhanced: "4.3.0", text: "local error", remote: "" };
    }
    metrics.opened.inc({
      result: opened instanceof OutboundConnection ? "ready" : opened.trouble ?? "failed",
    });
    if (opened instanceof OutboundConnection) return opened;
    if (destination.connections > 1) {
      // Others get through, or may still: the peer wants no more connections at a time. The last one to fail speaks for all.
      destination.crowdedUntil = this.#now() + CROWDED_MS;
      destination.concurrency.atMost(destination.connections - 1);
      this.#putBack(destination, job);
      return null;
    }
    const { enhanced, text, remote, fromPeer = false, trouble } = opened;
    let verdict: Verdict = {
      outcome: enhanced.startsWith("5") ? "permanent" : "temporary",
      enhanced,
      text,
      fromPeer,
      remote,
      ...(trouble && { trouble }),
    };
    if (namesUsAsListed(verdict)) {
      this.#listed(destination, verdict);
      verdict = { ...verdict, outcome: "temporary", enhanced: enhanced.replace(/^5/, "4") };
    }
    const tookMs = this.#now() - startedAt;
    const restMs = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(destination.failures++, 10));
    const { route } = destination;
    for (const failed of [job, ...destination.jobs.takeAll()]) {
      const results = failed.recipients.map((recipient) => ({ recipient, verdict }));
      this.#parts.rest(failed.recipients[0]!.destination, this.#now() + restMs);
      this.#parts.settle({ message: failed.message, route, results, tookMs });
    }
    return null;
  }

  #putBack(destination: Destination, job: Job): void {
    for (const { recipientId } of job.recipients) this.sending.delete(recipientId);
    if (this.#draining) return this.#parts.release(job.recipients);
    destination.jobs.putBack(job);
  }

  /**
   * Sends a job, in several transactions where the peer takes only some of the recipients at once. Returns the job whose
   * envelope went behind it and that has to be sent next.
   */
  async #send(connection: OutboundConnection, destination: Destination, job: Job): Promise<Job | null> {
    const { store } = this.#parts;
    const { message } = job;
    let left = job.recipients;
    let next: Job | null = null;
    const following = (): ClientTransaction | null => {
      if (this.#draining || destination.listed > 0 || this.#crowded(destination)) return null;
      next = this.#takeJob(destination);
      if (next === null || this.#ruled(connection, next.message)) return null;
      next.transaction = transactionOf(store, next.message, next.recipients);
      return next.transaction;
    };
    while (left.length > 0) {
      const startedAt = this.#now();
      let results: readonly RecipientResult[];
      try {
        const transaction = job.transaction ?? transactionOf(store, message, left);
        job.transaction = null;
        const result = this.#ruled(connection, message)
          ? await this.#sendByRule(connection, transaction, message)
          : await connection.send(transaction, sourceOf(store, message), following);
        if (result.untouched && connection.messages > 1 && !job.again) {
          job.again = true;
          job.recipients = left;
          this.#putBack(destination, job);
          return next;
        }
        results = result.recipients;
      } catch (error) {
        log.error("{traceId} cannot be sent: {error}", { traceId: message.traceId, error });
        connection.close();
        const verdict: Verdict = {
          ...{ outcome: "temporary", enhanced: "4.3.0", text: "local error", fromPeer: false, remote: "" },
        };
        const failed = left.map((recipient) => ({ recipient, verdict }));
        const tookMs = this.#now() - startedAt;
        this.#parts.settle({ message, route: destination.route, results: failed, tookMs });
        return next;
      }
      const tookMs = this.#now() - startedAt;
      metrics.attemptSeconds.observe(tookMs / 1_000);
      const done: { recipient: DueRecipient; verdict: Verdict }[] = [];
      const again: DueRow[] = [];
      for (const [at, recipient] of left.entries()) {
        const result = results[at]!;
        if (result.again) again.push(recipient);
        else done.push({ recipient, verdict: verdictOf(result, connection, destination.route) });
      }
      this.#learn(destination, results, done);
      this.#parts.settle({ message, route: destination.route, results: done, tookMs });
      left = again;
      if (left.length > 0 && (next !== null || !connection.usable)) {
        job.recipients = left;
        this.#putBack(destination, job);
        break;
      }
    }
    return next;
  }

  /** 8-bit mail for a peer that does not say that it takes it, and the operator says what then. */
  #ruled(connection: OutboundConnection, { eightBit }: QueuedMessage): boolean {
    return eightBit && !connection.offersEightBit && (this.#parts.options.eightBit ?? "send") !== "send";
  }

  async #sendByRule(
    connection: OutboundConnection,
    transaction: ClientTransaction,
    message: QueuedMessage,
  ): Promise<TransactionResult> {
    const source = sourceOf(this.#parts.store, message);
    if (this.#parts.options.eightBit === "refuse") {
      const text = "the message is 8-bit, and the next server does not offer 8BITMIME";
      return { recipients: transaction.recipients.map(() => ours("5.6.3", text, "mail")), untouched: false };
    }
    const converted = await sevenBit(this.#parts.store, source);
    if (converted === null) return await connection.send(transaction, source);
    try {
      return await connection.send(
        { ...transaction, eightBit: false, sizeOctets: converted.octets },
        converted,
      );
    } finally {
      converted.discard();
    }
  }

  /** What a transaction says about how much the destination bears. */
  #learn(
    destination: Destination,
    results: readonly RecipientResult[],
    done: readonly { readonly verdict: Verdict }[],
  ): void {
    const { concurrency } = destination;
    if (results.some(({ outcome }) => outcome === "delivered")) {
      concurrency.succeeded();
      destination.listed = 0;
      return this.startIfRoom(destination);
    }
    // A recipient's own 4yz (a full mailbox, greylisting) says nothing about the others.
    if (results.some(({ outcome, stage }) => outcome === "temporary" && stage !== "rcpt")) {
      concurrency.pushedBack(this.#now());
    }
    const listed = done.find(({ verdict }) => namesUsAsListed(verdict));
    if (listed !== undefined) this.#listed(destination, listed.verdict);
  }

  /** A connection more, now that one more is allowed. */
  startIfRoom(destination: Destination): void {
    if (this.#draining || this.#sessions.size >= this.#parts.options.connections) return;
    const now = this.#now();
    if (destination.waitsUntil <= now && this.#wantsAnother(destination, now)) this.#connect(destination);
  }

  #listed(destination: Destination, verdict: Verdict): void {
    const now = this.#now();
    if (destination.waitsUntil > now) return;
    destination.waitsUntil = now + listedWaitMs(++destination.listed);
    metrics.listed.inc();
    this.#parts.wakeAt(destination.waitsUntil);
    this.#parts.listed(routeName(destination.route), verdict);
  }
}

function verdictOf(
  result: RecipientResult,
  { remote, offersDsn }: OutboundConnection,
  route: Route,
): Verdict {
  return {
    outcome: result.outcome,
    enhanced: result.enhanced,
    text: result.reply === null ? result.text : replyText(result.reply),
    fromPeer: result.reply !== null,
    remote,
    ...(offersDsn
      ? { success: "told-by-peer" }
      : route.kind === "host" && route.mode === "lmtp" && { success: "final" }),
  };
}
