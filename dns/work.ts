/**
 * What one question may cost, whatever the zones on its way look like.
 *
 * A zone can be built so that one look-up asks thousands of servers (NXNS) or checks thousands of signatures and hashes
 * (KeyTrap, CVE-2023-50387; NSEC3, CVE-2023-50868). Everything that costs takes from here, aliases and the addresses of
 * servers included, and when a purse is empty the question ends with the fault `work-limit`.
 */
import { ResolveError } from "./resolver.ts";

export interface WorkLimits {
  /** Queries to servers. */
  readonly queries: number;
  /** Names of name servers whose addresses are looked up. */
  readonly serverNames: number;
  /** Signatures checked. */
  readonly validations: number;
  /** Rounds of the NSEC3 hash. */
  readonly hashRounds: number;
}

const WORK_LIMITS: WorkLimits = { queries: 120, serverNames: 24, validations: 64, hashRounds: 4_000 };

export class Work {
  /** Clock milliseconds at which the question ends. */
  readonly end: number;
  readonly #left: { -readonly [K in keyof WorkLimits]: number };
  readonly #limits: WorkLimits;
  readonly #trace: ((text: string) => void) | null;

  constructor(options: { end: number; limits?: WorkLimits; trace?: ((text: string) => void) | null }) {
    this.end = options.end;
    this.#limits = options.limits ?? WORK_LIMITS;
    this.#left = { ...this.#limits };
    this.#trace = options.trace ?? null;
  }

  get traced(): boolean {
    return this.#trace !== null;
  }

  /** Takes `count` of a kind; false when there is not as much left. */
  take(kind: keyof WorkLimits, count = 1): boolean {
    if (this.#left[kind] < count) return false;
    this.#left[kind] -= count;
    return true;
  }

  /** Like {@linkcode take}; throws `work-limit` with `name` in its words. */
  spend(kind: keyof WorkLimits, name: string, count = 1): void {
    if (!this.take(kind, count)) throw this.exhausted(kind, name);
  }

  exhausted(kind: keyof WorkLimits, name: string): ResolveError {
    return new ResolveError(
      "work-limit",
      `${name}: more than ${this.#limits[kind]} ${LIMIT_WORDS[kind]} for one question`,
    );
  }

  /** `text` is made only when somebody looks. */
  trace(text: () => string): void {
    this.#trace?.(text());
  }
}

const LIMIT_WORDS: Readonly<Record<keyof WorkLimits, string>> = {
  queries: "queries",
  serverNames: "names of servers to look up",
  validations: "signatures to check",
  hashRounds: "NSEC3 hash rounds",
};
