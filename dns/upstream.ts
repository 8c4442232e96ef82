/**
 * The recursive servers: which one is asked first, when the next one is, and what counts as an answer.
 *
 * The fastest first, by a smoothed round-trip time; one that stayed silent rests for a while and is asked last. A
 * server that is slow is not given up: the next one is asked beside it, and the first good answer wins. SERVFAIL,
 * REFUSED and other errors lead to the next server at once. Limits: questions under way and waiting, attempts of a
 * question.
 */
import { exchange, type ExchangeParts, newTraits, type ServerTraits } from "./exchange.ts";
import { type Message, RCODES } from "./message.ts";
import { countUpstream } from "./metrics.ts";
import type { ServerAddress } from "./network.ts";
import { ResolveError, type ResolveFault } from "./resolver.ts";

export interface UpstreamOptions extends RaceOptions {
  readonly servers: readonly ServerAddress[];
  /** Questions under way at once; each holds a socket or a few. */
  readonly maxActive?: number;
  /** Questions that wait for their turn; more are refused. */
  readonly maxWaiting?: number;
}

const MAX_ACTIVE = 256, MAX_WAITING = 4_096;
/** Each server is asked so often for one question, if it is silent. */
const ROUNDS = 2;
const MAX_ATTEMPTS = 8;
/** How long a server has before the next one is asked too, in round-trip times and milliseconds. */
const PATIENCE_TIMES = 4, MIN_PATIENCE_MS = 250, FIRST_PATIENCE_MS = 1_000;
/** A silent server rests this long, doubling. */
const FIRST_REST_MS = 15_000, MAX_REST_MS = 300_000;

export interface Server extends ServerAddress {
  readonly traits: ServerTraits;
  /** Smoothed, milliseconds; null: not known yet. */
  rttMs: number | null;
  restMs: number;
  restsUntil: number;
}

export interface UpstreamQuestion {
  /** Canonical. */
  readonly name: string;
  /** TYPE code. */
  readonly type: number;
  /** Clock milliseconds at which it is given up. */
  readonly end: number;
  readonly dnssec?: boolean;
  /** Addresses of servers that are not asked. */
  readonly avoid?: ReadonlySet<string>;
  /** Takes a query from the purse of the question; false ends it. */
  readonly spend?: () => ResolveError | null;
}

/** Says which server it was, for logs and DSNs. */
export interface Failure {
  readonly fault: ResolveFault;
  readonly detail: string;
}

export class Upstreams {
  readonly #options: UpstreamOptions;
  readonly #servers: Server[];
  readonly #maxActive: number;
  readonly #maxWaiting: number;
  #active: number;
  #waiting: Set<() => void>;

  constructor(options: UpstreamOptions) {
    this.#options = options;
    this.#servers = options.servers.map(newServer);
    this.#maxActive = options.maxActive ?? MAX_ACTIVE;
    this.#maxWaiting = options.maxWaiting ?? MAX_WAITING;
    this.#active = 0;
    this.#waiting = new Set();
  }

  /** A message with NOERROR or NXDOMAIN that answers the question; rejects with ResolveError. */
  async ask(question: UpstreamQuestion): Promise<Answered> {
    const { name, type, end, dnssec, avoid, spend } = question;
    await this.#turn(name, end);
    try {
      const now = this.#options.timing.now();
      const servers = inOrder(this.#servers, now).filter(({ address }) => avoid?.has(address) !== true);
      return await race(this.#options, servers, {
        name,
        type,
        leftMs: end - now,
        judge: recursiveFault,
        ...(dnssec !== undefined && { dnssec }),
        ...(spend !== undefined && { spend }),
      });
    } finally {
      this.#active--;
      for (const next of this.#waiting) {
        this.#waiting.delete(next);
        next();
        break;
      }
    }
  }

  /** Waits until a place is free and takes it. */
  #turn(name: string, end: number): Promise<void> | void {
    if (this.#active < this.#maxActive && this.#waiting.size === 0) {
      this.#active++;
      return;
    }
    if (this.#waiting.size >= this.#maxWaiting) {
      throw new ResolveError("overload", `${name}: too many DNS questions wait already`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const { timing } = this.#options;
    const go = () => {
      disarm();
      this.#active++;
      resolve();
    };
    const disarm = timing.after(end - timing.now(), () => {
      this.#waiting.delete(go);
      reject(new ResolveError("timeout", `${name}: no turn to ask DNS in time`));
    });
    this.#waiting.add(go);
    return promise;
  }
}

export function newServer({ address, port }: ServerAddress): Server {
  return { address, port, traits: newTraits(), rttMs: null, restMs: FIRST_REST_MS, restsUntil: -Infinity };
}

/** Not known yet, then fast to slow, then those that rest. */
export function inOrder(servers: readonly Server[], now: number): Server[] {
  const rank = (server: Server) => server.restsUntil > now ? Infinity : server.rttMs ?? -1;
  return servers.toSorted((a, b) => {
    const [first, second] = [rank(a), rank(b)];
    return first === second ? 0 : first - second;
  });
}

export interface RaceSpec {
  readonly name: string;
  readonly type: number;
  readonly leftMs: number;
  readonly recursion?: boolean;
  readonly dnssec?: boolean;
  readonly cookies?: boolean;
  /** Why a message is no answer; null when it is one. */
  readonly judge: (message: Message, server: Server) => Failure | null;
  readonly spend?: () => ResolveError | null;
}

export interface RaceOptions extends ExchangeParts {
  /** For one server's answer. */
  readonly timeoutMs: number;
}

export interface Answered {
  readonly message: Message;
  readonly server: Server;
}

/** Asks the servers in this order until one answers; rejects with ResolveError. */
export function race(options: RaceOptions, servers: readonly Server[], spec: RaceSpec): Promise<Answered> {
  return new Attempts(options, servers, spec).run();
}

/** All attempts for one question. */
class Attempts {
  readonly #options: RaceOptions;
  readonly #spec: RaceSpec;
  readonly #plan: Server[];
  readonly #done: PromiseWithResolvers<Answered>;
  readonly #abort: AbortController;
  /** Servers that answered with an error: asking again would not help. */
  readonly #refused: Set<Server>;
  readonly #disarmDeadline: () => void;
  #disarmNext: () => void;
  #running: number;
  #failure: Failure;

