/**
 * The queue runner: takes what is due, sends it over few connections, writes down what became of it.
 *
 * Nothing is marked in the database when it is taken: who crashes has sent nothing that is written as sent, and starts
 * again with what is still there (at least once, never lost). What is taken says claims.ts; free connections go to the
 * destinations in turn. A connection is used for message after message and then kept for a moment. When no host of a destination can be reached, everything taken for it is put off together.
 *
 * It wakes on "queue" changes of the store and by a timer at the next due time. Clock, timers, randomness, resolver and
 * connections are injected.
 */
import { getLogger } from "@logtape/logtape";
import type { RecipientResult } from "../protocols/smtp/client_result.ts";
import { replyText } from "../protocols/smtp/reply_parser.ts";
import type { QueueOutcome, QueueTls } from "../storage/ops.ts";
import type { DueRecipient, QueuedMessage, Store } from "../storage/store.ts";
import { type AgentRoute, agentRoute, type Agents, agentVerdict } from "./agents.ts";
import { Claims } from "./claims.ts";
import { openConnection, type OutboundParts } from "./outbound.ts";
import { type HopFailure, type MessageSource, OutboundConnection } from "./outbound_connection.ts";
import { type NoticeWriter, OutcomeWriter, type Settled } from "./outcomes.ts";
import * as metrics from "./queue_metrics.ts";
import { type RelayRule, type Route, routeKey, routeName, routeOf } from "./routes.ts";
import { type Judge, settle, type Verdict } from "./settle.ts";
import type { Tracer } from "./tracer.ts";
import type { ScheduleOptions } from "./schedule.ts";

const log = getLogger(["veredus", "queue"]);

/** A destination that refused one more connection is not asked for another for this long. */
const CROWDED_MS = 10_000;
const MAX_SYNC_READ = 64 * 1024;
/** Longest sleep; a clock that was set back must not put the queue to sleep for days. */
const MAX_SLEEP_MS = 10 * 60_000;
/** The way of mail that an agent takes. */
const NO_SERVER: Route = { kind: "none", enhanced: "5.3.5", text: "no mail server takes this" };

export interface RunnerOptions extends ScheduleOptions {
  readonly connections: number;
  readonly connectionsPerDestination: number;
  readonly recipientsPerTransaction: number;
  /** How long a connection waits for the next message. */
  readonly idleMs: number;
}

export interface RunnerParts {
  /** Told of every attempt; left out: nobody. */
  readonly tracer?: Tracer;
  readonly store: Store;
  readonly outbound: OutboundParts;
  readonly options: RunnerOptions;
  readonly rules: readonly RelayRule[];
  readonly notice: NoticeWriter;
  readonly agents: Agents;
}

/** A connection as administration lists it. */
export interface OutgoingSession {
  readonly id: string;
  readonly address: string;
  readonly since: number;
  readonly tls: boolean;
  readonly doing: string;
}

/** Recipients of one message that go the same way. */
interface Job {
  readonly message: QueuedMessage;
  recipients: DueRecipient[];
  /** It met a connection the peer had closed, and was put back once. */
  again: boolean;
}

interface Destination {
  readonly key: string;
  readonly route: Route;
  readonly tls: QueueTls;
  /** Null for other servers. */
  readonly agent: AgentRoute | null;
  jobs: Job[];
  connections: number;
  /** Connections that are open and past EHLO. */
  ready: number;
  /** Wakes a connection that waits for work. */
  idle: (() => void)[];
  crowdedUntil: number;
}

interface Session {
  readonly since: number;
  connection: OutboundConnection | null;
  doing: string;
}

