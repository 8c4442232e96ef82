/**
 * A destination that could not be reached and can be again: what waits for it goes at once, not when each message has its next
 * attempt.
 *
 * It is known by the first connection that opens, for new mail or by a retry. Only recipients are moved up whose last attempt
 * ended in the network (RFC 3463: X.4.X); what a server itself put off waits for its time. In pages, so that nobody waits
 * for a long queue, and no further when the destination goes away again. Kept in memory: after a restart the next attempt
 * finds out. Limit: {@linkcode MAX_DOWN} destinations, then all are forgotten.
 */
import { getLogger } from "@logtape/logtape";
import type { Store } from "../../storage/store.ts";
import { counter } from "../../telemetry/metrics.ts";

const log = getLogger(["veredus", "queue"]);
const woken = counter(
  "veredus_queue_comeback_recipients_total",
  "Recipients tried at once because their destination could be reached again",
);

const MAX_DOWN = 10_000;
const PAGE_RECIPIENTS = 1_000;

export class Comebacks {
  readonly #store: Pick<Store, "queue" | "write">;
  readonly #now: () => number;
  /** Destinations of recipients by the way that leads to them. */
  readonly #down: Map<string, Set<string>>;
  #count: number;

  constructor(store: Pick<Store, "queue" | "write">, now: () => number) {
    this.#store = store;
    this.#now = now;
    this.#down = new Map();
    this.#count = 0;
  }

  /** No host of the way could be reached. */
  down(way: string, destination: string): void {
    if (this.#count >= MAX_DOWN) {
      this.#down.clear();
      this.#count = 0;
    }
    const known = this.#down.get(way) ?? new Set();
    if (known.has(destination)) return;
    this.#down.set(way, known.add(destination));
    this.#count++;
  }

  /** One of its hosts is ready for mail. */
  up(way: string): void {
    const destinations = this.#down.get(way);
    if (destinations === undefined) return;
    this.#down.delete(way);
    this.#count -= destinations.size;
    for (const destination of destinations) {
      this.#wake(way, destination).catch((error) =>
        log.warn("mail to {destination} waits for its next attempts: {error}", { destination, error })
      );
    }
  }

  async #wake(way: string, destination: string): Promise<void> {
    let count = 0;
    for (;;) {
      const at = this.#now();
      const recipientIds = this.#store.queue.unreached(destination, at, PAGE_RECIPIENTS);
      if (recipientIds.length === 0 || this.#down.get(way)?.has(destination)) break;
      const result = await this.#store.write({ kind: "queue-control", action: "retry", recipientIds, at });
      if (!result.ok) throw new Error(`${result.fault}: ${result.detail}`);
      count += recipientIds.length;
      woken.inc(recipientIds.length);
      if (recipientIds.length < PAGE_RECIPIENTS) break;
    }
    if (count > 0) {
      log.info("{destination} can be reached again: {count} recipients are tried now", {
        destination,
        count,
      });
    }
  }
}
