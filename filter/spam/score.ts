/** The score of a message: the points of all that was found, and why. */

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

/** Points by name in place of those of the signal; 0 switches it off. Of the learner: a factor. */
export type SignalWeights = Readonly<Record<string, number>>;

export function scoreOf(hits: readonly Hit[], marks: readonly string[]): Score {
  const sorted = hits.toSorted((a, b) => Math.abs(b.points) - Math.abs(a.points));
  return { points: round(hits.reduce((sum, { points }) => sum + points, 0)), hits: sorted, marks };
}

/** Points have two digits. */
export function round(points: number): number {
  return Math.round(points * 100) / 100;
}
