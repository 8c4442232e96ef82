/**
 * The ordered chain of checks: each stage asks its checks one after the other until one decides.
 *
 * A stage whose checks all answer at once costs no turn of the event loop, and one without checks nothing. A check
 * that fails, or takes longer than {@linkcode MAX_CHECK_MS}, is passed over with a mark and counted: mail does not stop for
 * it (a check that should fail otherwise says so itself). All checks of a message share one {@linkcode VerdictTime}: when it is
 * over, those without an answer say what they say to that, or the message is marked, or put off.
 */
import { getLogger } from "@logtape/logtape";
import { infoLines } from "../telemetry/log.ts";
import { type Check, type CheckFacts, placeOf } from "./check.ts";
import { decisions, failures } from "./metrics.ts";
import {
  type Action,
  CONTINUE,
  type Decision,
  oneLine,
  type Stage,
  STAGES,
  type Verdict,
} from "./verdict.ts";
import type { VerdictTime } from "./verdict_time.ts";

const log = getLogger(["veredus", "filter"]);
const decided = infoLines("filter");
/** Longer than any time-out that the configuration allows a check. */
const MAX_CHECK_MS = 150_000;
const PASSED_OVER: Verdict = { action: "tag", reason: "not asked to the end: it failed", points: 0 };
const NO_DECISIONS: readonly Decision[] = [];
const STOPS: ReadonlySet<Action> = new Set<Action>(["accept", "reject", "defer"]);

export class Chain {
  readonly checks: readonly Check[];
  #byStage: ReadonlyMap<Stage, readonly Check[]>;
  /** Those that keep something of a session, and of a transaction. */
  #ended: readonly Check[];
  #aborted: readonly Check[];

  constructor(checks: readonly Check[]) {
    this.checks = checks;
    this.#ended = checks.filter(({ ended }) => ended !== undefined);
    this.#aborted = checks.filter(({ aborted }) => aborted !== undefined);
    this.#byStage = new Map(
      STAGES.map((stage) => [stage, checks.filter(({ stages }) => stages.includes(stage))]),
    );
  }

  has(stage: Stage): boolean {
    return this.#byStage.get(stage)!.length > 0;
  }

  /** The decisions of this stage other than `continue`, in order; the last may be one that stops. */
  run(
    facts: CheckFacts,
    time: VerdictTime | null = null,
  ): readonly Decision[] | Promise<readonly Decision[]> {
    const checks = this.#byStage.get(facts.stage)!;
    let found = NO_DECISIONS;
    if (isOver(time)) {
      return untilStop(checks.map((check) => noted(check, facts, tooLate(check, facts, time))));
    }
    for (let at = 0; at < checks.length; at++) {
      const check = checks[at]!;
      const verdict = asked(check, facts);
      if (verdict instanceof Promise) return this.#rest(facts, { at, pending: verdict, found, time });
      if (verdict.action === "continue") continue;
      found = [...found, noted(check, facts, verdict)];
      if (STOPS.has(verdict.action)) break;
    }
    return found;
  }

  async #rest(
    facts: CheckFacts,
    { at, pending, found, time }: {
      at: number;
      pending: Promise<Verdict>;
      found: readonly Decision[];
      time: VerdictTime | null;
    },
  ): Promise<readonly Decision[]> {
    const checks = this.#byStage.get(facts.stage)!;
    const all = [...found];
    let verdict: Verdict | Promise<Verdict> = pending;
    for (;;) {
      const check = checks[at]!;
      const said = await settled(check, verdict, { facts, time });
      if (said.action !== "continue") all.push(noted(check, facts, said));
      if (STOPS.has(said.action) || ++at >= checks.length) return all;
      verdict = isOver(time) ? tooLate(checks[at]!, facts, time) : asked(checks[at]!, facts);
    }
  }

  ended(sessionId: string): void {
    for (const check of this.#ended) check.ended?.(sessionId);
  }

  aborted(sessionId: string): void {
    for (const check of this.#aborted) check.aborted?.(sessionId);
  }

  async close(): Promise<void> {
    await Promise.all(this.checks.map((check) => check.close?.()));
  }
}

function asked(check: Check, facts: CheckFacts): Verdict | Promise<Verdict> {
  try {
    return check.run(facts);
  } catch (error) {
    return passedOver(check, facts, error);
  }
}

async function settled(
  check: Check,
  verdict: Verdict | Promise<Verdict>,
  { facts, time }: { readonly facts: CheckFacts; readonly time: VerdictTime | null },
): Promise<Verdict> {
  if (!(verdict instanceof Promise)) return verdict;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const left = time?.left ?? Infinity;
  const tooLong = new Promise<Verdict>((resolve, reject) => {
    timer = setTimeout(() => {
      if (time !== null && left < MAX_CHECK_MS) resolve(tooLate(check, facts, time));
      else reject(new Error(`no verdict within ${MAX_CHECK_MS} ms`));
    }, Math.min(MAX_CHECK_MS, left));
  });
  try {
    return await Promise.race([verdict, tooLong]);
  } catch (error) {
    return passedOver(check, facts, error);
  } finally {
    clearTimeout(timer);
  }
}

function isOver(time: VerdictTime | null): time is VerdictTime {
  return time !== null && time.left === 0;
}

function tooLate(check: Check, facts: CheckFacts, time: VerdictTime): Verdict {
  failures.inc({ check: check.name });
  const own = check.late?.(facts) ?? CONTINUE;
  // Its own word counts, unless it is none, or that the message may go where the operator wants it to wait.
  return own.action === "continue" || (own.action === "tag" && time.whenLate === "defer")
    ? time.verdict
    : own;
}

/** As many as are heard before one stops. */
function untilStop(found: readonly Decision[]): readonly Decision[] {
  const stop = found.findIndex(({ action }) => STOPS.has(action));
  return stop < 0 ? found : found.slice(0, stop + 1);
}

function passedOver(check: Check, facts: CheckFacts, error: unknown): Verdict {
  const { name } = check;
  failures.inc({ check: name });
  log.warn("the check {check} failed: {error}", { check: name, error, ...placeOf(facts) });
  return check.late?.(facts) ?? PASSED_OVER;
}

function noted({ name }: Check, facts: CheckFacts, verdict: Verdict): Decision {
  const { stage, client } = facts;
  const { action } = verdict;
  const decision: Decision = { ...verdict, reason: oneLine(verdict.reason), check: name, stage };
  decisions.inc({ check: name, action });
  decided("{check} at {stage}: {action}, {reason}", {
    check: name,
    stage,
    action,
    reason: decision.reason,
    address: client.address,
    ...placeOf(facts),
  });
  return decision;
}
