/**
 * The Worker for imported password hashes: started by the first job, ended when it was idle for a while.
 *
 * Most servers never need it, and an idle isolate costs 11 MB. Callers bound how many jobs wait (hash_work.ts).
 */
import type { ForeignAnswer, ForeignJob } from "./foreign_hash_worker.ts";
import type { ForeignVerifier } from "./password_hash.ts";

const DEFAULT_IDLE_MS = 10_000;

interface Waiting {
  readonly resolve: (matches: boolean) => void;
  readonly reject: (reason: Error) => void;
}

export class ForeignHashes implements ForeignVerifier {
  #idleMs: number;
  #worker: Worker | null = null;
  #waiting = new Map<number, Waiting>();
  #next = 1;
  #idle: ReturnType<typeof setTimeout> | undefined = undefined;

  constructor(options: { idleMs?: number } = {}) {
    this.#idleMs = options.idleMs ?? DEFAULT_IDLE_MS;
  }

  verify(hash: string, password: string): Promise<boolean> {
    clearTimeout(this.#idle);
    const worker = this.#worker ??= this.#start();
    return new Promise((resolve, reject) => {
      const id = this.#next++;
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, hash, password } satisfies ForeignJob);
    });
  }

  /** Ends the thread; jobs still waiting are rejected. */
  close(): void {
    this.#end(new Error("the verifier of imported hashes was closed"));
  }

  #start(): Worker {
    const worker = new Worker(new URL("./foreign_hash_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<ForeignAnswer>) => this.#answer(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new Error(`the verifier of imported hashes failed: ${event.message}`));
    };
    return worker;
  }

  #answer(answer: ForeignAnswer): void {
    const waiting = this.#waiting.get(answer.id);
    this.#waiting.delete(answer.id);
    if ("matches" in answer) waiting?.resolve(answer.matches);
    else waiting?.reject(new Error(answer.error));
    if (this.#waiting.size > 0) return;
    this.#idle = setTimeout(() => this.close(), this.#idleMs);
    Deno.unrefTimer(this.#idle);
  }

  #end(reason: Error): void {
    clearTimeout(this.#idle);
    this.#worker?.terminate();
    this.#worker = null;
    for (const { reject } of this.#waiting.values()) reject(reason);
    this.#waiting.clear();
  }
}
