/**
 * The Sender Rewriting Scheme: reverse-paths of forwarded mail that lead back through us.
 *
 * `user@a` forwarded by us becomes `SRS0=HASH=TT=a=user@us`; what was rewritten by another forwarder `b` already
 * becomes `SRS1=HASH=b==REST@us`, so that a chain grows no longer (M. Weng, "The Sender Rewriting Scheme", 2003). TT is
 * the day modulo 1,024 in two characters, HASH an HMAC over everything behind it in lower case, because hosts on the
 * way fold cases. Only what we made comes back: forged and expired addresses open nothing. Several keys verify, the
 * first signs. Pure but for the digest.
 */
import { createHmac, timingSafeEqual } from "node:crypto";

/** Days that a rewritten address is good for. */
export const SRS_DAYS = 21;
/** Base32 characters of the hash: 40 bits, each guess a connection to us. */
const HASH_CHARACTERS = 8;
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DAY_MS = 86_400_000;
const SRS = /^srs([01])[=+-]/i;

export interface SrsFacts {
  /** The newest first; at least one. */
  readonly keys: readonly Uint8Array[];
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export type SrsReversal =
  | { readonly kind: "address"; readonly address: string }
  | { readonly kind: "refused"; readonly reason: "forged" | "expired" | "malformed" };

export function isSrs(localPart: string): boolean {
  return SRS.test(localPart);
}

/** The reverse-path of mail from `sender` that `domain` forwards. */
export function srsForward(sender: string, domain: string, facts: SrsFacts): string {
  const at = sender.lastIndexOf("@");
  const localPart = sender.slice(0, at);
  const host = sender.slice(at + 1);
  const rewritten = SRS.exec(localPart);
  const key = facts.keys[0]!;
  if (rewritten === null) {
    const rest = `${timestamp(facts.now)}=${host}=${localPart}`;
    return `SRS0=${hash(key, rest)}=${rest}@${domain}`;
  }
  // What follows the host is the first forwarder's own text with the separator it used, never read by us.
  const rest = rewritten[1] === "0"
    ? `${host}=${localPart.slice(4)}`
    : localPart.slice(localPart.indexOf("=", 5) + 1);
  return `SRS1=${hash(key, rest)}=${rest}@${domain}`;
}

/** Where a bounce to one of our rewritten local parts goes. */
export function srsReverse(localPart: string, facts: SrsFacts): SrsReversal {
  const match = /^srs([01])[=+-]([^=]+)=(.+)$/i.exec(localPart);
  const [, kind, given = "", rest = ""] = match ?? [];
  if (kind === undefined) return { kind: "refused", reason: "malformed" };
  if (!facts.keys.some((key) => same(hash(key, rest), given))) return { kind: "refused", reason: "forged" };
  if (kind === "0") {
    const parts = /^([^=]+)=([^=]+)=(.+)$/.exec(rest);
    if (parts === null) return { kind: "refused", reason: "malformed" };
    const [, day = "", host = "", user = ""] = parts;
    if (!fresh(day, facts.now)) return { kind: "refused", reason: "expired" };
    return { kind: "address", address: `${user}@${host}` };
  }
  // The first forwarder looks at its own hash and day.
  const parts = /^([^=]+)=([=+-].+)$/.exec(rest);
  if (parts === null) return { kind: "refused", reason: "malformed" };
  return { kind: "address", address: `SRS0${parts[2]}@${parts[1]}` };
}

/** Two characters for the day. */
export function timestamp(now: number): string {
  const day = Math.floor(now / DAY_MS) % 1_024;
  return ALPHABET[day >> 5]! + ALPHABET[day & 31]!;
}

function fresh(text: string, now: number): boolean {
  if (text.length !== 2) return false;
  const [high, low] = [...text.toUpperCase()].map((character) => ALPHABET.indexOf(character));
  if (high === undefined || low === undefined || high < 0 || low < 0) return false;
  const age = (Math.floor(now / DAY_MS) - (high * 32 + low)) % 1_024;
  return (age + 1_024) % 1_024 <= SRS_DAYS;
}

function hash(key: Uint8Array, text: string): string {
  const digest = createHmac("sha256", key).update(text.toLowerCase()).digest();
  let characters = "";
  let bits = 0;
  let value = 0;
  for (let at = 0; characters.length < HASH_CHARACTERS; at++) {
    value = (value << 8) | digest[at]!;
    bits += 8;
    for (; bits >= 5 && characters.length < HASH_CHARACTERS; bits -= 5) {
      characters += ALPHABET[(value >> (bits - 5)) & 31];
    }
    value &= 31;
  }
  return characters;
}

function same(expected: string, given: string): boolean {
  const a = new TextEncoder().encode(expected);
  const b = new TextEncoder().encode(given.toUpperCase());
  return a.length === b.length && timingSafeEqual(a, b);
}
