/** Imports under way, one an account; the last of each is remembered until the process ends. */
import { getLogger } from "@logtape/logtape";
import type { Account } from "../storage/directory_view.ts";
import type { Store } from "../storage/store.ts";
import { counter } from "../telemetry/metrics.ts";
import { importMail, type ImportOptions, type ImportProgress, newProgress } from "../transfer/importer.ts";
import { openSource, type SourceRequest } from "../transfer/request.ts";

const log = getLogger(["veredus", "admin"]);
const imported = counter("veredus_imported_messages_total", "Messages brought by imports");
/** Imports remembered after their end. */
const MAX_REMEMBERED = 1_000;

export type ImportWishes = Pick<ImportOptions, "into" | "keepUids" | "keepUidls" | "parallel">;

export interface ImportState extends ImportProgress {
  readonly state: "running" | "done" | "failed";
  /** Why it failed. */
  readonly reason: string;
}

interface Job {
  readonly progress: ImportProgress;
  readonly stop: AbortController;
  state: ImportState["state"];
  reason: string;
  ended: Promise<void>;
}

export class Imports {
  #store: Store;
  #jobs: Map<number, Job>;

  constructor(store: Store) {
    this.#store = store;
    this.#jobs = new Map();
  }

  /** Null when the account never had one. */
  state(accountId: number): ImportState | null {
    const job = this.#jobs.get(accountId);
    return job === undefined ? null : { ...job.progress, state: job.state, reason: job.reason };
  }

  /** False while one runs. */
  start(account: Account, request: SourceRequest, wishes: ImportWishes): boolean {
    if (this.#jobs.get(account.id)?.state === "running") return false;
    const job: Job = {
      progress: newProgress(),
      stop: new AbortController(),
      state: "running",
      reason: "",
      ended: Promise.resolve(),
    };
    this.#jobs.delete(account.id);
    for (const [id, { state }] of this.#jobs) {
      if (this.#jobs.size < MAX_REMEMBERED) break;
      if (state !== "running") this.#jobs.delete(id);
    }
    this.#jobs.set(account.id, job);
    job.ended = this.#run(job, { account, request, wishes });
    return true;
  }

  /** Ends it behind the batch it is at; false when none runs. */
  async stop(accountId: number): Promise<boolean> {
    const job = this.#jobs.get(accountId);
    if (job?.state !== "running") return false;
    job.stop.abort(new Error("it was stopped"));
    await job.ended;
    return true;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#jobs.keys()].map((accountId) => this.stop(accountId)));
  }

  async #run(
    job: Job,
    asked: { readonly account: Account; readonly request: SourceRequest; readonly wishes: ImportWishes },
  ): Promise<void> {
    const { account, request, wishes } = asked;
    const about = { account: account.address, kind: request.kind };
    log.info("import from {kind} into {account} begins", about);
    try {
      const source = await openSource(request);
      try {
        await importMail(source, job.progress, {
          store: this.#store,
          account,
          ...wishes,
          signal: job.stop.signal,
        });
      } finally {
        await source.close();
      }
      job.state = "done";
    } catch (error) {
      job.state = "failed";
      job.reason = error instanceof Error ? error.message : String(error);
    }
    imported.inc(job.progress.imported);
    const { imported: messages, skipped, failed } = job.progress;
    log.info(
      "import into {account} is {state}: {messages} brought, {skipped} known, {failed} failed {reason}",
      {
        ...about,
        ...{ state: job.state, messages, skipped, failed, reason: job.reason },
      },
    );
  }
}
