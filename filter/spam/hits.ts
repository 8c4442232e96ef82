/** What was found of a message: signals, and what the learner says. */
import type { Judgement } from "./learner/judge.ts";
import { type Hit, round, type SignalWeights } from "./score.ts";
import type { Facts, Signal } from "./signal.ts";
import { SIGNALS } from "./signals.ts";

export const LEARNER = "learner";

const COMMON = SIGNALS.filter(({ personal }) => personal !== true);
const PERSONAL = SIGNALS.filter(({ personal }) => personal === true);
const NO_WEIGHTS: SignalWeights = {};

/** What is the same for all recipients. */
export function commonHits(facts: Facts, weights = NO_WEIGHTS): Hit[] {
  return hitsOf(COMMON, facts, weights);
}

/** What depends on the recipient. */
export function personalHits(facts: Facts, judgement: Judgement | null, weights = NO_WEIGHTS): Hit[] {
  const hits = hitsOf(PERSONAL, facts, weights);
  if (judgement === null || judgement.tokens === 0) return hits;
  const points = round(judgement.points * (weights[LEARNER] ?? 1));
  if (points === 0) return hits;
  const like = points > 0 ? "that was put into Junk" : "that was kept";
  return [...hits, { name: LEARNER, points, explain: `it resembles mail ${like}` }];
}

function hitsOf(signals: readonly Signal[], facts: Facts, weights: SignalWeights): Hit[] {
  const hits: Hit[] = [];
  for (const { name, weight, explain, find } of signals) {
    const most = weights[name] ?? weight;
    if (most === 0) continue;
    const points = round(most * Number(find(facts)));
    if (points !== 0) hits.push({ name, points, explain });
  }
  return hits;
}
