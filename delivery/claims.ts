/**
 * Which recipients of the queue are in memory, and which are taken into it next.
 *
 * At most {@linkcode CLAIM_PER_DESTINATION} of each destination and {@linkcode CLAIM_TOTAL} in all, so that one dead or slow
 * destination does not hold up the others. The queue is read on from where the last look ended; now and then, and when
 * little is in memory, from its start: what came in behind its back lies there.
 */
import type { DuePosition, DueRecipient, Queue } from "../storage/store.ts";

/** Recipients of one destination kept in memory. */
export const CLAIM_PER_DESTINATION = 500;
const CLAIM_TOTAL = 5_000;
const CLAIM_ROWS = 500;
/** With so little in memory, or after so long, the queue is read from its start and not from where it was left. */
const CLAIMED_FEW = 200;
const CLAIM_ALL_MS = 1_000;
/** Between two looks into the queue, milliseconds; also ten times what the last one took. */
const CLAIM_EVERY_MS = 5;

export class Claims {
  readonly #queue: Queue;
  readonly #now: () => number;
  /** Recipients in memory, by id, with the destination column of their row. */
  #claimed: Map<number, string>;
  #claimedOf: Map<string, number>;
  /** Where the last look ended. What came in behind its back lies before: an older time, a destination that was busy. */
  #position: DuePosition | null;
  #readAllAt: number;
  /** Destinations that the last look passed over. */
  #passedOver: readonly string[];
  #lastLookAt: number;
  #pauseMs: number;
  #more: boolean;

  constructor(queue: Queue, now: () => number) {
    this.#queue = queue;
    this.#now = now;
    this.#claimed = new Map();
    this.#claimedOf = new Map();
    this.#position = null;
    this.#readAllAt = -Infinity;
    this.#passedOver = [];
    this.#lastLookAt = -Infinity;
    this.#pauseMs = 0;
    this.#more = false;
  }

  /** The last look did not see all that is due. */
  get more(): boolean {
    return this.#more;
  }

  /** When the pause since the last look is over. */
  get lookAt(): number {
    return Math.max(this.#now(), this.#lastLookAt + Math.max(CLAIM_EVERY_MS, this.#pauseMs));
  }

  /** What is due and not in memory yet; it has to be `add`ed. `page` full: there is more behind it. */
  look(): { readonly rows: readonly DueRecipient[]; readonly page: "full" | "last" | "no room" } {
    const now = this.#now();
    if (this.#claimed.size >= CLAIM_TOTAL) {
      this.#more = true;
      return { rows: [], page: "no room" };
    }
    const busy = [...this.#claimedOf].filter(([, count]) => count >= CLAIM_PER_DESTINATION);
    const fromStart = this.#position === null || this.#claimed.size < CLAIMED_FEW ||
      now - this.#readAllAt >= CLAIM_ALL_MS ||
      this.#passedOver.some((name) => (this.#claimedOf.get(name) ?? 0) < CLAIM_PER_DESTINATION / 2);
    const known = fromStart ? this.#claimed.size - busy.reduce((sum, [, count]) => sum + count, 0) : 0;
    const limit = CLAIM_ROWS + known;
    const rows = this.#queue.due(now, {
      limit,
      busy: busy.map(([name]) => name),
      ...(!fromStart && this.#position !== null && { after: this.#position }),
    });
    if (fromStart) {
      this.#readAllAt = now;
      this.#passedOver = [];
    }
    this.#passedOver = [...new Set([...this.#passedOver, ...busy.map(([name]) => name)])];
    this.#position = rows.at(-1) ?? this.#position;
    this.#more = rows.length === limit || busy.length > 0;
    return {
      rows: rows.filter(({ recipientId }) => !this.#claimed.has(recipientId)),
      page: rows.length === limit ? "full" : "last",
    };
  }

  /** The rows of a look were taken: a look that cost much is not soon followed by another. */
  looked(beganAt: number): void {
    this.#lastLookAt = this.#now();
    this.#pauseMs = 10 * (this.#lastLookAt - beganAt);
  }

  add({ recipientId, destination }: DueRecipient): void {
    if (this.#claimed.has(recipientId)) return;
    this.#claimed.set(recipientId, destination);
    this.#claimedOf.set(destination, (this.#claimedOf.get(destination) ?? 0) + 1);
  }

  remove(ids: readonly number[]): void {
    for (const id of ids) {
      const destination = this.#claimed.get(id);
      if (destination === undefined) continue;
      this.#claimed.delete(id);
      const left = this.#claimedOf.get(destination)! - 1;
      if (left === 0) this.#claimedOf.delete(destination);
      else this.#claimedOf.set(destination, left);
    }
  }
}
