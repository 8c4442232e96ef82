/**
 * The queue runner: takes what is due, has it sent, writes down what became of it.
 *
 * Nothing is marked in the database when it is taken: who crashes has sent nothing that is written as sent, and starts
 * again with what is still there (at least once, never lost). What is taken says queue/claims.ts, over which connections it
 * goes queue/dispatcher.ts, what follows from an answer settle.ts.
 *
 * It wakes on "queue" changes of the store and by a timer at the next due time. Clock, timers, randomness, resolver and
 * connections are injected.
 */
import { getLogger } from "@logtape/logtape";
import type { QueueOutcome } from "../storage/ops.ts";
import type { DueRecipient, DueRow, QueuedMessage } from "../storage/queue.ts";
import type { Store } from "../storage/store.ts";
import { agentRoute, type Agents } from "./agents.ts";
import type { OutboundParts } from "./outbound.ts";
import { type NoticeWriter, OutcomeWriter, type Settled } from "./outcomes.ts";
import { Claims } from "./queue/claims.ts";
import { Comebacks } from "./queue/comeback.ts";
import type { Destination, Job } from "./queue/destination.ts";
import type { Results } from "./queue/connection.ts";
import { Dispatcher, type DispatchOptions, type OutgoingSession } from "./queue/dispatcher.ts";
import { isGone, suppressed, suppressionOf, suppressionRow } from "./queue/suppression.ts";
import { eventsOfOutcomes, type Webhook } from "./queue/webhooks.ts";
import * as metrics from "./queue_metrics.ts";
import { type RelayRule, type Route, routeOf } from "./routes.ts";
import { type Judge, settle, type Verdict } from "./settle.ts";
import type { ScheduleOptions } from "./schedule.ts";
import type { Tracer } from "./tracer.ts";
import { infoLines } from "../telemetry/log.ts";

const log = getLogger(["veredus", "queue"]);
const tell = infoLines("queue");

/** Longest sleep; a clock that was set back must not put the queue to sleep for days. */
const MAX_SLEEP_MS = 10 * 60_000;
/** The way of mail that an agent takes. */
const NO_SERVER: Route = { kind: "none", enhanced: "5.3.5", text: "no mail server takes this" };
const HELD: Verdict = {
  ...{
    outcome: "temporary",
    enhanced: "4.3.2",
    text: "the route holds mail for the operator",
    fromPeer: false,
  },
  remote: "",
};

export interface RunnerOptions extends ScheduleOptions, DispatchOptions {
  readonly recipientsPerTransaction: number;
  /** How long a recipient that is no more is not written to again; left out or 0: it is written to. */
  readonly suppressMs?: number;
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
  /** Told of every outcome, from the store. Left out: none. */
  readonly webhooks?: readonly Webhook[];
  /** A destination says that our address is on a list. Left out: a line in the log is all. */
  readonly listed?: (destination: string, verdict: Verdict) => void;
}

