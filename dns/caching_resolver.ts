/**
 * The resolver as everybody sees it: special names, cache, single flight, chains of aliases, validation.
 *
 * Where answers come from is a {@linkcode Source}: recursive servers, or those of the zones themselves. With a
 * {@linkcode Validator} every answer is judged before it is kept; what is bogus is a failure. Answers are kept for their
 * TTL between {@linkcode MIN_TTL_SECONDS} and {@linkcode MAX_TTL_SECONDS}; negative ones for at most
 * {@linkcode MAX_NEGATIVE_TTL_SECONDS} (RFC 2308 5) and NXDOMAIN for all types of the name; failures for
 * {@linkcode FAILURE_TTL_SECONDS}, so that a broken domain does not cost a time-out for each recipient (RFC 9520 3.2).
 * Who asks for what is being asked for already waits for the same answer. When nobody can be asked, an answer whose time
 * is over is given for up to {@linkcode STALE_MS} (RFC 8767), at once when it takes longer than
 * {@linkcode STALE_AFTER_MS}; what is asked for often is asked anew before its time ends. A look-up ends within
 * {@linkcode DEADLINE_TIMEOUTS} time-outs of a server, waiting for its turn and all aliases included.
 */
import { getLogger } from "@logtape/logtape";
import { AnswerCache, type Found, type Kept, type SharedAnswers } from "./answer_cache.ts";
import { askUntilGood } from "./dnssec/until_good.ts";
import type { Judgement, Validator } from "./dnssec/validator.ts";
import { RCODES } from "./message.ts";
import { countLookup, countSecurity, countSource } from "./metrics.ts";
import { canonicalName } from "./name.ts";
import type { Timing } from "./network.ts";
import { ProofCache } from "./proof_cache.ts";
import { type DataOf, type RecordType, TYPE_CODES, typeName } from "./rdata.ts";
import {
  type Answer,
  type AnswerStatus,
  EXTENDED_ERRORS,
  type ExtendedError,
  ResolveError,
  type Resolver,
  type Security,
} from "./resolver.ts";
import { endsAtAlias, readLink } from "./response.ts";
import type { RrSet } from "./rrset.ts";
import type { Reply, Source } from "./source.ts";
import { specialAnswer } from "./special_names.ts";
import { Work, type WorkLimits } from "./work.ts";

const log = getLogger(["veredus", "dns"]);

/** The look-ups of one delivery agree even when a zone says 0. */
export const MIN_TTL_SECONDS = 1;
export const MAX_TTL_SECONDS = 86_400;
const MAX_NEGATIVE_TTL_SECONDS = 3_600;
export const FAILURE_TTL_SECONDS = 5;
/** Aliases from the name to its records; long chains are mistakes. */
export const MAX_LINKS = 10;
/** A look-up may take this many time-outs of one server. */
const DEADLINE_TIMEOUTS = 3;
/** For how long an answer is better than none once its time is over (RFC 8767 5.2). */
export const STALE_MS = 86_400_000;
/** RFC 8767 5: a fresh answer that takes longer is not waited for. */
const STALE_AFTER_MS = 1_800;
const STALE_TTL_SECONDS = 30;
const DEFAULT_CACHE_OCTETS = 64 * 1024 * 1024;
/** So little beside the answers are the proofs that are kept for other names. */
const PROOF_PART = 8;

export interface CachingResolverOptions {
  readonly source: Source;
  /** Null: nothing is validated, every answer is indeterminate. */
  readonly validator?: Validator | null;
  readonly timing: Timing;
  /** For one server's answer. */
  readonly timeoutMs: number;
  readonly cacheEntries: number;
  readonly cacheOctets?: number;
  /** What all threads remember together; left out: each for itself. */
  readonly shared?: SharedAnswers | null;
  readonly workLimits?: WorkLimits;
}

function specialFound(name: string, type: number): Found | null {
  const special = specialAnswer(name, type);
  if (special === null) return null;
  countSource("special");
  return { ...special, canonicalName: name, ttlSeconds: MAX_TTL_SECONDS, security: "insecure", reason: null };
}

function counted(type: number, found: Found): Found {
  countLookup(typeName(type), found.status);
  countSecurity(found.security);
  return found;
}

function countFailure(type: number, { fault }: ResolveError): void {
  countLookup(typeName(type), fault);
  if (fault === "bogus") countSecurity("bogus");
}

function answerOf<T extends RecordType>(name: string, type: T, found: Found): Answer<T> {
  const { status, canonicalName: end, ttlSeconds, security, reason } = found;
  const records = found.records as readonly DataOf<T>[]; // what was asked for
  return { name, type, status, canonicalName: end, records, ttlSeconds, security, reason };
}

