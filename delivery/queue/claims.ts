/**
 * Which recipients of the queue are in memory, and which are taken into it next.
 *
 * At most {@linkcode CLAIM_PER_DESTINATION} of each destination and {@linkcode CLAIM_TOTAL} in all, so that memory does not
 * grow with the queue and one dead or slow destination does not hold up the others. Three ways lead in:
 *
 * - the sweep takes some of each destination in turn, by the index of destinations: at the start and now and then, for
 *   everything that the other ways might have missed;
 * - the reading takes what became due since the last look, in the order of time, and passes over destinations that have
 *   enough in memory;
 * - the backlog are those that were passed over: when little of them is left in memory, more is taken by the index, the oldest
 *   and (for senders that came late) the newest.
 *
 * So nothing is read again and again that cannot be taken, however long the queue is.
 */
import type { DuePosition, DueRecipient, DueRow, Queue } from "../../storage/queue.ts";

/** Recipients of one destination kept in memory. */
export const CLAIM_PER_DESTINATION = 500;
const CLAIM_TOTAL = 20_000;
const CLAIM_ROWS = 500;
/** Of one destination in one step of the sweep. */
const SWEEP_ROWS = 50;
/** Destinations of one step. */
const SWEEP_NAMES = 100;
/** Between two sweeps. */
const SWEEP_EVERY_MS = 60_000;
/** The same, where a look finds nothing. */
const SWEEP_ANYHOW_MS = 500;
/** A row has the time of its message's arrival and is there when it is committed: so long the reading stays behind. */
const SETTLE_MS = 250;
/** A commit may take longer than that: so much is read once more, now and then. */
const OVERLAP_MS = 5_000;
const OVERLAP_EVERY_MS = 200;
/** Between two looks into the queue, milliseconds. */
const CLAIM_EVERY_MS = 5;
/** Also so often what the last one took: where it found much, half the time is for sending; where it did not, nearly all. */
const PAUSE_AFTER_MUCH = 1, PAUSE_AFTER_LITTLE = 10;
/** Rows that are worth another look soon. */
const MUCH_ROWS = 50;

export class Claims {
  readonly #queue: Queue;
  readonly #now: () => number;
  /** Recipients in memory, by id, with the destination column of their row. */
  #claimed: Map<number, string>;
  #claimedOf: Map<string, number>;
  /** Where the reading ended. */
  #position: DuePosition;
  /** Where reading once more has come to; null between two times. */
  #overlap: DuePosition | null;
  #overlapAt: number;
  /** There was a look since. */
  #unsure: boolean;
  /** The destination behind which the sweep goes on; null between two. */
  #sweepAfter: string | null;
  #sweepAt: number;
  #sweptAt: number;
  /** Destinations with more than fits, and until when they are let alone. */
  #backlog: Map<string, number>;
  #lastLookAt: number;
  #pauseMs: number;

  constructor(queue: Queue, now: () => number) {
    this.#queue = queue;
    this.#now = now;
    this.#claimed = new Map();
    this.#claimedOf = new Map();
    this.#position = { nextAttemptAt: now() - SETTLE_MS, recipientId: -1 };
    this.#overlap = null;
    this.#overlapAt = -Infinity;
    this.#unsure = false;
    this.#sweepAfter = "";
    this.#sweepAt = now();
    this.#sweptAt = -Infinity;
    this.#backlog = new Map();
    this.#lastLookAt = -Infinity;
    this.#pauseMs = 0;
  }

  /** Something that is due was left out for want of room. */
  get more(): boolean {
    return this.#sweepAfter !== null || this.#backlog.size > 0;
  }

