/**
 * What was seen of other domains, added up in memory and written to the store now and then, for the reports to them.
 *
 * One row for each day (UTC), domain and finding. A crash loses at most {@linkcode FLUSH_MS} of them: reports are
 * statistics. Distinct rows in memory are limited; what is beyond is left out.
 */
import { getLogger } from "@logtape/logtape";
import type { ReportKind } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";
import type { Timers } from "../connector.ts";

const log = getLogger(["veredus", "delivery"]);

export const DAY_MS = 86_400_000;
const FLUSH_MS = 30_000;
const MAX_ROWS = 5_000;

export class Observations {
  readonly #kind: ReportKind;
  readonly #store: Store;
  readonly #timers: Timers;
  #rows: Map<string, { day: number; policyDomain: string; row: string; count: number }>;
  #cancel: (() => void) | null;

  constructor(kind: ReportKind, parts: { readonly store: Store; readonly timers: Timers }) {
    this.#kind = kind;
    this.#store = parts.store;
    this.#timers = parts.timers;
    this.#rows = new Map();
    this.#cancel = null;
  }

  /** `finding` is kept as JSON; equal ones of a day are counted. */
  add(policyDomain: string, finding: object): void {
    const now = this.#timers.now();
    const day = now - now % DAY_MS;
    const row = JSON.stringify(finding);
    const key = `${day} ${policyDomain} ${row}`;
    const known = this.#rows.get(key);
    if (known !== undefined) known.count++;
    else if (this.#rows.size < MAX_ROWS) this.#rows.set(key, { day, policyDomain, row, count: 1 });
    this.#cancel ??= this.#timers.after(FLUSH_MS, () => {
      this.flush().catch((error) => log.error("what was seen could not be written: {error}", { error }));
    });
  }

  /** Writes what waits; call it before the store closes. */
  async flush(): Promise<void> {
    this.#cancel?.();
    this.#cancel = null;
    const rows = [...this.#rows.values()];
    this.#rows.clear();
    if (rows.length === 0) return;
    const result = await this.#store.write({ kind: "observe", of: this.#kind, rows });
    if (!result.ok) log.warn("what was seen is not kept: {detail}", { detail: result.detail });
  }
}