export class QueueRunner {
  readonly #parts: RunnerParts;
  readonly #judge: Judge;
  #outcomes: OutcomeWriter;
  #dispatcher: Dispatcher;
  #claims: Claims;
  #unsubscribe: () => void;
  #timer: (() => void) | null;
  #timerAt: number;
  #draining: boolean;

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#judge = { options: parts.options, random: parts.outbound.random };
    this.#outcomes = new OutcomeWriter({
      store: parts.store,
      notice: parts.notice,
      timers: parts.outbound.timers,
      written: (outcomes) => this.#written(outcomes),
      beside: (settled, at) => {
        const events = eventsOfOutcomes(parts.webhooks ?? [], settled, at);
        return events.length === 0 ? [] : [{ kind: "put-events", events, at }];
      },
    });
    this.#dispatcher = new Dispatcher({
      store: parts.store,
      outbound: parts.outbound,
      options: parts.options,
      agents: parts.agents,
      settle: (results) => this.#settle(results),
      release: (recipients) => this.#forget(recipients.map(({ recipientId }) => recipientId)),
      rest: (destination, until) => this.#claims.rest(destination, until),
      comebacks: new Comebacks(parts.store, () => this.#now()),
      wakeAt: (at) => this.#wakeAt(at),
      listed: (destination, verdict) => {
        log.warn("{destination} says that our address is on a list, and gets less mail for now: {text}", {
          destination,
          text: verdict.text,
        });
        parts.listed?.(destination, verdict);
      },
    });
    this.#claims = new Claims(parts.store.queue, () => this.#now());
    this.#unsubscribe = () => {};
    this.#timer = null;
    this.#timerAt = Infinity;
    this.#draining = false;
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
    await this.#dispatcher.drain(withinMs);
    this.#outcomes.stop();
    await this.#outcomes.flushed();
  }

  /** Gives recipients up now, with a bounce. Those being sent at this moment are left to their transaction. */
  async fail(ids: readonly number[], reason: string): Promise<number> {
    const { store } = this.#parts;
    const settled: Settled[] = [];
    const messages = new Map<number, QueuedMessage | null>();
    for (const recipient of store.queue.recipients(ids)) {
      if (this.#dispatcher.destinations.sending.has(recipient.recipientId)) continue;
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
      this.#dispatcher.destinations.sending.add(recipient.recipientId);
    }
    this.#outcomes.add(settled);
    await this.#outcomes.flushed();
    return settled.length;
  }

  sessions(): OutgoingSession[] {
    return this.#dispatcher.sessions();
  }

  /** Cuts one connection; what it sends is tried again later. */
  endSession(id: string): boolean {
    return this.#dispatcher.endSession(id);
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
    const { rows, full } = this.#claims.look();
    this.#enqueue(rows);
    this.#claims.looked(now, rows.length);
    if (full) this.#wakeSoon();
    else {
      const next = this.#parts.store.queue.nextDueAt(now);
      this.#wakeAt(Math.max(this.#claims.lookAt, Math.min(this.#claims.nextAt, next ?? Infinity)));
    }
    this.#dispatcher.startConnections();
  }

  #enqueue(rows: readonly DueRow[]): void {
    const { store, options, outbound } = this.#parts;
    const messages = new Map<number, QueuedMessage | null>();
    const jobs = new Map<string, Job>();
    const settled: { message: QueuedMessage; recipient: DueRow; route: Route; verdict: Verdict }[] = [];
    for (const recipient of rows) {
      const { queueId } = recipient;
      if (!messages.has(queueId)) messages.set(queueId, store.queue.message(queueId));
      const message = messages.get(queueId);
      if (message == null) continue; // removed since
      this.#claims.add(recipient);
      const agent = agentRoute(recipient.destination);
      const route = agent !== null ? NO_SERVER : this.#routeOf(message, recipient);
      const verdict = this.#before(recipient, route);
      if (verdict !== null) {
        settled.push({ message, recipient, route, verdict });
        continue;
      }
      const identity = outbound.identityOf(message.sender);
      const destination = this.#dispatcher.destinations.of(route, { tls: message.tls, agent, identity });
      const key = `${queueId} ${destination.key}`;
      const job = jobs.get(key);
      if (job !== undefined && job.recipients.length < options.recipientsPerTransaction) {
        job.recipients.push(recipient);
        continue;
      }
      jobs.set(key, addJob(destination, message, recipient));
    }
    for (const { message, recipient, route, verdict } of settled) {
      this.#settle({ message, route, results: [{ recipient, verdict }], tookMs: 0 });
    }
  }

  /** What becomes of a recipient without an attempt; null where there is one. */
  #before(recipient: DueRow, route: Route): Verdict | null {
    if (route.kind !== "none" && route.manner.hold && recipient.attempts === 0) return HELD;
    const { store, options: { suppressMs = 0 } } = this.#parts;
    if (suppressMs === 0 || recipient.attempts > 0) return null;
    const verdict = suppressionOf(store, recipient.recipient, this.#now());
    if (verdict !== null) suppressed.inc();
    return verdict;
  }

  #routeOf({ sender }: QueuedMessage, { recipient }: DueRecipient): Route {
    const { store, rules } = this.#parts;
    return routeOf({
      sender,
      recipient,
      rules,
      nextHopOf: (domain) => {
        const row = store.directory.domain(domain);
        return row?.kind === "relay" ? row.nextHop : null;
      },
    });
  }

  #forget(ids: readonly number[]): void {
    this.#claims.remove(ids);
    for (const id of ids) this.#dispatcher.destinations.sending.delete(id);
  }

  #written(outcomes: readonly QueueOutcome[]): void {
    this.#forget(outcomes.map(({ recipientId }) => recipientId));
    if (this.#claims.more) this.#wakeSoon();
    for (const { outcome, nextAttemptAt } of outcomes) {
      if (outcome === "deferred") this.#wakeAt(nextAttemptAt);
    }
  }

  #settle({ message, route, results, tookMs }: Results): void {
    const now = this.#now();
    const schedule = route.kind === "none" ? {} : route.manner.schedule;
    const judge = Object.keys(schedule).length === 0
      ? this.#judge
      : { ...this.#judge, options: { ...this.#judge.options, ...schedule } };
    const { lifetimeMs } = schedule;
    const expiresAt = lifetimeMs === undefined
      ? message.expiresAt
      : Math.min(message.expiresAt, message.createdAt + lifetimeMs);
    const settled = results.map(({ recipient, verdict }) => {
      const one = settle(judge, { message: { ...message, expiresAt }, recipient, verdict, now });
      return verdict === HELD ? { ...one, outcome: { ...one.outcome, nextAttemptAt: now, held: true } } : one;
    });
    for (const [at, { recipient, verdict }] of results.entries()) {
      const { outcome } = settled[at]!;
      metrics.attempts.inc({ outcome: outcome.outcome });
      if (verdict.trouble === "tls") metrics.withoutTls.inc();
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
      tell("{outcome} {traceId} to {recipient}: {reply}", {
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
    this.#suppress(results, now);
  }

  /** Remembers who is no more. */
  #suppress(results: Results["results"], now: number): void {
    const { store, options: { suppressMs = 0 } } = this.#parts;
    if (suppressMs === 0) return;
    const rows = results.filter(({ verdict }) => isGone(verdict)).map(({ recipient, verdict }) =>
      suppressionRow(recipient.recipient, { text: verdict.text, now, forMs: suppressMs })
    );
    if (rows.length === 0) return;
    store.write({ kind: "put-state", rows, add: false }).catch((error) => {
      log.warn("the suppression list could not be written: {error}", { error });
    });
  }
}

function addJob(destination: Destination, message: QueuedMessage, recipient: DueRow): Job {
  const { sender, accountId, priority } = message;
  const job: Job = {
    ...{ message, priority, recipients: [recipient], again: false, transaction: null },
    // A login with many addresses is one sender; strangers are told apart by their address.
    sender: accountId === null ? sender : `#${accountId}`,
  };
  destination.jobs.add(job);
  return job;
}
