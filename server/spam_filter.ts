/**
 * The spam filter of one front end: a Worker of its own, started by the first message that needs it, or the same work in this
 * thread with `threads: 0`. A Worker that dies or hangs past the deadline is ended and started again for the next message.
 *
 * A small message costs less to judge than to send there and back: as long as nobody has taught anything, so that no knowledge
 * has to be read, it is judged in this thread (docs/decisions/013-small-mail-is-judged-in-place.md).
 */
import { getLogger } from "@logtape/logtape";
import type { Assessment, Assessor, AssessRequest } from "../filter/spam/assessor.ts";
import { scanTrouble } from "../filter/spam/metrics.ts";
import type { Teacher } from "../filter/spam/teacher.ts";
import type { WriteOp } from "../storage/ops.ts";
import type { Store } from "../storage/store.ts";
import { later } from "./later.ts";
import type { SpamAnswer, SpamQuestion } from "./spam_worker.ts";

const log = getLogger(["veredus", "spam"]);
/** Judged in this thread up to here: 0.1 to 0.4 ms. */
const SMALL_OCTETS = 16 * 1024;
/** Messages at one Worker at a time; what is beyond is not judged. */
const MAX_WAITING = 500;
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

type Answered = Assessment | readonly WriteOp[];

interface Waiting {
  readonly resolve: (answer: Answered) => void;
  readonly reject: (reason: Error) => void;
}

export interface SpamFilterOptions {
  readonly store: Store;
  readonly data: string;
  readonly ownThread: boolean;
  readonly deadlineMs: number;
  /** After lessons that could not be learnt; left out: {@linkcode AGAIN_MS}. */
  readonly againMs?: number;
}

export class SpamFilter {
  readonly #options: SpamFilterOptions;
  readonly #waiting: Map<number, Waiting>;
  #worker: Worker | null;
  #inside: Promise<Inside> | null;
  /** Judges small messages, once its code is there. */
  #judge: Assessor | null;
  #loading: Promise<void> | null;
  /** Nobody has taught anything; null until it was looked up. */
  #untaught: boolean | null;
  readonly #stop: () => void;
  #next: number;
  #settling: ReturnType<typeof setTimeout> | undefined;
  #learning: Promise<void> | null;
  #closed: boolean;

  constructor(options: SpamFilterOptions) {
    this.#options = options;
    this.#waiting = new Map();
    this.#worker = null;
    this.#inside = null;
    this.#judge = null;
    this.#loading = null;
    this.#untaught = null;
    this.#stop = options.store.onChange(({ kind }) => {
      if (kind === "lessons") this.#untaught = false; // what was taught is read by the Worker from now on
    });
    this.#next = 1;
    this.#settling = undefined;
    this.#learning = null;
    this.#closed = false;
  }

  /** Null where there was no verdict in time, or the filter failed: counted and logged. */
  assess(request: AssessRequest, withinMs: number): Assessment | null | Promise<Assessment | null> {
    const here = request.octets.length <= SMALL_OCTETS && withinMs > 0 && this.#nothingTaught();
    if (!here) return this.#elsewhere(request, withinMs);
    if (this.#judge === null) return this.#load().then(() => this.assess(request, withinMs)).catch(failed);
    try {
      return this.#judge.assess(request);
    } catch (error) {
      return failed(error);
    }
  }

  #nothingTaught(): boolean {
    return this.#options.ownThread && (this.#untaught ??= this.#options.store.spam.nothing());
  }

  #load(): Promise<void> {
    return this.#loading ??= assessorModule().then(({ Assessor }) => {
      this.#judge = new Assessor(null);
    });
  }

  async #elsewhere(request: AssessRequest, withinMs: number): Promise<Assessment | null> {
    try {
      if (withinMs <= 0) throw new LateError("no time was left to judge it");
      return await this.#ask({ kind: "assess", id: this.#next++, request }, withinMs) as Assessment;
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
    this.#end(new Error("the filter is closed"));
    await this.#learning;
  }

  async #learn(): Promise<void> {
    for (let batch = 0; batch < MAX_BATCHES && !this.#closed; batch++) {
      const question = { kind: "learn", id: this.#next++ } as const;
      const ops = await this.#ask(question, this.#options.deadlineMs) as readonly WriteOp[];
      if (ops.length === 0) return;
      const results = await Promise.all(ops.map((op) => this.#options.store.write(op)));
      const refused = results.find((result) => !result.ok);
      if (refused !== undefined && !refused.ok) throw new Error(`${refused.fault}: ${refused.detail}`);
    }
  }

  async #ask(question: Exclude<SpamQuestion, { kind: "open" }>, withinMs: number): Promise<Answered> {
    if (this.#closed) throw new Error("the filter is closed");
    if (!this.#options.ownThread) return await this.#here(question);
    if (this.#waiting.size >= MAX_WAITING) throw new Error(`${MAX_WAITING} messages wait already`);
    const worker = this.#worker ??= this.#start();
    const answer = new Promise<Answered>((resolve, reject) => {
      this.#waiting.set(question.id, { resolve, reject });
    });
    worker.postMessage(alone(question));
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new LateError(`no answer within ${Math.round(withinMs)} ms`);
        this.#waiting.delete(question.id);
        reject(error);
        // It may hang: only its end helps those that come after. Where others took most of the time, it is not known.
        if (this.#worker === worker && withinMs * 2 > this.#options.deadlineMs) this.#end(error);
      }, withinMs);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #here(question: Exclude<SpamQuestion, { kind: "open" }>): Promise<Answered> {
    this.#inside ??= this.#openHere();
    const { assessor, teacher } = await this.#inside;
    return question.kind === "assess" ? assessor.assess(question.request) : await teacher.next();
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

  #start(): Worker {
    const worker = new Worker(new URL("./spam_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<SpamAnswer>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("fault" in data) waiting?.reject(new Error(data.fault));
      else waiting?.resolve("ops" in data ? data.ops : data.assessment);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (this.#worker === worker) this.#end(new Error(`the filter failed: ${event.message}`));
    };
    worker.postMessage({ kind: "open", data: this.#options.data } satisfies SpamQuestion);
    return worker;
  }

  #end(reason: Error): void {
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

/** A view would take all of its buffer along. */
function alone(question: SpamQuestion): SpamQuestion {
  if (question.kind !== "assess") return question;
  const { request } = question;
  return { ...question, request: { ...request, octets: request.octets.slice() } };
}

function assessorModule() {
  return later<typeof import("../filter/spam/assessor.ts")>(
    new URL("../filter/spam/assessor.ts", import.meta.url),
  );
}

function failed(error: unknown): null {
  scanTrouble.inc({ why: error instanceof LateError ? "late" : "failed" });
  log.error("a message was not judged: {error}", { error });
  return null;
}

class LateError extends Error {
  override readonly name = "LateError";
}
