/**
 * What waits for one destination, in a fair order: the higher priority first, the senders of one priority in turn.
 *
 * RFC 6710 4 (priorities). One taking in {@linkcode LOWEST_EVERY} is of the lowest priority that waits, so that it is never
 * starved. What one sender gave stays in its order. Pure.
 */

/** Of what a destination waits for; the sender is whoever it has to be fair to. */
export interface Fair {
  readonly priority: number;
  readonly sender: string;
}

const LOWEST_EVERY = 8;

export class FairJobs<T extends Fair> {
  /** By priority, then by sender; the first sender of a priority is next. */
  #levels: Map<number, Map<string, T[]>>;
  /** Those in `#levels`, highest first. */
  #priorities: number[];
  #length: number;
  #taken: number;

  constructor() {
    this.#levels = new Map();
    this.#priorities = [];
    this.#length = 0;
    this.#taken = 0;
  }

  get length(): number {
    return this.#length;
  }

  add(job: T): void {
    this.#of(job).push(job);
    this.#length++;
  }

  /** In front of everything of its sender. */
  putBack(job: T): void {
    this.#of(job).unshift(job);
    this.#length++;
  }

  take(): T | undefined {
    const lowest = ++this.#taken % LOWEST_EVERY === 0;
    const priority = lowest ? this.#priorities.at(-1) : this.#priorities[0];
    if (priority === undefined) return undefined;
    const senders = this.#levels.get(priority)!;
    const [[sender, jobs]] = senders as unknown as [[string, T[]]];
    const job = jobs.shift()!;
    senders.delete(sender);
    if (jobs.length > 0) senders.set(sender, jobs);
    else if (senders.size === 0) {
      this.#levels.delete(priority);
      this.#priorities = this.#priorities.filter((other) => other !== priority);
    }
    this.#length--;
    return job;
  }

  /** Everything, in no order. */
  takeAll(): T[] {
    const all = [...this.#levels.values()].flatMap((senders) => [...senders.values()].flat());
    this.#levels.clear();
    this.#priorities = [];
    this.#length = 0;
    return all;
  }

  #of({ priority, sender }: T): T[] {
    let senders = this.#levels.get(priority);
    if (senders === undefined) {
      this.#levels.set(priority, senders = new Map());
      this.#priorities = [...this.#priorities, priority].sort((a, b) => b - a);
    }
    let jobs = senders.get(sender);
    if (jobs === undefined) senders.set(sender, jobs = []);
    return jobs;
  }
}
