/**
 * The spam filter of one front end: the filter's thread, or the same work in this one with `threads: 0`.
 *
 * A small message costs less to judge than to send there and back: as long as nobody has taught anything, so that no knowledge
 * has to be read, it is judged in this thread (docs/decisions/013-small-mail-is-judged-in-place.md).
 */
import { getLogger } from "@logtape/logtape";
import type { Handed } from "../filter/message_source.ts";
import type { Assessment, Assessor, AssessRequest } from "../filter/spam/assessor.ts";
import { scanTrouble } from "../filter/spam/metrics.ts";
import type { Teacher } from "../filter/spam/teacher.ts";
import type { WriteOp } from "../storage/ops.ts";
import type { Store } from "../storage/store.ts";
import { type FilterThread, LateError, SMALL_OCTETS } from "./filter_thread.ts";
import type { FilterAnswers, FilterQuestion } from "./filter_worker.ts";
import { later } from "./later.ts";

const log = getLogger(["veredus", "spam"]);
/** After a lesson, so that a command on many messages is one look. */
const SETTLE_MS = 200;
/** After lessons that could not be learnt. */
const AGAIN_MS = 10_000;
/** Batches of lessons in one go. */
const MAX_BATCHES = 1_000;

interface Inside {
  readonly assessor: Assessor;
  readonly teacher: Teacher;
}

type Question = Extract<FilterQuestion, { kind: "assess" | "learn" }>;

export interface SpamFilterOptions {
  readonly store: Store;
  /** Null: its work is done in this one. */
  readonly thread: FilterThread | null;
  readonly deadlineMs: number;
  /** After lessons that could not be learnt; left out: {@linkcode AGAIN_MS}. */
  readonly againMs?: number;
}

export class SpamFilter {
  readonly #options: SpamFilterOptions;
  #inside: Promise<Inside> | null;
  /** Judges small messages, once its code is there. */
  #judge: Assessor | null;
  #loading: Promise<void> | null;
  /** Nobody has taught anything; null until it was looked up. */
  #untaught: boolean | null;
  readonly #stop: () => void;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #learning: Promise<void> | null;
  #closed: boolean;

  constructor(options: SpamFilterOptions) {
    this.#options = options;
    this.#inside = null;
    this.#judge = null;
    this.#loading = null;
    this.#untaught = null;
    this.#stop = options.store.onChange(({ kind }) => {
      if (kind === "lessons") this.#untaught = false; // what was taught is read by the Worker from now on
    });
    this.#settling = undefined;
    this.#learning = null;
    this.#closed = false;
  }

  /** Null where there was no verdict in time, or the filter failed: counted and logged. */
  assess(request: AssessRequest<Handed>, withinMs: number): Assessment | null | Promise<Assessment | null> {
    const { octets } = request;
    const small = octets instanceof Uint8Array && octets.length <= SMALL_OCTETS;
    if (!small || withinMs <= 0 || !this.#nothingTaught()) return this.#elsewhere(request, withinMs);
    if (this.#judge === null) return this.#load().then(() => this.assess(request, withinMs)).catch(failed);
    try {
      return this.#judge.assess({ ...request, octets });
    } catch (error) {
      return failed(error);
    }
  }

  #nothingTaught(): boolean {
    return this.#options.thread !== null && (this.#untaught ??= this.#options.store.spam.nothing());
  }

  #load(): Promise<void> {
    return this.#loading ??= assessorModule().then(({ Assessor }) => {
      this.#judge = new Assessor(null);
    });
  }

  async #elsewhere(request: AssessRequest<Handed>, withinMs: number): Promise<Assessment | null> {
    try {
      if (withinMs <= 0) throw new LateError("no time was left to judge it");
      return await this.#ask<"assess">({ kind: "assess", request }, withinMs);
    } catch (error) {
      return failed(error);
    }
  }

  /** Users have said something about their mail; nobody waits for it. */
  taught(): void {
    this.#learnAfter(SETTLE_MS);
  }

  #learnAfter(ms: number): void {
    if (this.#closed || this.#settling !== undefined) return;
    this.#settling = setTimeout(() => {
      this.#settling = undefined;
      this.#learning = (this.#learning ?? Promise.resolve()).then(() => this.#learn()).catch((error) => {
        log.error("lessons could not be learnt, and wait: {error}", { error });
        this.#learnAfter(this.#options.againMs ?? AGAIN_MS);
      });
    }, ms);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    clearTimeout(this.#settling);
    await this.#learning;
  }

  async #learn(): Promise<void> {
    for (let batch = 0; batch < MAX_BATCHES && !this.#closed; batch++) {
      const ops = await this.#ask<"learn">({ kind: "learn" }, this.#options.deadlineMs);
      if (ops.length === 0) return;
      const results = await Promise.all(ops.map((op) => this.#options.store.write(op)));
      const refused = results.find((result) => !result.ok);
      if (refused !== undefined && !refused.ok) throw new Error(`${refused.fault}: ${refused.detail}`);
    }
  }

  async #ask<K extends Question["kind"]>(
    question: Extract<Question, { kind: K }>,
    withinMs: number,
  ): Promise<FilterAnswers[K]> {
    if (this.#closed) throw new Error("the filter is closed");
    const { thread } = this.#options;
    if (thread === null) return await this.#here(question) as FilterAnswers[K];
    return await thread.ask<K>(question, withinMs);
  }

  async #here(question: Question): Promise<Assessment | readonly WriteOp[]> {
    this.#inside ??= this.#openHere();
    const { assessor, teacher } = await this.#inside;
    if (question.kind === "learn") return await teacher.next();
    const { octets: handed } = question.request;
    const octets = handed instanceof Uint8Array
      ? handed
      : await this.#options.store.blobs.read(handed, 0, handed.length);
    return assessor.assess({ ...question.request, octets });
  }

  async #openHere(): Promise<Inside> {
    const { store: { spam: lessons, blobs } } = this.#options;
    const [{ Assessor }, { Teacher }] = await Promise.all([
      assessorModule(),
      later<typeof import("../filter/spam/teacher.ts")>(
        new URL("../filter/spam/teacher.ts", import.meta.url),
      ),
    ]);
    const assessor = new Assessor(lessons);
    return { assessor, teacher: new Teacher({ lessons, blobs, assessor }) };
  }
}

function assessorModule() {
  return later<typeof import("../filter/spam/assessor.ts")>(
    new URL("../filter/spam/assessor.ts", import.meta.url),
  );
}

function failed(error: unknown): null {
  scanTrouble.inc({ why: error instanceof LateError ? "late" : "failed" });
  log.error("the spam filter gave no verdict: {error}", { error });
  return null;
}
