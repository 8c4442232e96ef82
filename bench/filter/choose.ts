/**
 * Chooses the constants of the learner (filter/spam/learner/judge.ts), from the training half of split 0 alone.
 *
 *   deno run -A bench/filter/choose.ts
 *
 * That half is cut in halves four times by hash. The learner learns the first 10, 100 and all messages of one and scores the
 * other; what counts is the share of spam caught, averaged over these steps and over 0.1 %, 0.5 % and 1 % of false positives, because
 * the first alone hangs on a message or two. One constant after the other takes its best value of a short list, the first of
 * equals, until a round changes nothing. Prints each step; what comes out is put into judge.ts by hand.
 */

import { commonHits, personalHits } from "../../filter/spam/hits.ts";
import { judge, type JudgeConstants } from "../../filter/spam/learner/judge.ts";
import { Knowledge } from "../../filter/spam/learner/knowledge.ts";
import { tokensOf } from "../../filter/spam/learner/tokens.ts";
import { Mail } from "../../filter/spam/mail.ts";
import { scoreOf } from "../../filter/spam/score.ts";
import { catchOf, type Scored } from "./contest.ts";
import { type Sample, samples, splitOf } from "./corpus.ts";

const INNER_SPLITS = [100, 101, 102, 103];
const LEARNT = [10, 100, Infinity];
const FALSE_POSITIVES = [0.001, 0.005, 0.01];
const ROUNDS = 4;
const VALUES: Readonly<Record<keyof JudgeConstants, readonly number[]>> = {
  strength: [0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2],
  minEvidence: [0, 0.4, 0.7, 1, 1.5, 2, 2.5],
  strongest: [30, 60, 100, 150, 250, 400, 800],
  halfTrust: [2, 5, 10, 15, 25, 40, 60],
  points: [1, 1.5, 2, 2.6, 3.3, 4, 5],
};
/** Where the search begins: the middle of each list. */
const START = Object.fromEntries(
  Object.entries(VALUES).map(([name, list]) => [name, list[Math.floor(list.length / 2)]!]),
) as unknown as JudgeConstants;

interface Known {
  readonly tokens: Uint32Array;
  /** Of the signals. */
  readonly points: number;
}

const { train: half } = splitOf(samples(), 0);
const known = new Map<Sample, Known>(half.map((sample) => {
  const mail = new Mail(sample.octets);
  const facts = { mail, around: null };
  const hits = [...commonHits(facts), ...personalHits(facts, null)];
  return [sample, { tokens: tokensOf(mail), points: scoreOf(hits, []).points }];
}));
const trials = INNER_SPLITS.map((number) => splitOf(half, number)).flatMap(({ train, test }) =>
  LEARNT.map((step) => {
    const own = new Knowledge();
    for (const sample of train.slice(0, step)) {
      const { spam } = sample;
      own.learn(known.get(sample)!.tokens, { spam: spam ? 1 : 0, ham: spam ? 0 : 1 });
    }
    return { step, own, test };
  })
);

function worth(constants: JudgeConstants): number {
  let sum = 0;
  for (const step of LEARNT) {
    const scored = trials.filter((trial) => trial.step === step).flatMap(({ own, test }) =>
      test.map((sample): Scored => {
        const { tokens, points } = known.get(sample)!;
        const learnt = judge(tokens, { own, shared: null }, constants)?.points ?? 0;
        return { spam: sample.spam, score: points + learnt };
      })
    );
    for (const share of FALSE_POSITIVES) sum += catchOf(scored, 0, share).caught;
  }
  return sum / LEARNT.length / FALSE_POSITIVES.length;
}

let best = START;
let bestWorth = worth(best);
console.log(`${(bestWorth * 100).toFixed(2)} % ${JSON.stringify(best)}`);
for (let round = 1, changed = true; changed && round <= ROUNDS; round++) {
  changed = false;
  for (const name of Object.keys(VALUES) as (keyof JudgeConstants)[]) {
    for (const value of VALUES[name]) {
      if (value === best[name]) continue;
      const constants = { ...best, [name]: value };
      const its = worth(constants);
      if (its <= bestWorth) continue;
      [best, bestWorth, changed] = [constants, its, true];
      console.log(`${(bestWorth * 100).toFixed(2)} % ${name} ${value}`);
    }
  }
}
console.log(JSON.stringify(best));
