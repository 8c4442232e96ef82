/** A check that is asked outside: by HTTP, or of the operator's policy file. How is the caller's. */
import { getLogger } from "@logtape/logtape";
import type { Check } from "../check.ts";
import { failures } from "../metrics.ts";
import { factsJson, failureVerdict, type OnFailure, verdictOf } from "../outside.ts";
import { oneLine, type Stage } from "../verdict.ts";

const LATE = "the time for a verdict was over";
const log = getLogger(["veredus", "filter"]);

export interface OutsideOptions {
  readonly name: string;
  readonly stages: readonly Stage[];
  readonly onFailure: OnFailure;
  /** The answer, parsed. Rejects when there is none in time. */
  readonly ask: (facts: Record<string, unknown>) => Promise<unknown>;
  readonly close?: () => Promise<void> | void;
}

export function outsideCheck({ name, stages, onFailure, ask, close }: OutsideOptions): Check {
  return {
    name,
    stages,
    async run(facts) {
      let what: string;
      try {
        const verdict = verdictOf(await ask(await factsJson(facts)));
        if (verdict !== null) return verdict;
        what = "it is no verdict";
      } catch (error) {
        what = error instanceof Error ? error.message : String(error);
      }
      failures.inc({ check: name });
      log.warn("{check} gave no answer: {what}", { check: name, what: oneLine(what) });
      return failureVerdict(onFailure, what);
    },
    late: () => failureVerdict(onFailure, LATE),
    ...(close && { close }),
  };
}
