/**
 * Names that checks look up: a small cache over the thread's resolver, a deadline, and failures remembered briefly, so
 * that a dead resolver costs one wait and not one a message.
 */
import type { DataOf, RecordType } from "../dns/rdata.ts";
import { Breaker } from "./breaker.ts";
import { type Answer, ResolveError, type Resolver } from "../dns/resolver.ts";

export type LookupAnswer<T extends RecordType> = Answer<T> | "failed";

interface Entry {
  readonly answer: LookupAnswer<RecordType>;
  readonly until: number;
}

export interface LookupOptions {
  readonly now: () => number;
  readonly timeoutMs: number;
  readonly entries: number;
}

const FAILED_MS = 30_000;
const MAX_TTL_SECONDS = 3_600;

export class Lookup {
  #resolver: Resolver;
  #options: LookupOptions;
  #cache = new Map<string, Entry>();
  /** Of the resolver as a whole. */
  #breaker: Breaker;
  #pending = new Map<string, Promise<LookupAnswer<RecordType>>>();

  constructor(resolver: Resolver, options: LookupOptions) {
    this.#resolver = resolver;
    this.#options = options;
    this.#breaker = new Breaker(options.now);
  }

  /** At once where it is known. Never rejects. */
  resolve<T extends RecordType>(name: string, type: T): LookupAnswer<T> | Promise<LookupAnswer<T>> {
    const key = `${name} ${type}`;
    if (this.#breaker.open) return "failed";
    const known = this.#cache.get(key);
    if (known !== undefined) {
      if (known.until > this.#options.now()) return known.answer as LookupAnswer<T>;
      this.#cache.delete(key);
    }
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      pending = this.#ask(name, type).then((answer) => {
        this.#pending.delete(key);
        if (answer === "failed") this.#breaker.failed();
        else this.#breaker.worked();
        this.#remember(key, answer);
        return answer;
      });
      this.#pending.set(key, pending);
    }
    return pending as Promise<LookupAnswer<T>>;
  }

  async #ask<T extends RecordType>(name: string, type: T): Promise<LookupAnswer<RecordType>> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<"failed">((resolve) => {
      timer = setTimeout(() => resolve("failed"), this.#options.timeoutMs);
    });
    try {
      const asked = this.#resolver.resolve(name, type) as Promise<unknown> as Promise<Answer<RecordType>>;
      asked.catch(() => {}); // it may fail after the deadline
      return await Promise.race([asked, late]);
    } catch (error) {
      if (error instanceof ResolveError) return "failed";
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #remember(key: string, answer: LookupAnswer<RecordType>): void {
    if (this.#cache.size >= this.#options.entries) {
      for (const oldest of this.#cache.keys()) {
        this.#cache.delete(oldest);
        break;
      }
    }
    const forMs = answer === "failed" ? FAILED_MS : Math.min(answer.ttlSeconds, MAX_TTL_SECONDS) * 1_000;
    this.#cache.set(key, { answer, until: this.#options.now() + forMs });
  }
}

/** The records, or none where there are none; null where nobody answered. */
export function recordsOf<T extends RecordType>(answer: LookupAnswer<T>): readonly DataOf<T>[] | null {
  return answer === "failed" ? null : answer.records;
}
