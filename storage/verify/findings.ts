/** What the checks find, and what they share. */
import type { Connection } from "../libsql.ts";

/** One thing that is wrong. */
export interface VerifyProblem {
  /** From a closed set, as "record-checksum". */
  readonly kind: string;
  /** What it is about: a mailbox, a message, a segment. */
  readonly subject: string;
  readonly detail: string;
  readonly fixed: boolean;
}

const MAX_PROBLEMS = 10_000;

/** Where checks put what they find. */
export class Findings {
  readonly checked: Record<string, number> = {};
  readonly problems: VerifyProblem[] = [];
  cut = false;

  count(noun: string, many: number): void {
    this.checked[noun] = (this.checked[noun] ?? 0) + many;
  }

  add(problem: VerifyProblem): void {
    if (this.problems.length < MAX_PROBLEMS) this.problems.push(problem);
    else this.cut = true;
  }
}

/** What every check works with. */
export interface CheckContext {
  readonly connection: Connection;
  readonly fix: boolean;
  readonly findings: Findings;
}

/** Lets other work of this thread run. */
export function giveWay(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

export interface VerifyProgress {
  /** Octets of messages. */
  readonly done: number;
  readonly total: number;
}
