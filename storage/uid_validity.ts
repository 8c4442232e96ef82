/**
 * UIDVALIDITY after data was put back from a copy (RFC 9051 2.3.1.1).
 *
 * The server that was lost has given out UIDs, and UIDVALIDITYs, that nobody knows any more; a new value has to be larger than
 * any of them. Values come from one counter that never lags behind the clock in seconds and runs ahead of it only where more than
 * one name a second is made (operations/mailbox.ts). So the value lies above the clock, above the copy's own counter, and
 * {@linkcode STEP} higher than both. It grows with every second too: the same copy, put back twice, has two values.
 */

/** Names that the lost server may have made beyond one a second. */
const STEP = 2 ** 22;
const MAX_UID_VALIDITY = 0xffffffff;

export interface LastKnown {
  /** The largest value in the copy. */
  readonly largest: number;
  /** When that was so. Seconds, as all times here. */
  readonly asOf: number;
  readonly now: number;
  /** Values up to this are known to have been used; 0: none beyond the copy's. */
  readonly above: number;
}

/** Null where no larger value is left in 32 bits. */
export function validityAfterRestore({ largest, asOf, now, above }: LastKnown): number | null {
  const known = Math.max(largest, above);
  const wanted = Math.max(now, largest + Math.max(0, now - asOf), above) + STEP;
  // Values brought from elsewhere may be near the end already (operations/import.ts).
  const value = Math.min(wanted, known + Math.floor((MAX_UID_VALIDITY - known) / 2));
  return value > known ? value : null;
}
