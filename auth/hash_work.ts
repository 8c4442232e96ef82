/**
 * Password hashing within bounds: so many at once, so many waiting, and no more.
 *
 * One scrypt holds 32 MB and a core for 100 ms, so strangers who guess passwords must not decide how many run. What
 * finds the queue full is told at once ({@linkcode HashBusy}), and that is a fault of ours, not a wrong password.
 */
import { gauge, histogram } from "../telemetry/metrics.ts";
import { ForeignHashes } from "./foreign_hash.ts";
import { DEFAULT_SCRYPT, hashPassword, type ScryptParameters, verifyPassword } from "./password_hash.ts";

export interface HashLimits {
  /** Hashes computed at the same time by this thread. */
  readonly concurrent: number;
  /** Hashes that wait for their turn. */
  readonly waiting: number;
}

const DEFAULT_HASH_LIMITS: HashLimits = { concurrent: 2, waiting: 64 };

/** Too many hashes wait already. */
export class HashBusy extends Error {
  override readonly name = "HashBusy";
}

const hashSeconds = histogram("veredus_password_hash_seconds", "Time of one password hash without its wait", {
  buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5],
});
let waitingNow = 0;
gauge("veredus_password_hashes_waiting", "Password hashes that wait for their turn", {
  collect: (g) => g.set(waitingNow),
});

export class HashWork {
  readonly parameters: ScryptParameters;
  #limits: HashLimits;
  #foreign: ForeignHashes;
  #running = 0;
  #waiting: (() => void)[] = [];

  constructor(options: { limits?: Partial<HashLimits>; parameters?: ScryptParameters } = {}) {
    this.parameters = options.parameters ?? DEFAULT_SCRYPT;
    this.#limits = { ...DEFAULT_HASH_LIMITS, ...options.limits };
    this.#foreign = new ForeignHashes();
  }

  /** Throws HashBusy. */
  hash(password: string): Promise<string> {
    return this.#run(() => hashPassword(password, { parameters: this.parameters }));
  }

  /** Throws HashBusy, UnusableHash, and trouble of the verifier. */
  verify(stored: string, password: string): Promise<boolean> {
    return this.#run(() => verifyPassword(stored, password, this.#foreign));
  }

  close(): void {
    this.#foreign.close();
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#limits.concurrent) {
      if (this.#waiting.length >= this.#limits.waiting) {
        throw new HashBusy(`${this.#limits.waiting} password checks wait already; try again in a moment`);
      }
      waitingNow++;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
      waitingNow--;
    } else {
      this.#running++;
    }
    const begin = performance.now();
    try {
      return await work();
    } finally {
      hashSeconds.observe((performance.now() - begin) / 1000);
      // The place goes straight to the next in line, so that nobody overtakes it.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
