/**
 * The resolver over recursive servers: special names, cache, single flight, CNAME chains.
 *
 * Answers are kept for their TTL between {@linkcode MIN_TTL_SECONDS} and {@linkcode MAX_TTL_SECONDS}; negative ones for
 * at most {@linkcode MAX_NEGATIVE_TTL_SECONDS} (RFC 2308 5) and NXDOMAIN for all types of the name; failures for
 * {@linkcode FAILURE_TTL_SECONDS}, so that a broken domain does not cost a time-out for each recipient (RFC 9520 3.2).
 * Who asks for what is being asked for already waits for the same answer. A look-up ends within
 * {@linkcode DEADLINE_TIMEOUTS} time-outs of a server, waiting for its turn and all aliases included.
 */
import { getLogger } from "@logtape/logtape";
import { TtlCache } from "./cache.ts";
import { countLookup, countSource } from "./metrics.ts";
import { canonicalName } from "./name.ts";
import { type DataOf, type RecordData, type RecordType, TYPE_CODES } from "./rdata.ts";
import {
  type Answer,
  type AnswerStatus,
  ResolveError,
  type ResolveFault,
  type Resolver,
} from "./resolver.ts";
import { extractAnswer } from "./response.ts";
import { specialAnswer } from "./special_names.ts";
import { type UpstreamOptions, Upstreams } from "./upstream.ts";

const log = getLogger(["veredus", "dns"]);

/** The look-ups of one delivery agree even when a zone says 0. */
export const MIN_TTL_SECONDS = 1;
export const MAX_TTL_SECONDS = 86_400;
export const MAX_NEGATIVE_TTL_SECONDS = 3_600;
export const FAILURE_TTL_SECONDS = 5;
/** Aliases from the name to its records; long chains are mistakes. */
export const MAX_LINKS = 10;
/** A look-up may take this many time-outs of one server. */
export const DEADLINE_TIMEOUTS = 3;
/** A cached answer without its records, and one record, roughly in memory. */
const ENTRY_OCTETS = 300, RECORD_OCTETS = 120;
const DEFAULT_CACHE_OCTETS = 64 * 1024 * 1024;

export interface StubResolverOptions extends UpstreamOptions {
  readonly cacheEntries: number;
  readonly cacheOctets?: number;
}

/** What a look-up may still spend. */
interface Budget {
  /** Aliases to follow. */
  readonly links: number;
  /** Clock milliseconds. */
  readonly end: number;
}

type Kept =
  | {
    readonly kind: "answer";
    readonly status: AnswerStatus;
    readonly canonicalName: string;
    readonly records: readonly RecordData[];
  }
  | { readonly kind: "failure"; readonly fault: ResolveFault; readonly detail: string };

export class StubResolver implements Resolver {
  readonly #upstreams: Upstreams;
  readonly #cache: TtlCache<Kept>;
  /** By name and type, so each holds an answer of that type. */
  readonly #flights: Map<string, Promise<unknown>>;
  readonly #now: () => number;
  readonly #deadlineMs: number;

