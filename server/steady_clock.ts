/**
 * Milliseconds since the epoch that never go back: for limits in memory, which a clock that is put back would fill or freeze.
 * Every thread began to count by the time of day, so that they agree, unless that was put right between their starts.
 */
export function steadyNow(): number {
  return performance.timeOrigin + performance.now();
}
