/**
 * The copy of the data that the API makes: one at a time, by the command in a process of its own. A connection that was closed in
 * this one would keep the copy's database open, and the disk it lies on from being unmounted. The last is remembered until the
 * server ends.
 */
import { getLogger } from "@logtape/logtape";
import { type BackupNote, type BackupReport, lastBackup } from "../storage/backup/backup.ts";
import type { DataFolder } from "../storage/data_folder.ts";
import { gauge } from "../telemetry/metrics.ts";
import type { BackupControl, BackupState } from "./services.ts";

const log = getLogger(["veredus", "admin"]);
/** The command ends so where the data was damaged before; the copy is whole. */
const FOUND = 3;
const MAX_REASON_CHARS = 1_000;
/** Of the last whole copy, whoever made it. */
let last: () => BackupNote | null = () => null;
gauge("veredus_backup_timestamp_seconds", "When the last copy of the data was done, 0: none is known", {
  collect: (g) => g.set((last()?.at ?? 0) / 1000),
});
gauge("veredus_backup_seconds", "How long the last copy of the data took", {
  collect: (g) => g.set(last()?.seconds ?? 0),
});
gauge("veredus_backup_octets", "Size of the last copy of the data", {
  collect: (g) => g.set(last()?.octets ?? 0),
});

interface Job {
  readonly to: string;
  readonly process: Deno.ChildProcess;
  ended: Promise<void>;
  stopped: boolean;
  state: BackupState["state"];
  done: number;
  total: number;
  report: BackupReport | null;
  reason: string;
}

export class Backups implements BackupControl {
  readonly #folder: DataFolder;
  readonly #command: readonly string[];
  #job: Job | null;

  /** `command` starts this program. */
  constructor(folder: DataFolder, command: readonly string[]) {
    this.#folder = folder;
    this.#command = command;
    this.#job = null;
    last = () => lastBackup(folder);
  }

  state(): BackupState | null {
    if (this.#job === null) return null;
    const { to, state, done, total, reason, report } = this.#job;
    return { to, state, done, total, reason, missingSegments: report?.missing ?? [] };
  }

  lastAt(): number | null {
    return lastBackup(this.#folder)?.at ?? null;
  }

  start(to: string): boolean {
    if (this.#job?.state === "running") return false;
    const [program, ...args] = this.#command;
    const process = new Deno.Command(program!, {
      args: [...args, "backup", to, "--data", this.#folder.path, "--json", "--progress"],
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const job: Job = {
      to,
      process,
      ended: Promise.resolve(),
      stopped: false,
      state: "running",
      done: 0,
      total: 0,
      report: null,
      reason: "",
    };
    this.#job = job;
    log.info("copying the data to {to} begins", { to });
    job.ended = this.#follow(job).catch((error) => this.#end(job, String(error)));
    return true;
  }

  async stop(): Promise<boolean> {
    const job = this.#job;
    if (job?.state !== "running") return false;
    job.stopped = true;
    try {
      job.process.kill("SIGTERM");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended just now
    }
    await job.ended;
    return true;
  }

  async close(): Promise<void> {
    await this.stop();
  }

  async #follow(job: Job): Promise<void> {
    const words = new Response(job.process.stderr).text();
    let rest = "";
    for await (const piece of job.process.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const told = JSON.parse(line) as BackupReport | { readonly done: number; readonly total: number };
        if ("files" in told) job.report = told;
        else ({ done: job.done, total: job.total } = told);
      }
    }
    const { code } = await job.process.status;
    const said = (await words).trim().replace(/^veredus: /, "").slice(0, MAX_REASON_CHARS);
    if (code === 0 || code === FOUND) return this.#end(job, null);
    this.#end(job, job.stopped ? "it was stopped" : said || `the copying process ended with ${code}`);
  }

  #end(job: Job, reason: string | null): void {
    job.state = reason === null ? "done" : "failed";
    job.reason = reason ?? "";
    const { to, report } = job;
    if (reason !== null) return log.error("the data was not copied to {to}: {reason}", { to, reason });
    if (report === null) throw new Error("the copying process ended without a report");
    const { files, octets, seconds, missing } = report;
    log.info("the data was copied to {to}: {octets} octets in {files} files, {seconds} s", {
      ...{ to, octets, files, seconds },
    });
    if (missing.length > 0) {
      log.error("segments that messages point at are not there: {missing}", { missing: missing.join(", ") });
    }
  }
}