  constructor(options: StubResolverOptions) {
    this.#now = options.timing.now;
    this.#deadlineMs = DEADLINE_TIMEOUTS * options.timeoutMs;
    this.#upstreams = new Upstreams(options);
    this.#cache = new TtlCache({
      maxEntries: options.cacheEntries,
      maxOctets: options.cacheOctets ?? DEFAULT_CACHE_OCTETS,
      now: options.timing.now,
    });
    this.#flights = new Map();
  }

  async resolve<T extends RecordType>(asked: string, type: T): Promise<Answer<T>> {
    try {
      const name = canonicalName(asked);
      if (name === null) throw new ResolveError("bad-name", `not a domain name: ${asked.slice(0, 300)}`);
      const answer = await this.#lookup(name, type, {
        links: MAX_LINKS,
        end: this.#now() + this.#deadlineMs,
      });
      countLookup(type, answer.status);
      return answer;
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      countLookup(type, error.fault);
      throw error;
    }
  }

  /** From the cheapest place that knows. */
  #lookup<T extends RecordType>(name: string, type: T, budget: Budget): Promise<Answer<T>> | Answer<T> {
    const special = specialAnswer(name, type);
    if (special !== null) {
      countSource("special");
      return answerOf(name, type, { kind: "answer", canonicalName: name, ...special }, MAX_TTL_SECONDS);
    }
    const key = `${name} ${type}`;
    const hit = this.#cache.get(key) ?? this.#cache.get(`${name} *`);
    if (hit !== null) {
      countSource("cache");
      return answerOf(name, type, hit.value, hit.ttlSeconds);
    }
    // A flight with fewer links left than ours could fail where we would not: only whole look-ups are shared.
    const whole = budget.links === MAX_LINKS;
    const flight = whole ? this.#flights.get(key) : undefined;
    if (flight !== undefined) {
      countSource("flight");
      return flight as Promise<Answer<T>>; // the key holds the type
    }
    const started = this.#ask(name, type, budget);
    if (whole) {
      this.#flights.set(key, started);
      const landed = () => this.#flights.delete(key);
      started.then(landed, landed);
    }
    return started;
  }

  async #ask<T extends RecordType>(name: string, type: T, budget: Budget): Promise<Answer<T>> {
    countSource("server");
    const begin = this.#now();
    try {
      const answer = await this.#askServers(name, type, budget);
      const { status, canonicalName, ttlSeconds } = answer;
      const kept: Kept = { kind: "answer", status, canonicalName, records: answer.records };
      const cost = { ttlSeconds, octets: ENTRY_OCTETS + sizeOf(answer.records) };
      this.#cache.put(`${name} ${type}`, kept, cost);
      // RFC 2308 5: NXDOMAIN is about the name. The aliases before it exist.
      if (status === "no-such-domain") {
        this.#cache.put(`${canonicalName} *`, { ...kept, canonicalName }, cost);
      }
      log.debug("{name} {type}: {status}, {count} records for {ttl} s, {ms} ms", {
        name,
        type,
        status,
        count: answer.records.length,
        ttl: ttlSeconds,
        ms: Math.round(this.#now() - begin),
      });
      return answer;
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      const { fault, message } = error;
      log.debug("{name} {type}: {fault}: {detail}", { name, type, fault, detail: message });
      // Overload is ours, not the name's; and a chain cut short says nothing about the name in its middle.
      if (fault !== "overload" && budget.links === MAX_LINKS) {
        const cost = { ttlSeconds: FAILURE_TTL_SECONDS, octets: ENTRY_OCTETS + 2 * message.length };
        this.#cache.put(`${name} ${type}`, { kind: "failure", fault, detail: message }, cost);
      }
      throw error;
    }
  }

  async #askServers<T extends RecordType>(name: string, type: T, budget: Budget): Promise<Answer<T>> {
    const message = await this.#upstreams.ask({ name, type: TYPE_CODES[type], end: budget.end });
    const found = extractAnswer(message, { name, type, maxLinks: budget.links });
    switch (found.kind) {
      case "endless":
        throw new ResolveError("cname-chain", `${name}: aliases in a loop or more than ${MAX_LINKS}`);
      case "alias": {
        const links = budget.links - found.links;
        if (links <= 0) {
          throw new ResolveError("cname-chain", `${name}: aliases in a loop or more than ${MAX_LINKS}`);
        }
        const end = await this.#lookup(found.target, type, { links, end: budget.end });
        return { ...end, name, ttlSeconds: bounded(end.status, Math.min(end.ttlSeconds, found.ttlSeconds)) };
      }
      case "final": {
        const { status, canonicalName, records } = found;
        const ttlSeconds = found.ttlSeconds === null ? 0 : bounded(status, found.ttlSeconds);
        return {
          name,
          type,
          status,
          canonicalName,
          records,
          ttlSeconds,
          security: "indeterminate",
          reason: null,
        };
      }
      default:
        return found satisfies never;
    }
  }
}

function bounded(status: AnswerStatus, ttlSeconds: number): number {
  return status === "found"
    ? Math.min(Math.max(ttlSeconds, MIN_TTL_SECONDS), MAX_TTL_SECONDS)
    : Math.min(ttlSeconds, MAX_NEGATIVE_TTL_SECONDS);
}

/** Throws what was kept as a failure. */
function answerOf<T extends RecordType>(name: string, type: T, kept: Kept, ttlSeconds: number): Answer<T> {
  if (kept.kind === "failure") throw new ResolveError(kept.fault, kept.detail);
  const { status, canonicalName } = kept;
  // Kept under a key that holds the type.
  const records = kept.records as readonly DataOf<T>[];
  return { name, type, status, canonicalName, records, ttlSeconds, security: "indeterminate", reason: null };
}

function sizeOf(records: readonly RecordData[]): number {
  let octets = 0;
  for (const record of records) {
    octets += RECORD_OCTETS;
    if (record.type === "TXT") {
      for (const string of record.strings) octets += string.length + RECORD_OCTETS;
    } else if (record.type === "TLSA") octets += record.association.length;
  }
  return octets;
}