  constructor(
    options: RaceOptions,
    servers: readonly Server[],
    spec: RaceSpec,
  ) {
    this.#options = options;
    this.#spec = spec;
    this.#plan = Array.from({ length: ROUNDS }, () => servers).flat().slice(0, MAX_ATTEMPTS);
    this.#done = Promise.withResolvers();
    this.#abort = new AbortController();
    this.#refused = new Set();
    this.#disarmNext = () => {};
    this.#running = 0;
    this.#failure = { fault: "server-failure", detail: "no DNS server is known" };
    this.#disarmDeadline = options.timing.after(
      spec.leftMs,
      () => this.#fail({ fault: "timeout", detail: "no DNS server answered in time" }),
    );
  }

  async run(): Promise<Answered> {
    this.#launch();
    try {
      return await this.#done.promise;
    } finally {
      this.#disarmNext();
      this.#disarmDeadline();
      this.#abort.abort();
    }
  }

  /** Asks the next server of the plan; fails when there is none and nobody can answer any more. */
  #launch(): void {
    this.#disarmNext();
    let server = this.#plan.shift();
    while (server !== undefined && this.#refused.has(server)) server = this.#plan.shift();
    if (server === undefined) {
      if (this.#running === 0) this.#fail(this.#failure);
      return;
    }
    const exhausted = this.#spec.spend?.() ?? null;
    if (exhausted !== null) return this.#done.reject(exhausted);
    void this.#attempt(server).catch((error) => this.#done.reject(error));
    if (this.#plan.length === 0) return;
    const asked = server;
    this.#disarmNext = this.#options.timing.after(this.#patienceMs(asked), () => {
      this.#rest(asked);
      this.#launch();
    });
  }

  async #attempt(server: Server): Promise<void> {
    const { timing, timeoutMs } = this.#options;
    const begin = timing.now();
    this.#running++;
    const outcome = await exchange(this.#options, {
      server,
      traits: server.traits,
      name: this.#spec.name,
      type: this.#spec.type,
      recursion: this.#spec.recursion ?? true,
      dnssec: this.#spec.dnssec ?? false,
      cookies: this.#spec.cookies ?? false,
      timeoutMs: Math.min(timeoutMs, this.#spec.leftMs),
      signal: this.#abort.signal,
    });
    this.#running--;
    if (this.#abort.signal.aborted) return;
    const failure = outcome.kind === "failed" ? outcome : this.#spec.judge(outcome.message, server);
    countUpstream(failure?.fault ?? "answer", (timing.now() - begin) / 1000);
    if (failure?.fault === "timeout") this.#rest(server);
    else if (outcome.kind === "answer") measured(server, timing.now() - begin);
    if (failure === null && outcome.kind === "answer") {
      return this.#done.resolve({ message: outcome.message, server });
    }
    this.#failure = {
      fault: failure!.fault,
      detail: `${server.address}: ${failure!.detail}`,
    };
    if (failure!.fault !== "timeout") this.#refused.add(server);
    this.#launch();
  }

  #patienceMs(server: Server): number {
    const wanted = server.rttMs === null
      ? FIRST_PATIENCE_MS
      : Math.max(MIN_PATIENCE_MS, PATIENCE_TIMES * server.rttMs);
    return Math.min(wanted, this.#options.timeoutMs);
  }

  #rest(server: Server): void {
    const now = this.#options.timing.now();
    if (server.restsUntil > now) return;
    server.restsUntil = now + server.restMs;
    server.restMs = Math.min(2 * server.restMs, MAX_REST_MS);
    server.rttMs = null;
  }

  #fail(failure: Failure): void {
    this.#done.reject(new ResolveError(failure.fault, `${this.#spec.name}: ${failure.detail}`));
  }
}

function measured(server: Server, rttMs: number): void {
  server.rttMs = server.rttMs === null ? rttMs : 0.7 * server.rttMs + 0.3 * rttMs;
  server.restsUntil = -Infinity;
  server.restMs = FIRST_REST_MS;
}

/** Null for an answer of a recursive server. */
function recursiveFault(message: Message): Failure | null {
  switch (message.rcode) {
    case RCODES.NXDOMAIN:
      return null;
    case RCODES.NOERROR:
      // Neither recursion nor authority nor an answer: a referral, or a server that is not meant for us.
      if (message.recursionAvailable || message.authoritative || message.answers.length > 0) return null;
      return { fault: "server-failure", detail: "the server does no recursion" };
    default:
      return { fault: "server-failure", detail: `answered ${rcodeName(message.rcode)}` };
  }
}

export function rcodeName(rcode: number): string {
  return Object.entries(RCODES).find(([, value]) => value === rcode)?.[0] ?? `RCODE ${rcode}`;
}
