/**
 * What was seen of TLS towards other domains, added up in memory and written to the store now and then.
 *
 * One row for each day (UTC), domain, policy and result (RFC 8460 4.4). A crash loses at most {@linkcode FLUSH_MS} of
 * them: reports are statistics. Distinct rows in memory are limited; what is beyond is left out.
 */
import { getLogger } from "@logtape/logtape";
import type { Store } from "../../storage/store.ts";
import type { Timers } from "../connector.ts";
import type { TlsResult } from "./certificate_check.ts";

const log = getLogger(["veredus", "queue"]);

export const DAY_MS = 86_400_000;
const FLUSH_MS = 30_000;
const MAX_ROWS = 5_000;
/** Characters of a reason that are kept. */
const MAX_REASON = 200;

/** The policy a session was held against, as reports show it. */
export interface AppliedPolicy {
  readonly type: "tlsa" | "sts" | "no-policy-found";
  readonly lines: readonly string[];
  readonly mx: readonly string[];
}

export const NO_POLICY: AppliedPolicy = { type: "no-policy-found", lines: [], mx: [] };

/** One session, or one look-up that failed. */
export interface TlsObservation {
  readonly policy: AppliedPolicy;
  /** Null: all was as it had to be. */
  readonly result: TlsResult | null;
  readonly reason: string;
  readonly host: string;
  readonly address: string;
}

export class TlsObservations {
  readonly #store: Store;
  readonly #timers: Timers;
  #rows: Map<string, { day: number; policyDomain: string; row: string; count: number }>;
  #cancel: (() => void) | null;

  constructor(store: Store, timers: Timers) {
    this.#store = store;
    this.#timers = timers;
    this.#rows = new Map();
    this.#cancel = null;
  }

  add(policyDomain: string, observation: TlsObservation): void {
    const now = this.#timers.now();
    const day = now - now % DAY_MS;
    const row = JSON.stringify({ ...observation, reason: observation.reason.slice(0, MAX_REASON) });
    const key = `${day} ${policyDomain} ${row}`;
    const known = this.#rows.get(key);
    if (known !== undefined) known.count++;
    else if (this.#rows.size < MAX_ROWS) this.#rows.set(key, { day, policyDomain, row, count: 1 });
    this.#cancel ??= this.#timers.after(FLUSH_MS, () => {
      this.flush().catch((error) =>
        log.error("what was seen of TLS could not be written: {error}", { error })
      );
    });
  }

  /** Writes what waits; call it before the store closes. */
  async flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    const rows = [...this.#rows.values()];
    this.#rows.clear();
    if (rows.length === 0) return;
    const result = await this.#store.write({ kind: "observe", of: "tls", rows });
    if (!result.ok) log.warn("what was seen of TLS is not kept: {detail}", { detail: result.detail });
  }
}
