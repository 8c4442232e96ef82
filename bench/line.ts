/** The straight line through measured points, and how far they are from it. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Line {
  readonly base: number;
  readonly slope: number;
}

/** Least squares. */
export function lineThrough(points: readonly Point[]): Line {
  const n = points.length;
  const meanX = points.reduce((sum, { x }) => sum + x, 0) / n;
  const meanY = points.reduce((sum, { y }) => sum + y, 0) / n;
  let along = 0, square = 0;
  for (const { x, y } of points) {
    along += (x - meanX) * (y - meanY);
    square += (x - meanX) ** 2;
  }
  const slope = along / square;
  return { slope, base: meanY - slope * meanX };
}

/** The farthest point's distance, in per cent of the highest point. */
export function bend(points: readonly Point[]): number {
  const { base, slope } = lineThrough(points);
  const highest = Math.max(...points.map(({ y }) => y));
  return Math.max(...points.map(({ x, y }) => Math.abs(y - base - slope * x))) / highest * 100;
}
