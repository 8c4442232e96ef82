/** A check that is asked outside: by HTTP, or of the operator's policy file. How is the caller's. */
import { getLogger } from "@logtape/logtape";
import { type Check, placeOf } from "../check.ts";
import { failures } from "../metrics.ts";
import { factsJson, failureVerdict, type OnFailure, OutsideFault, told, verdictOf } from "../outside.ts";
import type { Stage } from "../verdict.ts";

const LATE = new OutsideFault("the time for a verdict was over");
const NO_VERDICT = new OutsideFault("it is no verdict");
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
      let trouble: unknown = NO_VERDICT;
      try {
        const verdict = verdictOf(await ask(await factsJson(facts)));
        if (verdict !== null) return verdict;
      } catch (error) {
        trouble = error;
      }
      failures.inc({ check: name });
      log.warn("{check} gave no answer: {what}", { check: name, what: told(trouble), ...placeOf(facts) });
      return failureVerdict(onFailure, trouble);
    },
    late: () => failureVerdict(onFailure, LATE),
    ...(close && { close }),
  };
}
