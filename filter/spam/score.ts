/** The score of a message: points of all signals that are there, and what the learner says. */
import type { Judgement } from "./learner/judge.ts";
import type { Facts, Signal } from "./signal.ts";
import { SIGNALS } from "./signals.ts";

export interface Hit {
  readonly name: string;
  readonly points: number;
  /** For the recipient. */
  readonly explain: string;
}

export interface Score {
  readonly points: number;
  /** The largest first, whichever way they point. */
  readonly hits: readonly Hit[];
  /** What was not looked at, or not in time. */
  readonly marks: readonly string[];
}

/** From here on a message is marked; from here on it goes to Junk. Both can be set. */
export const DEFAULT_MARK_AT = 3;
export const DEFAULT_JUNK_AT = 5;
export const LEARNER = "learner";

export interface ScoreOptions {
  /** Points by name in place of those of the signal; 0 switches it off. */
  readonly weights?: Readonly<Record<string, number>>;
  readonly signals?: readonly Signal[];
}

export function scoreOf(
  facts: Facts,
  judgement: Judgement | null,
  { weights = {}, signals = SIGNALS }: ScoreOptions = {},
): Score {
  const hits: Hit[] = [];
  for (const { name, weight, explain, find } of signals) {
    const most = weights[name] ?? weight;
    if (most === 0) continue;
    const strength = Number(find(facts));
    if (strength === 0) continue;
    hits.push({ name, points: round(most * strength), explain });
  }
  if (judgement !== null && judgement.tokens > 0) {
    const points = round(judgement.points * (weights[LEARNER] ?? 1));
    if (points !== 0) {
      const like = points > 0 ? "that was put into Junk" : "that was kept";
      hits.push({ name: LEARNER, points, explain: `it resembles mail ${like}` });
    }
  }
  hits.sort((a, b) => Math.abs(b.points) - Math.abs(a.points));
  return {
    points: round(hits.reduce((sum, { points }) => sum + points, 0)),
    hits,
    marks: facts.mail.marks,
  };
}

function round(points: number): number {
  return Math.round(points * 100) / 100;
}
