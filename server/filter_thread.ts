/**
 * The filter's thread as its front end sees it: a Worker, started by the first question. One that dies or hangs is ended, those
 * that wait are told, and the next question starts another.
 */
import type { FilterAnswers, FilterQuestion, FromFilter, ToFilter } from "./filter_worker.ts";

/** What is smaller costs less to judge in the thread that received it than to send there and back. */
export const SMALL_OCTETS = 16 * 1024;
/** Questions at a time; what is beyond is not asked. */
const MAX_WAITING = 500;

type Kind = keyof FilterAnswers;

interface Waiting {
  readonly kind: Kind;
  readonly resolve: (answer: FilterAnswers[Kind]) => void;
  readonly reject: (reason: Error) => void;
}

export interface FilterThreadOptions {
  readonly data: string;
  /** Of everything that judges one message. */
  readonly deadlineMs: number;
  /** Left out: the filter's own. */
  readonly worker?: () => Worker;
}

export class FilterThread {
  readonly deadlineMs: number;
  readonly #data: string;
  readonly #create: () => Worker;
  readonly #waiting: Map<number, Waiting>;
  /** How many of each kind were answered. */
  readonly #answered: Record<Kind, number>;
  #worker: Worker | null;
  #next: number;
  #closed: boolean;

  constructor({ data, deadlineMs, worker = filterWorker }: FilterThreadOptions) {
    this.deadlineMs = deadlineMs;
    this.#data = data;
    this.#create = worker;
    this.#waiting = new Map();
    this.#answered = { assess: 0, inspect: 0, learn: 0 };
    this.#worker = null;
    this.#next = 1;
    this.#closed = false;
  }

  /** Octets are copied, once. Rejects when it fails, and with LateError. */
  async ask<K extends Kind>(
    question: Extract<FilterQuestion, { kind: K }>,
    withinMs: number,
  ): Promise<FilterAnswers[K]> {
    if (this.#closed) throw new Error("the filter is closed");
    if (this.#waiting.size >= MAX_WAITING) throw new Error(`${MAX_WAITING} messages wait already`);
    const worker = this.#worker ??= this.#start();
    const id = this.#next++;
    const { kind } = question;
    const before = this.#answered[kind];
    const answer = new Promise<FilterAnswers[K]>((resolve, reject) => {
      this.#waiting.set(id, { kind, resolve: resolve as Waiting["resolve"], reject });
    });
    const moved = alone(question);
    worker.postMessage({ kind: "ask", id, question: moved.question } satisfies ToFilter, moved.buffers);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const error = new LateError(`no answer within ${Math.round(withinMs)} ms`);
        this.#waiting.delete(id);
        reject(error);
        if (this.#worker !== worker) return;
        // It may hang: only its end helps those that come after. Where others took most of the time, or it answered others
        // meanwhile, it is not known.
        if (withinMs * 2 > this.deadlineMs && this.#answered[kind] === before) this.#end(error);
        else worker.postMessage({ kind: "forget", id } satisfies ToFilter);
      }, withinMs);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    this.#closed = true;
    this.#end(new Error("the filter is closed"));
  }

  #start(): Worker {
    const worker = this.#create();
    worker.onmessage = ({ data }: MessageEvent<FromFilter>) => {
      const waiting = this.#waiting.get(data.id);
      if (waiting === undefined) return;
      this.#waiting.delete(data.id);
      this.#answered[waiting.kind]++;
      if ("fault" in data) waiting.reject(new Error(data.fault));
      else waiting.resolve(data.answer);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      if (this.#worker === worker) this.#end(new Error(`the filter failed: ${event.message}`));
    };
    worker.postMessage({ kind: "open", data: this.#data } satisfies ToFilter);
    return worker;
  }

  #end(reason: Error): void {
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}

/** With octets of their own, which move: a view would take all of its buffer along. */
function alone(question: FilterQuestion): { question: FilterQuestion; buffers: ArrayBuffer[] } {
  if (question.kind === "learn") return { question, buffers: [] };
  const handed = question.kind === "assess" ? question.request.octets : question.message;
  if (!(handed instanceof Uint8Array)) return { question, buffers: [] };
  const octets = handed.slice();
  const buffers = [octets.buffer as ArrayBuffer];
  return question.kind === "assess"
    ? { question: { ...question, request: { ...question.request, octets } }, buffers }
    : { question: { ...question, message: octets }, buffers };
}

export class LateError extends Error {
  override readonly name = "LateError";
}

function filterWorker(): Worker {
  return new Worker(new URL("./filter_worker.ts", import.meta.url), { type: "module" });
}