  /** When the pause since the last look is over. */
  get lookAt(): number {
    return Math.max(this.#now(), this.#lastLookAt + Math.max(CLAIM_EVERY_MS, this.#pauseMs));
  }

  /** When something has to be looked for even though nothing was told of: a backlog that is let alone, the next sweep. */
  get nextAt(): number {
    let at = this.#sweepAfter === null ? this.#sweepAt : this.#now();
    if (this.#unsure) at = Math.min(at, this.#overlapAt + OVERLAP_EVERY_MS);
    for (const [destination, until] of this.#backlog) {
      if (this.#room(destination) > CLAIM_PER_DESTINATION / 2) at = Math.min(at, until);
    }
    return at;
  }

  /** What is due and not in memory yet; it has to be `add`ed. `full`: there is more, and room for it. */
  look(): { readonly rows: readonly DueRow[]; readonly full: boolean } {
    const now = this.#now();
    const rows = new Map<number, DueRow>();
    const left = () => Math.min(CLAIM_ROWS, CLAIM_TOTAL - this.#claimed.size) - rows.size;
    if (left() <= 0) return { rows: [], full: false };
    if (this.#sweepAfter === null && now >= this.#sweepAt) this.#sweepAfter = "";
    let full = this.#read(now, rows, left());
    if (left() > 0) this.#readAgain(now, rows, left());
    this.#backlogs(now, rows, left);
    // Told of something that is nowhere ahead: a time before those that were read (a clock that was put back).
    if (rows.size === 0 && this.#sweepAfter === null && now - this.#sweptAt >= SWEEP_ANYHOW_MS) {
      this.#sweepAfter = "";
    }
    if (this.#sweepAfter === "") this.#sweptAt = now;
    if (this.#sweepAfter !== null) full = this.#sweep(now, rows, left) || full;
    return { rows: [...rows.values()], full };
  }

  /** The rows of a look were taken: one that cost much for what it found is not soon followed by another. */
  looked(beganAt: number, rows: number): void {
    this.#lastLookAt = this.#now();
    const times = rows < MUCH_ROWS ? PAUSE_AFTER_LITTLE : PAUSE_AFTER_MUCH;
    this.#pauseMs = times * (this.#lastLookAt - beganAt);
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

  /** Takes no more of a destination with a backlog until then; one without is left to the times of its recipients. */
  rest(destination: string, until: number): void {
    if (this.#backlog.has(destination)) this.#backlog.set(destination, until);
  }

  #room(destination: string): number {
    return CLAIM_PER_DESTINATION - (this.#claimedOf.get(destination) ?? 0);
  }

  /** What became due since the last reading; true while there is more. */
  #read(now: number, rows: Map<number, DueRow>, limit: number): boolean {
    const { found, full } = this.#page(now, { after: this.#position, limit, rows });
    if (full && found !== undefined) this.#position = found;
    else {
      const settled = now - SETTLE_MS;
      if (settled > this.#position.nextAttemptAt) {
        this.#position = { nextAttemptAt: settled, recipientId: -1 };
      }
    }
    return full;
  }

  /** A page of what was read before: rows that were committed behind the reading's back. */
  #readAgain(now: number, rows: Map<number, DueRow>, limit: number): void {
    if (this.#overlap === null) {
      this.#unsure = now - this.#overlapAt < OVERLAP_EVERY_MS;
      if (this.#unsure) return;
      this.#overlapAt = now;
      this.#overlap = { nextAttemptAt: now - OVERLAP_MS, recipientId: -1 };
    }
    const { found, full } = this.#page(now, { after: this.#overlap, limit, rows });
    this.#overlap = full && found !== undefined && isBehind(this.#position, found) ? found : null;
  }

  #page(
    now: number,
    { after, limit, rows }: {
      readonly after: DuePosition;
      readonly limit: number;
      readonly rows: Map<number, DueRow>;
    },
  ): { readonly found: DueRow | undefined; readonly full: boolean } {
    const busy = [...this.#claimedOf].filter(([name]) => this.#room(name) <= 0).map(([name]) => name);
    const found = this.#queue.due(now, { limit, busy, after });
    // Whoever is passed over is remembered, whether it had anything or not.
    for (const name of busy) if (!this.#backlog.has(name)) this.#backlog.set(name, 0);
    for (const row of found) {
      const resting = (this.#backlog.get(row.destination) ?? 0) > now;
      if (!resting && !this.#claimed.has(row.recipientId)) rows.set(row.recipientId, row);
    }
    return { found: found.at(-1), full: found.length === limit };
  }

  #backlogs(now: number, rows: Map<number, DueRow>, left: () => number): void {
    for (const [destination, until] of this.#backlog) {
      const room = this.#room(destination);
      if (until > now || room < CLAIM_PER_DESTINATION / 2) continue;
      if (left() <= 0) return;
      const limit = Math.min(room, left());
      const before = rows.size;
      const claimed = CLAIM_PER_DESTINATION - room;
      for (const newest of [false, true]) {
        const wanted = newest ? Math.ceil(limit / 4) : limit;
        for (const row of this.#queue.dueOf(destination, now, { limit: wanted + claimed, newest })) {
          if (left() > 0 && !this.#claimed.has(row.recipientId)) rows.set(row.recipientId, row);
        }
      }
      if (rows.size - before < limit) this.#backlog.delete(destination);
    }
  }

  /** Some of each destination behind the last one looked at; true while there are more of them. */
  #sweep(now: number, rows: Map<number, DueRow>, left: () => number): boolean {
    const names = this.#queue.destinations({ after: this.#sweepAfter!, limit: SWEEP_NAMES });
    for (const destination of names) {
      if (left() <= 0) return true;
      this.#sweepAfter = destination;
      const claimed = CLAIM_PER_DESTINATION - this.#room(destination);
      if (this.#backlog.has(destination)) continue;
      const limit = Math.min(SWEEP_ROWS, left());
      const found = this.#queue.dueOf(destination, now, { limit: limit + claimed, newest: false });
      for (const row of found) {
        if (left() > 0 && !this.#claimed.has(row.recipientId)) rows.set(row.recipientId, row);
      }
      if (found.length === limit + claimed) this.#backlog.set(destination, 0);
    }
    if (names.length === SWEEP_NAMES) return true;
    this.#sweepAfter = null;
    this.#sweepAt = now + SWEEP_EVERY_MS;
    return false;
  }
}

function isBehind(a: DuePosition, b: DuePosition): boolean {
  return a.nextAttemptAt > b.nextAttemptAt ||
    (a.nextAttemptAt === b.nextAttemptAt && a.recipientId > b.recipientId);
}
