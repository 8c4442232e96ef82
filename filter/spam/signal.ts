/**
 * A signal: one small thing that speaks for or against a message. Many of them make the score.
 *
 * Each stands in a file of its own under signals/. A weight is in points: 5 points together are what Junk is made of
 * (score.ts); below 0 a signal speaks for the message. `explain` is what the recipient reads.
 */
import type { Mail } from "./mail.ts";
import type { Surroundings } from "./surroundings.ts";

export interface Facts {
  readonly mail: Mail;
  /** What is known besides the octets; null where only they are judged. */
  readonly around: Surroundings | null;
}

export interface Signal {
  /** In headers, metrics and settings: a-z and hyphens. */
  readonly name: string;
  /** Points at full strength. */
  readonly weight: number;
  readonly explain: string;
  /** It depends on who gets the message; left out: it does not. */
  readonly personal?: true;
  /**
   * How much of it there is: 0 or false nothing, 1 or true all of it; below 0 it speaks the other way. Never throws, whatever the
   * message holds.
   */
  readonly find: (facts: Facts) => number | boolean;
}
