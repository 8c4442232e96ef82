/** What each filter of the comparison does: learns the first messages of a half, and scores the other half. */
import type { Sample, Split } from "./corpus.ts";

export interface Scored {
  readonly spam: boolean;
  /** Higher is more surely unwanted. */
  readonly score: number;
}

/** Trained messages at which the other half is scored. */
export const STEPS = [0, 10, 100, 1_000] as const;
export type Step = typeof STEPS[number];

export interface Contestant {
  readonly name: string;
  /** From which score on it calls a message spam, as it is shipped. */
  readonly threshold: number;
  /** Scores of all splits together, in the order of the splits and of the messages of their test halves. */
  run(
    splits: readonly Split[],
    file: (sample: Sample) => string,
  ): Promise<ReadonlyMap<Step, readonly Scored[]>>;
}

export interface Catch {
  /** Share of spam above the threshold that leaves 0.1 % of ham above it. */
  readonly caught: number;
  readonly threshold: number;
  /** At the threshold that is shipped. */
  readonly shippedCaught: number;
  readonly shippedFalse: number;
}

const FALSE_POSITIVES = 0.001;

export function catchOf(
  scored: readonly Scored[],
  shipped: number,
  falsePositives = FALSE_POSITIVES,
): Catch {
  const ham = scored.filter(({ spam }) => !spam).map(({ score }) => score).sort((a, b) => b - a);
  const spam = scored.filter((one) => one.spam).map(({ score }) => score);
  const threshold = ham[Math.floor(ham.length * falsePositives)] ?? 0;
  const share = (of: readonly number[], passes: (score: number) => boolean) =>
    of.filter(passes).length / of.length;
  return {
    caught: share(spam, (score) => score > threshold),
    threshold,
    shippedCaught: share(spam, (score) => score >= shipped),
    shippedFalse: share(ham, (score) => score >= shipped),
  };
}
