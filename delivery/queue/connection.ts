/**
 * One connection of the queue, from its opening to QUIT: message after message of one destination, and then kept for a
 * moment. An agent in the place of a server takes its mail the same way.
 *
 * What the host puts off another one is asked for (another_host.ts). When no host of the destination can be reached, everything in memory for it is put off together. What each transaction
 * says about how much the destination bears goes into its {@linkcode Destination}.
 */
import { getLogger } from "@logtape/logtape";
import type { TransactionResult } from "../../protocols/smtp/client_result.ts";
import type { ClientTransaction } from "../../protocols/smtp/client_transaction.ts";
import type { DueRecipient, DueRow, QueuedMessage } from "../../storage/queue.ts";
import type { Store } from "../../storage/store.ts";
import { type AgentRoute, type Agents, agentVerdict } from "../agents.ts";
import { type Besides, openConnection, type OutboundParts } from "../outbound.ts";
import { type HopFailure, OutboundConnection, type Pace } from "../outbound_connection.ts";
import type { Outgoing } from "../outgoing_message.ts";
import * as metrics from "../queue_metrics.ts";
import { type Route, routeKey, routeName } from "../routes.ts";
import type { Verdict } from "../settle.ts";
import type { Comebacks } from "./comeback.ts";
import { AnotherHost, type Said } from "./another_host.ts";
import { type ConversionRules, isRuled, sendByRule } from "./conversion.ts";
import type { Destination, Job } from "./destination.ts";
import type { Destinations } from "./destinations.ts";
import { namesUsAsListed } from "./listed.ts";
import { sourceOf, transactionOf, verdictOf } from "./transaction.ts";

const log = getLogger(["veredus", "queue"]);

/** A destination that refused one more connection is not asked for another for this long. */
export const CROWDED_MS = 10_000;
/** A destination that cannot be reached and has more mail than fits into memory rests: the first time, and at most. */
const FIRST_REST_MS = 5_000;
const LONGEST_REST_MS = 20_000;

/** What became of recipients of one message. */
export interface Results {
  readonly message: QueuedMessage;
  readonly route: Route;
  readonly results: readonly { readonly recipient: DueRecipient; readonly verdict: Verdict }[];
  readonly tookMs: number;
}

export interface ConnectionOptions {
  /** How long a connection waits for the next message. */
  readonly idleMs: number;
  /** Messages without an answer on a connection to a peer that is far, or has much mail waiting; left out: 1. */
  readonly messagesAhead?: number;
  readonly eightBit?: ConversionRules["eightBit"];
  readonly utf8Headers?: ConversionRules["utf8Headers"];
}

export interface ConnectionParts {
  readonly store: Pick<Store, "blobs" | "directory" | "spool">;
  readonly outbound: OutboundParts;
  readonly options: ConnectionOptions;
  readonly agents: Agents;
  readonly settle: (results: Results) => void;
  /** The destination cannot be reached: no more of it before then. */
  readonly rest: (destination: string, until: number) => void;
  readonly comebacks: Comebacks;
}

/** What a connection asks of those beside it. */
export interface Neighbours {
  /** True when another destination has work, no connection, and no room for one. */
  readonly crowded: (mine: Destination) => boolean;
  /** The destination may bear a connection more. */
  readonly room: (destination: Destination) => void;
  /** Counts a second connection of one of them; false, and it does not, where there is no room. */
  readonly beside: (destination: Destination) => boolean;
  /** A second connection is gone. */
  readonly left: (destination: Destination) => void;
}

export class QueueConnection {
  readonly #destination: Destination;
  readonly #destinations: Destinations;
  readonly #parts: ConnectionParts;
  readonly #neighbours: Neighbours;
  readonly since: number;
  #doing: string;
  /** Null until it is open, and with an agent. */
  #outbound: OutboundConnection | null;
  /** Jobs that were taken to go behind the one that is sent, in this order. */
  #ahead: Job[];
  readonly #another: AnotherHost;

