/**
 * When a recipient that could not be reached is tried again, when its sender hears of the delay, when it is given up.
 *
 * RFC 5321 4.5.4.1 (retries, give-up time), RFC 3461 4.2 and 6 (delay notices). Waits double from the first to the
 * longest; jitter keeps messages that failed together from coming back together. The last attempt is made when the
 * message expires, never later. Pure: time and random number are arguments.
 */

export interface ScheduleOptions {
  readonly firstRetryMs: number;
  readonly maxRetryMs: number;
  /** A wait is this much longer or shorter at most. */
  readonly jitterPercent: number;
  readonly delayNoticeMs: number;
}

/**
 * The time of the next attempt; null gives the recipient up. `attempts` counts those before the one that just failed,
 * `random` is uniform in [0, 1).
 */
export function nextAttempt(
  options: ScheduleOptions,
  facts: {
    readonly attempts: number;
    readonly now: number;
    readonly expiresAt: number;
    readonly random: number;
  },
): number | null {
  if (facts.now >= facts.expiresAt) return null;
  // 2^30 first waits are past every longest one; more would leave the integers.
  const doubled = options.firstRetryMs * 2 ** Math.min(facts.attempts, 30);
  const jitter = 1 + (options.jitterPercent / 100) * (2 * facts.random - 1);
  const wait = Math.round(Math.min(doubled, options.maxRetryMs) * jitter);
  return Math.min(facts.now + Math.max(1, wait), facts.expiresAt);
}

/** True when the sender has waited long enough to be told, once. */
export function delayNoticeDue(
  options: ScheduleOptions,
  facts: { readonly now: number; readonly createdAt: number; readonly delayNotified: boolean },
): boolean {
  return !facts.delayNotified && facts.now - facts.createdAt >= options.delayNoticeMs;
}
