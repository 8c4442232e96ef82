/**
 * Webhooks: HTTP addresses that are told what becomes of mail: accepted, delivered, deferred, bounced.
 *
 * An event is written in the same transaction as what it tells of, and leaves the store when the address has taken it: at
 * least once, in the order of their times where nothing fails. Each is tried again after 10 s, 20 s, and so on up to an hour,
 * for as long as the configuration says. `id` is the same at each attempt, so that a receiver can tell them apart.
 */
import { getLogger } from "@logtape/logtape";
import type { NewQueueEvent } from "../../storage/ops.ts";
import type { QueueEvent } from "../../storage/queue.ts";
import type { Store } from "../../storage/store.ts";
import { counter } from "../../telemetry/metrics.ts";
import type { Timers } from "../connector.ts";
import type { Settled } from "../outcomes.ts";

const log = getLogger(["veredus", "queue"]);
const calls = counter("veredus_webhook_calls_total", "Calls of webhooks, by result", ["result"]);

const FIRST_RETRY_MS = 10_000;
const LONGEST_RETRY_MS = 3_600_000;
/** Events under way at once. */
const AT_ONCE = 16;
/** Between two looks, at least. */
const LOOK_EVERY_MS = 250;
const MAX_SLEEP_MS = 60_000;

export type WebhookEvent = "accepted" | "delivered" | "deferred" | "bounced";

export interface Webhook {
  readonly name: string;
  readonly events: readonly WebhookEvent[];
  readonly lifetimeMs: number;
}

/** What the JSON of an event holds, beside its id. */
export interface EventFacts {
  readonly event: WebhookEvent;
  readonly at: number;
  readonly traceId: string;
  readonly sender: string;
  readonly recipients: readonly string[];
  /** "" where nobody said anything. */
  readonly reply: string;
  readonly remote: string;
  /** Of `deferred`. */
  readonly nextAttemptAt?: number;
}

export function eventsOf(hooks: readonly Webhook[], facts: EventFacts): NewQueueEvent[] {
  const { at, nextAttemptAt, ...rest } = facts;
  const body = JSON.stringify({
    id: crypto.randomUUID(),
    ...rest,
    at: new Date(at).toISOString(),
    ...(nextAttemptAt !== undefined && { nextAttemptAt: new Date(nextAttemptAt).toISOString() }),
  });
  return hooks.filter(({ events }) => events.includes(facts.event)).map(({ name }) => ({ hook: name, body }));
}

const OUTCOMES = { delivered: "delivered", deferred: "deferred", failed: "bounced" } as const;

/** The events of attempts that are about to be written. */
export function eventsOfOutcomes(
  hooks: readonly Webhook[],
  settled: readonly Settled[],
  at: number,
): NewQueueEvent[] {
  if (hooks.length === 0) return [];
  return settled.flatMap(({ message, outcome, recipient }) =>
    eventsOf(hooks, {
      event: OUTCOMES[outcome.outcome],
      ...{ at, traceId: message.traceId, sender: message.sender, recipients: [recipient] },
      ...{ reply: outcome.reply, remote: outcome.remote },
      ...(outcome.outcome === "deferred" && { nextAttemptAt: outcome.nextAttemptAt }),
    })
  );
}

/** True when the address has taken the event. Rejects where there was no answer. */
export type WebhookPost = (hook: string, event: QueueEvent) => Promise<boolean>;

export class WebhookRunner {
  readonly #store: Store;
  readonly #hooks: ReadonlyMap<string, Webhook>;
  readonly #timers: Timers;
  readonly #post: WebhookPost;
  #unsubscribe: () => void;
  #timer: (() => void) | null;
  #running: Promise<void> | null;
  #lookedAt: number;
  #stopped: boolean;

  constructor(parts: { store: Store; hooks: readonly Webhook[]; timers: Timers; post: WebhookPost }) {
    this.#store = parts.store;
    this.#hooks = new Map(parts.hooks.map((hook) => [hook.name, hook]));
    this.#timers = parts.timers;
    this.#post = parts.post;
    this.#unsubscribe = () => {};
    this.#timer = null;
    this.#running = null;
    this.#lookedAt = -Infinity;
    this.#stopped = false;
  }

  start(): void {
    this.#unsubscribe = this.#store.onChange((change) => {
      if (change.kind === "queue") this.#wakeIn(LOOK_EVERY_MS);
    });
    this.#wakeIn(0);
  }

  /** Waits for the calls under way; what they did not settle is told again after the next start. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#unsubscribe();
    this.#timer?.();
    await this.#running;
  }

  #wakeIn(ms: number): void {
    if (this.#stopped || this.#timer !== null || this.#running !== null) return;
    this.#timer = this.#timers.after(ms, () => {
      this.#timer = null;
      this.#running = this.#look().catch((error) => {
        log.error("events for webhooks cannot be read or written: {error}", { error });
      }).finally(() => {
        this.#running = null;
        const next = this.#store.queue.nextEventAt();
        const now = this.#timers.now();
        if (next !== null) this.#wakeIn(Math.min(MAX_SLEEP_MS, Math.max(LOOK_EVERY_MS, next - now)));
      });
    });
  }

  async #look(): Promise<void> {
    this.#lookedAt = this.#timers.now();
    const due = this.#store.queue.dueEvents(this.#lookedAt, AT_ONCE);
    if (due.length === 0) return;
    const done: number[] = [];
    const again: { id: number; nextAttemptAt: number }[] = [];
    await Promise.all(due.map(async (event) => {
      const nextAttemptAt = await this.#tell(event);
      if (nextAttemptAt === null) done.push(event.id);
      else again.push({ id: event.id, nextAttemptAt });
    }));
    await this.#store.write({ kind: "event-outcomes", done, again });
  }

  /** When it is tried again; null when it is told or given up. */
  async #tell(event: QueueEvent): Promise<number | null> {
    const hook = this.#hooks.get(event.hook);
    if (hook === undefined) {
      log.warn("an event for the webhook {hook} is dropped: it is not in the configuration", {
        hook: event.hook,
      });
      return null;
    }
    let why: string;
    try {
      if (await this.#post(hook.name, event)) {
        calls.inc({ result: "taken" });
        return null;
      }
      why = "it was not taken";
    } catch (error) {
      why = error instanceof Error ? error.message : String(error);
    }
    const now = this.#timers.now();
    const wait = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(event.attempts, 20));
    const givenUp = now + wait > event.createdAt + hook.lifetimeMs;
    calls.inc({ result: givenUp ? "given up" : "failed" });
    log.warn("the webhook {hook} {what}: {why}", {
      hook: hook.name,
      what: givenUp ? "loses an event" : "is told again later",
      why,
    });
    return givenUp ? null : now + wait;
  }
}