  constructor(
    destination: Destination,
    destinations: Destinations,
    { parts, neighbours }: { readonly parts: ConnectionParts; readonly neighbours: Neighbours },
  ) {
    this.#destination = destination;
    this.#destinations = destinations;
    this.#parts = parts;
    this.#neighbours = neighbours;
    this.since = this.#now();
    this.#doing = `connecting to ${destination.key}`;
    this.#outbound = null;
    this.#ahead = [];
    this.#another = new AnotherHost({
      open: (besides) => this.#openAnother(besides),
      take: () => neighbours.beside(destination),
      leave: () => neighbours.left(destination),
    });
  }

  get doing(): string {
    return this.#doing;
  }

  /** "" until it is open. */
  get remote(): string {
    return this.#outbound?.remote ?? "";
  }

  get tlsActive(): boolean {
    return this.#outbound !== null && this.#outbound.tls !== null;
  }

  /** Cuts it; false when it is not open. What it sends is tried again later. */
  close(): boolean {
    this.#another.close();
    this.#outbound?.close();
    return this.#outbound !== null;
  }

  /** From its opening to QUIT; the caller closes it. */
  async run(): Promise<void> {
    const destination = this.#destination;
    if (destination.agent !== null) return await this.#runAgent(destination.agent);
    const first = this.#destinations.take(destination);
    if (first === null) return;
    let opened = await this.#open(first);
    if (opened === null) return;
    this.#outbound = opened;
    destination.ready++;
    destination.failures = 0;
    this.#parts.comebacks.up(routeKey(destination.route));
    try {
      for (let job: Job | null = first; job !== null;) {
        this.#doing = `sending ${job.message.traceId} to ${destination.key}`;
        await this.#send(opened, job);
        this.#outbound = opened = this.#another.inPlaceOf(opened);
        const next = this.#ahead.shift();
        if (next !== undefined) job = next;
        else if (!opened.usable || !this.#mayGoOn) break;
        else job = await this.#nextJob();
      }
    } finally {
      destination.ready--;
    }
    this.#doing = "QUIT";
    await Promise.all([this.#another.quit(), opened.quit()]);
  }

  #now(): number {
    return this.#parts.outbound.timers.now();
  }

  /** Others need it less, and the destination bears as many as are open. */
  get #mayGoOn(): boolean {
    const { ready, beside, concurrency } = this.#destination;
    return ready + beside <= concurrency.connections && !this.#neighbours.crowded(this.#destination);
  }

  get #rules(): ConversionRules {
    const { eightBit = "send", utf8Headers = "convert" } = this.#parts.options;
    return { eightBit, utf8Headers };
  }

  get #pace(): Pace {
    const destination = this.#destination;
    const { concurrency } = destination;
    return {
      waits: () => {
        concurrency.waits(this.#now());
        this.#neighbours.room(destination);
      },
      answered: (afterMs) => concurrency.answered(afterMs),
    };
  }

  /** Gives an agent its jobs, one recipient after the other. */
  async #runAgent(agent: AgentRoute): Promise<void> {
    const destination = this.#destination;
    let job = this.#destinations.take(destination);
    for (; job !== null; job = this.#destinations.take(destination)) {
      const { message } = job;
      this.#doing = `${destination.key} takes ${message.traceId}`;
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
          verdict = LOCAL_ERROR;
        }
        this.#settle(message, [{ recipient, verdict }], startedAt);
      }
      if (this.#neighbours.crowded(destination)) return;
    }
  }

  async #nextJob(): Promise<Job | null> {
    const destination = this.#destination;
    if (this.#destinations.draining) return null;
    const job = this.#destinations.take(destination);
    if (job !== null) return job;
    this.#doing = `waiting for mail to ${destination.key}`;
    const { promise, resolve } = Promise.withResolvers<void>();
    destination.idle.push(resolve);
    const cancel = this.#parts.outbound.timers.after(this.#parts.options.idleMs, resolve);
    await promise;
    cancel();
    const at = destination.idle.indexOf(resolve);
    if (at >= 0) destination.idle.splice(at, 1);
    else destination.waking--;
    return this.#mayGoOn ? this.#destinations.take(destination) : null;
  }

  /** Opens a connection for a job; where that fails, the job and all that waits with it is put off. */
  async #open(job: Job): Promise<OutboundConnection | null> {
    const destination = this.#destination;
    const startedAt = this.#now();
    let opened: OutboundConnection | HopFailure;
    try {
      opened = await openConnection(destination.route, this.#parts.outbound, {
        need: destination.tls,
        identity: destination.identity,
        pace: this.#pace,
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
      this.#destinations.putBack(destination, job);
      return null;
    }
    this.#putOff(job, opened, startedAt);
    return null;
  }

  async #openAnother(besides: Besides): Promise<OutboundConnection | null> {
    const { route, tls: need, identity } = this.#destination;
    const purpose = { need, identity, besides };
    const opened = await openConnection(route, this.#parts.outbound, purpose);
    return opened instanceof OutboundConnection ? opened : null;
  }

  #putOff(
    job: Job,
    { enhanced, text, remote, fromPeer = false, trouble }: HopFailure,
    startedAt: number,
  ): void {
    const destination = this.#destination;
    let verdict: Verdict = {
      outcome: enhanced.startsWith("5") ? "permanent" : "temporary",
      enhanced,
      text,
      fromPeer,
      remote,
      ...(trouble && { trouble }),
    };
    if (namesUsAsListed(verdict)) {
      this.#destinations.listed(destination, verdict);
      verdict = { ...verdict, outcome: "temporary", enhanced: enhanced.replace(/^5/, "4") };
    }
    const restMs = Math.min(LONGEST_REST_MS, FIRST_REST_MS * 2 ** Math.min(destination.failures++, 10));
    for (const failed of [job, ...destination.jobs.takeAll()]) {
      const name = failed.recipients[0]!.destination;
      this.#parts.rest(name, this.#now() + restMs);
      this.#parts.comebacks.down(routeKey(destination.route), name);
      this.#settle(failed.message, failed.recipients.map((recipient) => ({ recipient, verdict })), startedAt);
    }
  }

  /** Sends a job, in several transactions where the peer takes only some of the recipients at once. */
  async #send(connection: OutboundConnection, job: Job): Promise<void> {
    const destination = this.#destination;
    const { store, options: { messagesAhead = 1 } } = this.#parts;
    const { message } = job;
    let left = job.recipients;
    if (!connection.usable) return this.#destinations.putBack(destination, job);
    const following = () => this.#following(connection);
    const much = destination.jobs.length >= destination.connections;
    connection.ahead = connection.takesWhole && destination.whole && (connection.far || much)
      ? messagesAhead
      : 1;
    while (left.length > 0) {
      const startedAt = this.#now();
      let said: readonly Said[];
      try {
        const transaction = job.transaction ?? transactionOf(store, message, left);
        job.transaction = null;
        const result = await this.#transact(connection, { message, transaction, following });
        // What broke off with messages behind one another is not sent so again.
        if (connection.ahead > 1 && !connection.open) destination.whole = false;
        if (result.untouched && connection.messages > 1 && !job.again) {
          job.again = true;
          job.recipients = left;
          this.#destinations.putBack(destination, job);
          return;
        }
        said = left.map((recipient, at) => ({ recipient, result: result.recipients[at]!, by: connection }));
      } catch (error) {
        log.error("{traceId} cannot be sent: {error}", { traceId: message.traceId, error });
        connection.close();
        this.#settle(message, left.map((recipient) => ({ recipient, verdict: LOCAL_ERROR })), startedAt);
        return;
      }
      metrics.attemptSeconds.observe((this.#now() - startedAt) / 1_000);
      this.#learn(said);
      const done: { recipient: DueRecipient; verdict: Verdict }[] = [];
      const again: DueRow[] = [];
      const inTheEnd = await this.#elsewhere(message, said);
      if (inTheEnd !== said) this.#learn(inTheEnd.filter(({ by }) => by !== connection));
      for (const { recipient, result, by } of inTheEnd) {
        if (result.again) again.push(recipient);
        else done.push({ recipient, verdict: verdictOf(result, by, destination.route) });
      }
      this.#settle(message, done, startedAt);
      left = again;
      if (left.length > 0 && (this.#ahead.length > 0 || !connection.usable)) {
        job.recipients = left;
        this.#destinations.putBack(destination, job);
        break;
      }
    }
  }

  #transact(
    connection: OutboundConnection,
    { message, transaction, following }: {
      readonly message: QueuedMessage;
      readonly transaction: ClientTransaction;
      readonly following?: () => Outgoing | null;
    },
  ): Promise<TransactionResult> {
    const { store } = this.#parts;
    const outgoing = { transaction, source: sourceOf(store, message) };
    return isRuled(transaction, connection, this.#rules)
      ? sendByRule(connection, outgoing, { rules: this.#rules, store, message })
      : connection.send(outgoing, following);
  }

  /** Another host of the destination is asked where this one puts off; not where our address is what it minds. */
  async #elsewhere(message: QueuedMessage, said: readonly Said[]): Promise<readonly Said[]> {
    if (this.#destination.listed > 0 || this.#neighbours.crowded(this.#destination)) return said;
    const { store } = this.#parts;
    try {
      return await this.#another.ask(said, async (other, recipients) => {
        const transaction = transactionOf(store, message, recipients);
        const result = await this.#transact(other, { message, transaction });
        return result.untouched ? null : result.recipients;
      });
    } catch (error) {
      log.error("{traceId} cannot be sent: {error}", { traceId: message.traceId, error });
      this.#another.close();
      return said; // what this host took it has
    }
  }

  /** What goes behind the message that is sent; the second and later ones only of mail that the others cannot take now. */
  #following(connection: OutboundConnection): Outgoing | null {
    const destination = this.#destination;
    const { store } = this.#parts;
    if (destination.listed > 0 || this.#neighbours.crowded(destination)) return null;
    const last = this.#ahead.at(-1);
    // The last was taken, but could not go behind the one before it.
    if (last !== undefined && last.transaction === null) return null;
    if (last !== undefined && destination.jobs.length < destination.connections) return null;
    const next = this.#destinations.take(destination);
    if (next === null) return null;
    this.#ahead.push(next);
    const transaction = transactionOf(store, next.message, next.recipients);
    if (isRuled(transaction, connection, this.#rules)) return null;
    next.transaction = transaction;
    return { transaction, source: sourceOf(store, next.message) };
  }

  #settle(message: QueuedMessage, results: Results["results"], startedAt: number): void {
    const { route } = this.#destination;
    this.#parts.settle({ message, route, results, tookMs: this.#now() - startedAt });
  }

  /** What a transaction says about how much the destination bears. */
  #learn(said: readonly Said[]): void {
    const destination = this.#destination;
    const { concurrency } = destination;
    const results = said.map(({ result }) => result);
    if (results.some(({ outcome }) => outcome === "delivered")) {
      concurrency.succeeded();
      destination.listed = 0;
      return this.#neighbours.room(destination);
    }
    // A recipient's own 4yz (a full mailbox, greylisting) says nothing about the others.
    if (results.some(({ outcome, stage }) => outcome === "temporary" && stage !== "rcpt")) {
      concurrency.pushedBack(this.#now());
    }
    const listed = said.map(({ result, by }) => verdictOf(result, by, destination.route)).find(
      namesUsAsListed,
    );
    if (listed !== undefined) this.#destinations.listed(destination, listed);
  }
}

const LOCAL_ERROR: Verdict = agentVerdict("temporary", "4.3.0", "local error");