/** What a look-up may still spend. */
interface Budget {
  /** Aliases to follow. */
  readonly links: number;
  /** Clock milliseconds. */
  readonly end: number;
  readonly work: Work;
}

/** What one reply gave: an end, or the alias that leads on. */
interface Part {
  readonly bogus: ExtendedError | null;
  readonly end: Found | null;
  readonly next: { readonly target: string; readonly links: number } | null;
  readonly ttlSeconds: number;
  readonly security: Security;
  readonly reason: ExtendedError | null;
}

export class CachingResolver implements Resolver {
  readonly #source: Source;
  readonly #validator: Validator | null;
  readonly #cache: AnswerCache;
  /** Null where nothing is validated. */
  readonly #proofs: ProofCache | null;
  /** By name and type. */
  readonly #flights: Map<string, Promise<Found>>;
  readonly #timing: Timing;
  readonly #deadlineMs: number;
  readonly #workLimits: WorkLimits | undefined;

  constructor(options: CachingResolverOptions) {
    this.#source = options.source;
    this.#validator = options.validator ?? null;
    this.#timing = options.timing;
    this.#deadlineMs = DEADLINE_TIMEOUTS * options.timeoutMs;
    this.#workLimits = options.workLimits;
    const { cacheOctets = DEFAULT_CACHE_OCTETS } = options;
    this.#cache = new AnswerCache({
      own: {
        maxEntries: options.cacheEntries,
        maxOctets: cacheOctets,
        now: options.timing.now,
        staleMs: STALE_MS,
      },
      shared: options.shared ?? null,
    });
    this.#proofs = this.#validator && new ProofCache({
      now: options.timing.now,
      maxOctets: cacheOctets / PROOF_PART,
      crypto: this.#validator.crypto,
    });
    this.#flights = new Map();
  }

  /** Octets that the thread's own cache holds, as it counts them. */
  get cacheOctets(): number {
    return this.#cache.octets;
  }

  async resolve<T extends RecordType>(asked: string, type: T): Promise<Answer<T>> {
    const found = await this.query(asked, TYPE_CODES[type]);
    return answerOf(canonicalName(asked)!, type, found); // a name, or the query had failed
  }

  known<T extends RecordType>(asked: string, type: T): Answer<T> | ResolveError | null {
    const name = canonicalName(asked);
    if (name === null) return null;
    const code = TYPE_CODES[type];
    try {
      const found = this.#known(name, code);
      return found === null ? null : answerOf(name, type, counted(code, found));
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      countFailure(code, error);
      return error;
    }
  }

  /** Any type, by its code. With `trace` every step is told and nothing is taken from the cache. */
  async query(asked: string, type: number, trace: ((text: string) => void) | null = null): Promise<Found> {
    try {
      const name = canonicalName(asked);
      if (name === null) throw new ResolveError("bad-name", `not a domain name: ${asked.slice(0, 300)}`);
      const known = trace === null ? this.#known(name, type) : specialFound(name, type);
      return counted(type, known ?? await this.#seek(name, type, this.#budget(trace)));
    } catch (error) {
      if (error instanceof ResolveError) countFailure(type, error);
      throw error;
    }
  }

  #budget(trace: ((text: string) => void) | null): Budget {
    const end = this.#timing.now() + this.#deadlineMs;
    const limits = this.#workLimits;
    return { links: MAX_LINKS, end, work: new Work({ end, trace, ...(limits !== undefined && { limits }) }) };
  }

  /** What nobody has to be asked for; null where somebody has. Throws a failure that is remembered. */
  #known(name: string, type: number): Found | null {
    const special = specialFound(name, type);
    if (special !== null) return special;
    const hit = this.#cache.get(`${name} ${type}`) ?? this.#cache.get(`${name} *`);
    if (hit === null) return null;
    countSource(hit.from);
    if (hit.fading) this.#prefetch(name, type);
    return keptAnswer(hit.value, hit.ttlSeconds);
  }

  /** From the cheapest place that knows. */
  #lookup(name: string, type: number, budget: Budget): Promise<Found> | Found {
    const known = budget.work.traced ? specialFound(name, type) : this.#known(name, type);
    return known ?? this.#seek(name, type, budget);
  }

  /** Of servers, with others who ask the same. */
  #seek(name: string, type: number, budget: Budget): Promise<Found> {
    const key = `${name} ${type}`;
    // A flight with fewer links left than ours could fail where we would not: only whole look-ups are shared.
    const whole = budget.links === MAX_LINKS && !budget.work.traced;
    const flight = whole ? this.#flights.get(key) : undefined;
    if (flight !== undefined) {
      countSource("flight");
      return flight;
    }
    const started = this.#ask(name, type, budget);
    if (!whole) return started;
    this.#fly(key, started);
    const stale = this.#cache.stale(key) ?? this.#cache.stale(`${name} *`);
    return stale?.kind === "answer" ? this.#soonOrStale(started, stale.found) : started;
  }

  #fly(key: string, started: Promise<Found>): void {
    this.#flights.set(key, started);
    const landed = () => this.#flights.delete(key);
    started.then(landed, landed);
  }

  #prefetch(name: string, type: number): void {
    const key = `${name} ${type}`;
    if (this.#flights.has(key)) return;
    countSource("prefetch");
    this.#fly(key, this.#ask(name, type, this.#budget(null)));
  }

  /** RFC 8767 5: the stale answer when the fresh one is late, or cannot be had for reasons outside of the zone. */
  #soonOrStale(started: Promise<Found>, stale: Found): Promise<Found> {
    const { promise, resolve, reject } = Promise.withResolvers<Found>();
    const old = () => {
      countSource("stale");
      const code = stale.status === "no-such-domain"
        ? EXTENDED_ERRORS.STALE_NXDOMAIN
        : EXTENDED_ERRORS.STALE_ANSWER;
      resolve({
        ...stale,
        ttlSeconds: STALE_TTL_SECONDS,
        reason: { code, text: "stale: the servers do not answer" },
      });
    };
    const disarm = this.#timing.after(STALE_AFTER_MS, old);
    started.then(resolve, (error) => {
      const outside = error instanceof ResolveError &&
        (error.fault === "timeout" || error.fault === "server-failure");
      if (outside) old();
      else reject(error);
    }).finally(disarm);
    return promise;
  }

  async #ask(name: string, type: number, budget: Budget): Promise<Found> {
    countSource("server");
    const begin = this.#timing.now();
    const key = `${name} ${type}`;
    try {
      const found = await this.#askServers(name, type, budget);
      const { status, canonicalName, ttlSeconds, security } = found;
      const kept: Kept = { kind: "answer", found };
      this.#cache.put(key, kept, ttlSeconds);
      // RFC 2308 5: NXDOMAIN is about the name. The aliases before it exist.
      if (status === "no-such-domain") this.#cache.put(`${canonicalName} *`, kept, ttlSeconds);
      log.debug("{name} {type}: {status}, {security}, {count} records for {ttl} s, {ms} ms", {
        name,
        type: typeName(type),
        status,
        security,
        count: found.records.length,
        ttl: ttlSeconds,
        ms: Math.round(this.#timing.now() - begin),
      });
      return found;
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      const { fault, message, reason } = error;
      log.debug("{name} {type}: {fault}: {detail}", { name, type: typeName(type), fault, detail: message });
      const old = this.#cache.stale(key)?.kind === "answer";
      // Overload is ours, not the name's; a chain cut short says nothing about the name in its middle; and a stale
      // answer is worth more than the memory of a failure.
      if (fault !== "overload" && budget.links === MAX_LINKS && !(old && fault !== "bogus")) {
        this.#cache.put(key, { kind: "failure", fault, detail: message, reason }, FAILURE_TTL_SECONDS);
      }
      throw error;
    }
  }

  async #askServers(name: string, type: number, budget: Budget): Promise<Found> {
    const { work } = budget;
    const deduced = work.traced ? null : this.#proofs?.answer(name, type, work) ?? null;
    if (deduced !== null) {
      countSource("nsec");
      const { status, records, zone } = deduced;
      const ttlSeconds = bounded(status, deduced.ttlSeconds);
      const reason = { code: EXTENDED_ERRORS.SYNTHESIZED, text: `follows from what ${zone} said before` };
      return { status, canonicalName: name, records, ttlSeconds, security: "secure", reason };
    }
    const part = this.#validator === null
      ? await this.#read(await this.#source.ask({ name, type }, work), { name, type, budget })
      : await askUntilGood(
        this.#source,
        { name, type, work },
        (reply) => this.#read(reply, { name, type, budget }),
      );
    if (part.bogus !== null) {
      throw new ResolveError("bogus", `${name}: bogus: ${part.bogus.text}`, part.bogus);
    }
    if (part.end !== null) return part.end;
    const { target, links: taken } = part.next!;
    const links = budget.links - taken;
    if (links <= 0) throw tooManyLinks(name);
    work.trace(() => `${name} is an alias of ${target}`);
    const end = await this.#lookup(target, type, { ...budget, links });
    const { status } = end;
    return {
      ...end,
      ...weaker(part, end),
      ttlSeconds: bounded(status, Math.min(end.ttlSeconds, part.ttlSeconds)),
    };
  }

  /** As far as a reply leads. */
  async #read(reply: Reply, about: { name: string; type: number; budget: Budget }): Promise<Part> {
    const { type, budget } = about;
    let name = about.name, links = 0, ttlSeconds = Infinity;
    let state: { security: Security; reason: ExtendedError | null } = { security: "secure", reason: null };
    const judged = (judgement: Judgement) => {
      if (judgement.security === "secure") ttlSeconds = Math.min(ttlSeconds, judgement.ttlSeconds);
      else state = weaker(state, judgement);
    };
    const part = (rest: Partial<Part>): Part => ({
      bogus: null,
      end: null,
      next: null,
      ttlSeconds,
      ...state,
      ...rest,
    });
    const bogus = () => state.security === "bogus" ? part({ bogus: state.reason }) : null;
    for (;;) {
      const link = readLink(reply, { name, type });
      if (links > 0 && (!this.#source.followsAliases || endsAtAlias(reply, link))) {
        return part({ next: { target: name, links } });
      }
      if (link.kind === "nothing") {
        const judgement = this.#validator === null
          ? UNJUDGED
          : await this.#validator.judgeDenial(reply, { name, type }, budget.work);
        judged(judgement);
        const broken = bogus();
        if (broken !== null) return broken;
        const status = reply.rcode === RCODES.NXDOMAIN ? "no-such-domain" : "no-data";
        const ttl = link.ttlSeconds === null ? 0 : bounded(status, Math.min(ttlSeconds, link.ttlSeconds));
        if (judgement.security === "secure" && judgement.proofs !== undefined) {
          this.#proofs?.put(judgement.proofs, ttl);
        }
        return part({ end: { status, canonicalName: name, records: [], ttlSeconds: ttl, ...state } });
      }
      ttlSeconds = Math.min(ttlSeconds, link.set.ttlSeconds);
      const judgement = this.#validator === null
        ? UNJUDGED
        : await this.#validator.judgeSet(link.set, reply, budget.work);
      judged(judgement);
      const broken = bogus();
      if (broken !== null) return broken;
      if (judgement.security === "secure") this.#keepWildcard(link.set, judgement);
      if (link.kind === "too-long") {
        throw new ResolveError("server-failure", `${name}: DNAME leads to a name that is too long`);
      }
      if (link.kind === "records") {
        const ttl = bounded("found", ttlSeconds);
        return part({
          end: { status: "found", canonicalName: name, records: link.set.records, ttlSeconds: ttl, ...state },
        });
      }
      if (++links > budget.links) throw tooManyLinks(about.name);
      name = link.target;
    }
  }

  /** Records that were made from a wildcard, with the proof that they may be. */
  #keepWildcard(
    { type, records, ttlSeconds }: RrSet,
    { proofs, wildcard, ttlSeconds: validSeconds }: SecureJudgement,
  ): void {
    const ttl = Math.min(ttlSeconds, validSeconds, MAX_NEGATIVE_TTL_SECONDS);
    if (proofs !== undefined && wildcard !== undefined) {
      this.#proofs?.put(proofs, ttl, { owner: wildcard, type, records });
    }
  }
}

