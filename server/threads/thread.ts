/**
 * A Worker as main sees it: start, requests with answers, and what happens when it dies.
 *
 * Loading a Worker's modules takes most of its start, so the Worker is made at once and told its work later.
 */
import { takeWorker } from "./early.ts";
import type {
  FromThread,
  StartMessage,
  ThreadAnswers,
  ThreadRequest,
  ThreadRole,
  ToThread,
} from "./messages.ts";

/** Milliseconds until a request that nobody answers is given up; a drain has its own limit on top. */
const ANSWER_TIMEOUT_MS = 10_000;

/** A thread ended, or said that it cannot go on. */
export class ThreadDied extends Error {
  override readonly name = "ThreadDied";
}

export interface ThreadEvents {
  /** Log lines of the thread. */
  readonly onLog: (lines: string) => void;
  /** Once; the thread is of no use afterwards. */
  readonly onDeath: (reason: string) => void;
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

export class Thread {
  readonly name: string;
  readonly role: ThreadRole;
  #worker: Worker;
  #events: ThreadEvents;
  #waiting: Map<number, Waiting>;
  #nextId: number;
  #ready: PromiseWithResolvers<void>;
  #dead: string | null;

  constructor(parts: { name: string; role: ThreadRole; entry: URL; events: ThreadEvents }) {
    this.name = parts.name;
    this.role = parts.role;
    this.#events = parts.events;
    this.#waiting = new Map();
    this.#nextId = 1;
    this.#ready = Promise.withResolvers();
    this.#ready.promise.catch(() => {}); // told by onDeath as well
    this.#dead = null;
    this.#worker = takeWorker(parts.entry, parts.name);
    this.#worker.onmessage = ({ data }: MessageEvent<FromThread>) => this.#received(data);
    this.#worker.onerror = (event) => {
      event.preventDefault(); // or main would die of it, too
      this.#die(event.message || "the thread ended with an error");
    };
    this.#worker.onmessageerror = () => this.#die("a message of the thread could not be read");
  }

  /** Why it is dead; null while it lives. */
  get dead(): string | null {
    return this.#dead;
  }

  /** Resolves when its part runs. Rejects with {@linkcode ThreadDied}. */
  start(message: StartMessage): Promise<void> {
    this.#post(message, message.writer === null ? [] : [message.writer]);
    return this.#ready.promise;
  }

  /** Rejects when the thread is dead, refuses, or does not answer in time. */
  request<K extends ThreadRequest["kind"]>(
    request: Extract<ThreadRequest, { kind: K }>,
    options: { transfer?: Transferable[]; timeoutMs?: number } = {},
  ): Promise<ThreadAnswers[K]> {
    if (this.#dead !== null) return Promise.reject(new ThreadDied(`${this.name}: ${this.#dead}`));
    const id = this.#nextId++;
    return new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new Error(`${this.name} does not answer (${request.kind})`));
      }, options.timeoutMs ?? ANSWER_TIMEOUT_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      this.#post({ kind: "request", id, request }, options.transfer ?? []);
    }) as Promise<ThreadAnswers[K]>;
  }

  /** Ends it at once; `onDeath` is not called. */
  terminate(): void {
    if (this.#dead !== null) return;
    this.#dead = "terminated";
    this.#worker.terminate();
    this.#rejectAll();
  }

  #post(message: ToThread, transfer: Transferable[]): void {
    this.#worker.postMessage(message, transfer);
  }

  #received(message: FromThread): void {
    switch (message.kind) {
      case "loaded":
        return;
      case "ready":
        return this.#ready.resolve();
      case "failed":
        return this.#die(message.reason);
      case "log":
        return this.#events.onLog(message.lines);
      case "answer":
      case "refusal": {
        const waiting = this.#waiting.get(message.id);
        if (waiting === undefined) return;
        this.#waiting.delete(message.id);
        clearTimeout(waiting.timer);
        if (message.kind === "answer") waiting.resolve(message.value);
        else waiting.reject(new Error(`${this.name}: ${message.reason}`));
        return;
      }
      default: {
        const never: never = message;
        return never;
      }
    }
  }

  #die(reason: string): void {
    if (this.#dead !== null) return;
    this.#dead = reason;
    this.#worker.terminate();
    this.#rejectAll();
    this.#events.onDeath(reason);
  }

  #rejectAll(): void {
    const error = new ThreadDied(`${this.name}: ${this.#dead}`);
    this.#ready.reject(error);
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(error);
    }
    this.#waiting.clear();
  }
}