export class QueueRunner {
  readonly #parts: RunnerParts;
  readonly #judge: Judge;
  #outcomes: OutcomeWriter;
  #destinations: Map<string, Destination>;
  #claims: Claims;
  /** Recipients a transaction runs for. */
  #sending: Set<number>;
  #sessions: Map<string, Session>;
  #nextSession: number;
  #unsubscribe: () => void;
  #timer: (() => void) | null;
  #timerAt: number;
  #draining: boolean;
  #drained: (() => void) | null;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#judge = { options: parts.options, random: parts.outbound.random };
    this.#outcomes = new OutcomeWriter({
      store: parts.store,
      notice: parts.notice,
      timers: parts.outbound.timers,
      written: (outcomes) => this.#written(outcomes),
    });
    this.#destinations = new Map();
    this.#claims = new Claims(parts.store.queue, () => this.#now());
    this.#sending = new Set();
    this.#sessions = new Map();
    this.#nextSession = 1;
    this.#unsubscribe = () => {};
    this.#timer = null;
    this.#timerAt = Infinity;
    this.#draining = false;
    this.#drained = null;
  }

  start(): void {
    this.#unsubscribe = this.#parts.store.onChange((change) => {
      if (change.kind === "queue") this.#wakeSoon();
    });
    this.#wakeSoon();
  }

  /** Lets running transactions end within the time, then cuts; what is not sent stays queued. */
  async drain(withinMs: number): Promise<void> {
    this.#draining = true;
    this.#unsubscribe();
    this.#timer?.();
    this.#timer = null;
    for (const destination of this.#destinations.values()) {
      for (const job of destination.jobs) this.#release(job.recipients);
      destination.jobs = [];
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
    this.#outcomes.stop();
    await this.#outcomes.flushed();
  }

  /** Gives recipients up now, with a bounce. Those being sent at this moment are left to their transaction. */
  async fail(ids: readonly number[], reason: string): Promise<number> {
    const { store } = this.#parts;
    const settled: Settled[] = [];
    const messages = new Map<number, QueuedMessage | null>();
    for (const recipient of store.queue.recipients(ids)) {
      if (this.#sending.has(recipient.recipientId)) continue;
      const { queueId } = recipient;
      if (!messages.has(queueId)) messages.set(queueId, store.queue.message(queueId));
      const message = messages.get(queueId);
      if (message == null) continue;
      const verdict: Verdict = {
        outcome: "permanent",
        enhanced: "5.0.0",
        text: reason,
        fromPeer: false,
        remote: "",
      };
      settled.push(settle(this.#judge, { message, recipient, verdict, now: this.#now() }));
      this.#claims.add(recipient);
      this.#sending.add(recipient.recipientId);
    }
    this.#outcomes.add(settled);
    await this.#outcomes.flushed();
    return settled.length;
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

  /** Looks into the queue as soon as the pause since the last look is over. */
  #wakeSoon(): void {
    this.#wakeAt(this.#claims.lookAt);
  }

  #wakeAt(at: number): void {
    if (this.#draining || at >= this.#timerAt) return;
    this.#timer?.();
    this.#timerAt = at;
    this.#timer = this.#parts.outbound.timers.after(
      Math.max(0, Math.min(at - this.#now(), MAX_SLEEP_MS)),
      () => {
        this.#timer = null;
        this.#timerAt = Infinity;
        this.#look();
      },
    );
  }

  /** Takes what is due into memory and starts connections for it. */
  #look(): void {
    if (this.#draining) return;
    const now = this.#now();
    const { rows, page } = this.#claims.look();
    if (page === "no room") return;
    this.#enqueue(rows);
    this.#claims.looked(now);
    if (page === "full") this.#wakeSoon();
    else {
      const next = this.#parts.store.queue.nextDueAt(now);
      if (next !== null) this.#wakeAt(next);
    }
    this.#startConnections();
  }

  #enqueue(rows: readonly DueRecipient[]): void {
    const { store, rules, options } = this.#parts;
    const messages = new Map<number, QueuedMessage | null>();
    const jobs = new Map<string, Job>();
    for (const recipient of rows) {
      const { queueId } = recipient;
      if (!messages.has(queueId)) messages.set(queueId, store.queue.message(queueId));
      const message = messages.get(queueId);
      if (message == null) continue; // removed since
      this.#claims.add(recipient);
      const agent = agentRoute(recipient.destination);
      const route = agent !== null ? NO_SERVER : routeOf({
        sender: message.sender,
        recipient: recipient.recipient,
        rules,
        nextHopOf: (domain) => {
          const row = store.directory.domain(domain);
          return row?.kind === "relay" ? row.nextHop : null;
        },
      });
      const destination = this.#destinationOf(route, { tls: message.tls, agent });
      const key = `${queueId} ${destination.key}`;
      const job = jobs.get(key);
      if (job !== undefined && job.recipients.length < options.recipientsPerTransaction) {
        job.recipients.push(recipient);
        continue;
      }
      const started: Job = { message, recipients: [recipient], again: false };
      jobs.set(key, started);
      destination.jobs.push(started);
    }
  }

  #destinationOf(
    route: Route,
    { tls, agent }: { readonly tls: QueueTls; readonly agent: AgentRoute | null },
  ): Destination {
    // Mail that must or need not be under TLS has connections of its own.
    const key = agent !== null
      ? `${agent.kind}:${agent.name}`
      : tls === ""
      ? routeKey(route)
      : `${routeKey(route)} ${tls}`;
    let destination = this.#destinations.get(key);
    if (destination === undefined) {
      destination = { key, route, tls, agent, jobs: [], connections: 0, ready: 0, idle: [], crowdedUntil: 0 };
      this.#destinations.set(key, destination);
    }
    return destination;
  }

  #release(recipients: readonly DueRecipient[]): void {
    this.#forget(recipients.map(({ recipientId }) => recipientId));
  }

  #forget(ids: readonly number[]): void {
    this.#claims.remove(ids);
    for (const id of ids) this.#sending.delete(id);
  }

  #written(outcomes: readonly QueueOutcome[]): void {
    this.#forget(outcomes.map(({ recipientId }) => recipientId));
    if (this.#claims.more) this.#wakeSoon();
    for (const { outcome, nextAttemptAt } of outcomes) {
      if (outcome === "deferred") this.#wakeAt(nextAttemptAt);
    }
  }

  /** A first connection for each destination, longest unserved first, then a second one for each, up to the limits. */
  #startConnections(): void {
    const { connections, connectionsPerDestination } = this.#parts.options;
    if (this.#draining) return;
    for (let has = 0; has < connectionsPerDestination; has++) {
      for (const destination of [...this.#destinations.values()]) {
        while (destination.jobs.length > 0 && destination.idle.length > 0) destination.idle.shift()!();
        const starting = destination.connections - destination.ready;
        if (destination.connections !== has || destination.jobs.length <= starting) continue;
        if (has > 0 && destination.crowdedUntil > this.#now()) continue;
        if (this.#sessions.size >= connections) return this.#freeOne();
        this.#connect(destination);
      }
    }
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
      if (destination.connections === 0 && destination.jobs.length === 0) {
        this.#destinations.delete(destination.key);
      }
      if (this.#draining) {
        if (this.#sessions.size === 0) this.#drained?.();
      } else this.#startConnections();
    });
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
    try {
      for (let job: Job | null = first; job !== null; job = await this.#nextJob(destination, session)) {
        session.doing = `sending ${job.message.traceId} to ${destination.key}`;
        await this.#send(opened, destination, job);
        if (!opened.usable || this.#crowded(destination)) break;
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
            source: this.#source(message),
          });
        } catch (error) {
          log.error("{agent} could not take {traceId}: {error}", {
            agent: destination.key,
            traceId: message.traceId,
            error,
          });
          verdict = agentVerdict("temporary", "4.3.0", "local error");
        }
        this.#settle(message, [{ recipient, verdict }], this.#now() - startedAt);
      }
      if (this.#draining || this.#crowded(destination)) return;
    }
  }

  /** The next job whose recipients the operator has not stopped meanwhile. */
  #takeJob(destination: Destination): Job | null {
    for (;;) {
      const job = destination.jobs.shift();
      if (job === undefined) return null;
      const waiting = new Set(this.#parts.store.queue.waiting(job.message.queueId));
      this.#release(job.recipients.filter(({ recipientId }) => !waiting.has(recipientId)));
      // Those in a transaction already are being given up by the operator.
      job.recipients = job.recipients.filter(({ recipientId }) =>
        waiting.has(recipientId) && !this.#sending.has(recipientId)
      );
      if (job.recipients.length === 0) continue;
      for (const { recipientId } of job.recipients) this.#sending.add(recipientId);
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
      opened = await openConnection(destination.route, this.#parts.outbound, destination.tls);
    } catch (error) {
      log.error("connecting to {destination} met a fault of ours: {error}", {
        destination: routeName(destination.route),
        error,
      });
      opened = { enhanced: "4.3.0", text: "local error", remote: "" };
    }
    metrics.opened.inc({ result: opened instanceof OutboundConnection ? "ready" : "failed" });
    if (opened instanceof OutboundConnection) return opened;
    if (destination.ready > 0) {
      // Others get through: the peer wants no more connections at a time.
      destination.crowdedUntil = this.#now() + CROWDED_MS;
      this.#putBack(destination, job);
      return null;
    }
    const { enhanced, text, remote, fromPeer = false } = opened;
    const verdict: Verdict = {
      outcome: enhanced.startsWith("5") ? "permanent" : "temporary",
      enhanced,
      text,
      fromPeer,
      remote,
    };
    const tookMs = this.#now() - startedAt;
    for (const failed of [job, ...destination.jobs.splice(0)]) {
      this.#settle(failed.message, failed.recipients.map((recipient) => ({ recipient, verdict })), tookMs);
    }
    return null;
  }

  #putBack(destination: Destination, job: Job): void {
    for (const { recipientId } of job.recipients) this.#sending.delete(recipientId);
    if (this.#draining) return this.#release(job.recipients);
    destination.jobs.unshift(job);
  }

  /** Sends a job, in several transactions where the peer takes only some of the recipients at once. */
  async #send(connection: OutboundConnection, destination: Destination, job: Job): Promise<void> {
    const { message } = job;
    let left = job.recipients;
    while (left.length > 0) {
      const startedAt = this.#now();
      let results: readonly RecipientResult[];
      try {
        const result = await connection.send(this.#transaction(message, left), this.#source(message));
        if (result.untouched && connection.messages > 1 && !job.again) {
          job.again = true;
          job.recipients = left;
          return this.#putBack(destination, job);
        }
        results = result.recipients;
      } catch (error) {
        log.error("{traceId} cannot be sent: {error}", { traceId: message.traceId, error });
        connection.close();
        const verdict: Verdict = {
          outcome: "temporary",
          enhanced: "4.3.0",
          text: "local error",
          fromPeer: false,
          remote: "",
        };
        return this.#settle(
          message,
          left.map((recipient) => ({ recipient, verdict })),
          this.#now() - startedAt,
        );
      }
      const tookMs = this.#now() - startedAt;
      metrics.attemptSeconds.observe(tookMs / 1_000);
      const done: { recipient: DueRecipient; verdict: Verdict }[] = [];
      const again: DueRecipient[] = [];
      for (const [at, recipient] of left.entries()) {
        const result = results[at]!;
        if (result.again) again.push(recipient);
        else done.push({ recipient, verdict: verdictOf(result, connection, destination.route) });
      }
      this.#settle(message, done, tookMs);
      left = again;
      if (left.length > 0 && !connection.usable) {
        job.recipients = left;
        return this.#putBack(destination, job);
      }
    }
  }

  #transaction(message: QueuedMessage, recipients: readonly DueRecipient[]) {
    return {
      sender: message.sender,
      recipients: recipients.map(({ recipient, notify, originalRecipient }) => ({
        address: recipient,
        notify,
        originalRecipient,
      })),
      sizeOctets: message.blob.length,
      eightBit: message.eightBit,
      smtputf8: this.#needsUtf8(message, recipients),
      ret: message.ret,
      envelopeId: message.envelopeId,
      requireTls: message.tls === "require",
    };
  }

  /** RFC 6531 3.2: asked for only where an address or the header is not ASCII, so that most mail passes old servers. */
  #needsUtf8(message: QueuedMessage, recipients: readonly DueRecipient[]): boolean {
    if (NOT_ASCII.test(message.sender) || recipients.some(({ recipient }) => NOT_ASCII.test(recipient))) {
      return true;
    }
    if (!message.smtputf8) return false;
    const header = this.#parts.store.blobs.readSync(
      message.blob,
      0,
      Math.min(message.headerOctets, message.blob.length, MAX_SYNC_READ),
    );
    return header.some((octet) => octet >= 0x80);
  }

  #source({ blob }: QueuedMessage): MessageSource {
    const { blobs } = this.#parts.store;
    return {
      octets: blob.length,
      read: (start, end) =>
        blob.length <= MAX_SYNC_READ ? blobs.readSync(blob, start, end) : blobs.read(blob, start, end),
    };
  }

  #settle(
    message: QueuedMessage,
    results: readonly { recipient: DueRecipient; verdict: Verdict }[],
    tookMs: number,
  ): void {
    const now = this.#now();
    const settled = results.map(({ recipient, verdict }) =>
      settle(this.#judge, { message, recipient, verdict, now })
    );
    for (const [at, { recipient, verdict }] of results.entries()) {
      const { outcome } = settled[at]!;
      metrics.attempts.inc({ outcome: outcome.outcome });
      if (outcome.outcome === "delivered") {
        metrics.ageSeconds.observe(Math.max(0, now - message.createdAt) / 1_000);
      }
      this.#parts.tracer?.note({
        at: now,
        trace: message.traceId,
        event: "attempt",
        to: [recipient.recipient],
        outcome: outcome.outcome,
        reply: `${verdict.enhanced} ${verdict.text}`,
        ...(verdict.remote !== "" && { remote: verdict.remote }),
        ms: Math.round(tookMs),
      });
      log.info("{outcome} {traceId} to {recipient}: {reply}", {
        outcome: outcome.outcome,
        traceId: message.traceId,
        recipient: recipient.recipient,
        reply: verdict.text,
        status: verdict.enhanced,
        remote: verdict.remote,
        attempt: recipient.attempts + 1,
        tookMs,
      });
    }
    this.#outcomes.add(settled);
  }
}

// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;

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
