/**
 * Replies that say that our address is on a list: the destination would go on refusing, and each attempt makes it worse.
 *
 * The words are those of large providers and of the lists themselves; the code has to be a refusal for policy or a
 * temporary one. Pure.
 */
import type { Verdict } from "../settle.ts";

const LIST =
  /\b(?:black|block|deny)[- ]?list|\b(?:is|are|been|currently|you'?re) listed\b|\blisted (?:at|in|on|by)\b|\bdnsbl\b|\brbl\b|spamhaus|spamcop|barracudacentral|\bpoor reputation\b|\b(?:IP|sender|network)(?: address)? (?:reputation|is on our)/i;
/** Of a sender's or author's domain or of a link: not our address. */
const OTHER = /\b(?:URL|URI|link|surbl|uribl|dbl\.spamhaus|domain (?:is|has been) (?:black)?listed)\b/i;

/** The first wait; it doubles up to the longest. */
const FIRST_WAIT_MS = 5 * 60_000;
const LONGEST_WAIT_MS = 4 * 3_600_000;

export function namesUsAsListed({ outcome, enhanced, text, fromPeer }: Verdict): boolean {
  if (outcome === "delivered" || !fromPeer || !LIST.test(text) || OTHER.test(text)) return false;
  // RFC 3463: 7 is policy; without enhanced code only the class is known.
  return /^[45]\.7\./.test(enhanced) || /^[45]\.0\.0$/.test(enhanced) || enhanced.startsWith("4.");
}

/** How long the destination is let alone after so many such replies in a row. */
export function listedWaitMs(times: number): number {
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(Math.max(0, times - 1), 10));
}
