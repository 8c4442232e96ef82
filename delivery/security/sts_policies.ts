/**
 * The MTA-STS policies of other domains, fetched when first needed and kept for as long as they say (RFC 8461 3 and 5).
 *
 * A policy survives a restart, and the loss of its record or of its host: only its age ends it (3.1, 5.1), so that whoever
 * controls DNS for a moment cannot undo it. A fetch that failed is not repeated for {@linkcode RETRY_MS}. Policies older
 * than a day are fetched anew behind the scenes, whether mail goes there or not (10.2).
 */
import { getLogger } from "@logtape/logtape";
import { ResolveError, type Resolver } from "../../dns/resolver.ts";
import { txtTexts } from "../../dns/txt.ts";
import type { PolicyRow } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";
import { counter } from "../../telemetry/metrics.ts";
import type { TlsProblem, TlsResult } from "./certificate_check.ts";
import { parseStsPolicy, stsId, type StsPolicy } from "./mta_sts.ts";

const log = getLogger(["veredus", "queue"]);
const fetches = counter("veredus_mta_sts_fetches_total", "MTA-STS policies of other domains fetched", [
  "result",
]);

/** Milliseconds between two tries of one domain (RFC 8461 3.3). */
export const RETRY_MS = 5 * 60_000;
const REFRESH_MS = 24 * 3_600_000;
/** Domains whose last fetch failed, and policies at hand. */
const MAX_REMEMBERED = 10_000;
const REFRESHED_AT_ONCE = 200;

/** Fetches https://mta-sts.DOMAIN/.well-known/mta-sts.txt; rejects with {@linkcode StsFetchError} only. */
export type FetchPolicy = (domain: string) => Promise<string>;

export class StsFetchError extends Error {
  override readonly name = "StsFetchError";
  readonly result: Extract<TlsResult, "sts-policy-fetch-error" | "sts-webpki-invalid">;

  constructor(result: StsFetchError["result"], detail: string) {
    super(detail);
    this.result = result;
  }
}

/** A policy as it is kept. */
export interface KnownPolicy extends StsPolicy {
  readonly id: string;
  readonly fetchedAt: number;
}

export interface StsAnswer {
  /** Null: the domain has none. */
  readonly policy: KnownPolicy | null;
  /** What went wrong on the way to a policy that the domain says it has. */
  readonly problem: TlsProblem | null;
}

export class StsPolicies {
  readonly #store: Store;
  readonly #resolver: Resolver;
  readonly #fetch: FetchPolicy;
  readonly #clock: () => number;
  #failed: Map<string, { readonly until: number; readonly problem: TlsProblem }>;
  #running: Map<string, Promise<StsAnswer>>;

  constructor(parts: { store: Store; resolver: Resolver; fetch: FetchPolicy; clock: () => number }) {
    this.#store = parts.store;
    this.#resolver = parts.resolver;
    this.#fetch = parts.fetch;
    this.#clock = parts.clock;
    this.#failed = new Map();
    this.#running = new Map();
  }

  /** The policy that counts for mail to a domain now. Never rejects for a reason outside of us. */
  async of(domain: string): Promise<StsAnswer> {
    const known = this.#known(domain);
    const id = await this.#publishedId(domain);
    if (id === null || id === known?.id) return { policy: known, problem: null };
    const failed = this.#failed.get(domain);
    if (failed !== undefined && failed.until > this.#clock()) {
      return { policy: known, problem: failed.problem };
    }
    return await this.#renew(domain, { id, known });
  }

  /** Fetches what is older than a day; call it now and then. */
  async refresh(): Promise<void> {
    let left = REFRESHED_AT_ONCE;
    for (let after = ""; left > 0;) {
      const rows = this.#store.policy.list("sts", { after, limit: REFRESHED_AT_ONCE, now: this.#clock() });
      for (const row of rows) {
        const known = knownOf(row);
        if (known === null || known.fetchedAt + REFRESH_MS > this.#clock() || left-- <= 0) continue;
        const id = await this.#publishedId(row.key) ?? known.id;
        await this.#renew(row.key, { id, known });
      }
      if (rows.length < REFRESHED_AT_ONCE) return;
      after = rows.at(-1)!.key;
    }
  }

  #known(domain: string): KnownPolicy | null {
    const row = this.#store.policy.get("sts", domain, this.#clock());
    return row === null ? null : knownOf(row);
  }

  /** Null where there is no record, or none can be had. */
  async #publishedId(domain: string): Promise<string | null> {
    try {
      return stsId(txtTexts(await this.#resolver.resolve(`_mta-sts.${domain}`, "TXT")));
    } catch (error) {
      if (error instanceof ResolveError) return null;
      throw error;
    }
  }

  /** One fetch for all who wait for the same domain. */
  #renew(
    domain: string,
    facts: { readonly id: string; readonly known: KnownPolicy | null },
  ): Promise<StsAnswer> {
    let running = this.#running.get(domain);
    if (running === undefined) {
      running = this.#fetchNow(domain, facts).finally(() => this.#running.delete(domain));
      this.#running.set(domain, running);
    }
    return running;
  }

  async #fetchNow(
    domain: string,
    { id, known }: { readonly id: string; readonly known: KnownPolicy | null },
  ): Promise<StsAnswer> {
    let problem: TlsProblem;
    try {
      const parsed = parseStsPolicy(await this.#fetch(domain));
      if (typeof parsed !== "string") {
        fetches.inc({ result: "ok" });
        this.#failed.delete(domain);
        const policy = { ...parsed, id, fetchedAt: this.#clock() };
        await this.#keep(domain, policy);
        return { policy, problem: null };
      }
      problem = { result: "sts-policy-invalid", text: parsed };
    } catch (error) {
      if (!(error instanceof StsFetchError)) throw error;
      problem = { result: error.result, text: error.message };
    }
    fetches.inc({ result: problem.result });
    log.warn("the MTA-STS policy of {domain} cannot be had: {text}", { domain, ...problem });
    if (this.#failed.size >= MAX_REMEMBERED) this.#failed.clear();
    this.#failed.set(domain, { until: this.#clock() + RETRY_MS, problem });
    return { policy: known, problem };
  }

  async #keep(domain: string, policy: KnownPolicy): Promise<void> {
    const { id, mode, mx, maxAgeMs, fetchedAt } = policy;
    const row: PolicyRow = {
      kind: "sts",
      key: domain,
      firstAt: fetchedAt,
      lastAt: fetchedAt,
      count: 1,
      expiresAt: fetchedAt + maxAgeMs,
      note: JSON.stringify({ id, mode, mx }),
    };
    const result = await this.#store.write({ kind: "put-state", rows: [row], add: false });
    if (!result.ok) {
      log.warn("the MTA-STS policy of {domain} is not kept: {detail}", { domain, detail: result.detail });
    }
  }
}

/** Null for what an older program wrote in another way. */
function knownOf({ note, firstAt, expiresAt }: PolicyRow): KnownPolicy | null {
  const { id, mode, mx } = JSON.parse(note) as Partial<KnownPolicy>;
  if (id === undefined || mode === undefined || mx === undefined) return null;
  return { id, mode, mx, maxAgeMs: expiresAt - firstAt, fetchedAt: firstAt };
}