type SecureJudgement = Extract<Judgement, { readonly security: "secure" }>;

const UNJUDGED: Judgement = {
  security: "indeterminate",
  reason: { code: EXTENDED_ERRORS.INDETERMINATE, text: "not validated" },
};

/** RFC 4035 5: a chain is as strong as its weakest link. */
const STRENGTH: Readonly<Record<Security, number>> = { bogus: 0, indeterminate: 1, insecure: 2, secure: 3 };

function weaker<S extends { security: Security; reason: ExtendedError | null }>(
  a: { security: Security; reason: ExtendedError | null },
  b: S | { security: Security; reason?: ExtendedError },
): { security: Security; reason: ExtendedError | null } {
  const { security, reason } = STRENGTH[a.security] <= STRENGTH[b.security] ? a : { reason: null, ...b };
  return { security, reason: reason ?? null };
}

function tooManyLinks(name: string): ResolveError {
  return new ResolveError("cname-chain", `${name}: aliases in a loop or more than ${MAX_LINKS}`);
}

function bounded(status: AnswerStatus, ttlSeconds: number): number {
  return status === "found"
    ? Math.min(Math.max(ttlSeconds, MIN_TTL_SECONDS), MAX_TTL_SECONDS)
    : Math.min(ttlSeconds, MAX_NEGATIVE_TTL_SECONDS);
}

/** Throws what was kept as a failure. */
function keptAnswer(kept: Kept, ttlSeconds: number): Found {
  if (kept.kind === "failure") throw new ResolveError(kept.fault, kept.detail, kept.reason);
  return { ...kept.found, ttlSeconds };
}
