/** What must hold after a loss of power at a given moment: everything whose reply had been sent by then. */
import type { Folders } from "../crash/imap_worker.ts";
import type { Accepted, Recording } from "./record.ts";
import type { TraceEvent } from "./trace.ts";

interface Timed<T> {
  /** Number of the event that sent the reply. */
  readonly at: number;
  readonly what: T;
}

export interface Demand {
  /** Messages that must be in their mailboxes. */
  readonly filed: readonly Accepted[];
  /** Messages that must be in the queue. */
  readonly queued: readonly Accepted[];
  /** Markers of messages to two mailboxes: in both or in none. */
  readonly toBoth: readonly string[];
  /** Folders by worker: the states each may be in. */
  readonly folders: ReadonlyMap<string, readonly Folders[]>;
}

export class Ledger {
  /** Replies in the order in which they were sent; a loss of power right after one is the hardest. */
  readonly replies: readonly number[];
  #recording: Recording;
  #accepted: Timed<Accepted>[] = [];
  /** When a submission went to the next hop. */
  #sentOn = new Map<string, number>();
  #steps = new Map<string, number[]>();

  constructor(recording: Recording) {
    this.#recording = recording;
    const sent = sentTexts(recording.events);
    const find = (needle: string) => sent.find(({ text }) => text.includes(needle))?.at ?? null;
    const findTag = (tag: string) => find(`${tag} OK`) ?? fail(`the OK of ${tag} is not in the trace`);
    for (const what of recording.accepted) {
      const at = find(`250 2.6.0 ${what.traceId}`) ?? fail(`the 250 of ${what.traceId} is not in the trace`);
      this.#accepted.push({ at, what });
      const on = what.accounts.length === 0 ? find(`X-Crash: ${what.marker}\r\n`) : null;
      if (on !== null) this.#sentOn.set(what.marker, on);
    }
    for (const [worker, steps] of recording.steps) {
      // The empty beginning holds from the start; what was only asked for is never acknowledged.
      this.#steps.set(
        worker,
        steps.map(({ tag }, i) => i === 0 ? -1 : tag === null ? Infinity : findTag(tag)),
      );
    }
    this.replies = [...this.#accepted.map(({ at }) => at), ...[...this.#steps.values()].flat()]
      .filter((at) => at >= 0 && at !== Infinity).sort((a, b) => a - b);
  }

  /** When the reply to a message was sent. */
  get accepted(): readonly Timed<Accepted>[] {
    return this.#accepted;
  }

  /** `cut` is the number of events that had happened. */
  demand(cut: number): Demand {
    const due = this.#accepted.filter(({ at }) => at < cut).map(({ what }) => what);
    const folders = new Map<string, readonly Folders[]>();
    for (const [worker, steps] of this.#recording.steps) {
      const times = this.#steps.get(worker)!;
      const last = times.findLastIndex((at) => at < cut);
      // The last acknowledged state, or the one that was asked for after it.
      folders.set(worker, steps.slice(last, last + 2).map((step) => step.folders));
    }
    return {
      filed: due.filter(({ accounts }) => accounts.length > 0),
      queued: due.filter(({ accounts, marker }) =>
        accounts.length === 0 && (this.#sentOn.get(marker) ?? Infinity) >= cut
      ),
      toBoth: this.#recording.accepted.filter(({ accounts }) => accounts.length > 1).map(({ marker }) =>
        marker
      ),
      folders,
    };
  }
}

function sentTexts(events: readonly TraceEvent[]): { at: number; text: string }[] {
  return events.flatMap((event, at) => event.kind === "sent" ? [{ at, text: event.text }] : []);
}

function fail(message: string): never {
  throw new Error(message);
}
