/**
 * Masked addresses: made up for one correspondent, given up when they are misused.
 *
 * Twelve characters that say nothing of their owner and are easy to read out; 60 bits, so that nobody guesses one. Their
 * last use is noted to the hour, by each thread for itself.
 */
import type { Store } from "../storage/store.ts";

const CHARACTERS = "abcdefghijkmnpqrstuvwxyz23456789";
const LENGTH = 12;
const HOUR_MS = 3_600_000;
const MAX_NOTED = 10_000;

/** Hour of the last use that this thread wrote down, by address. */
const noted = new Map<string, number>();

/** A new local part. `random` are {@linkcode LENGTH} octets. */
export function maskedLocalPart(random: Uint8Array): string {
  return [...random.subarray(0, LENGTH)].map((octet) => CHARACTERS[octet & 31]).join("");
}

/** Notes that mail came; at most once an hour. */
export function noteUse(store: Store, address: string, now: number): void {
  const hour = Math.floor(now / HOUR_MS) * HOUR_MS;
  if (noted.get(address) === hour) return;
  if (noted.size >= MAX_NOTED) noted.clear();
  noted.set(address, hour);
  store.write({ kind: "touch-address", address, at: hour }).catch(() => noted.delete(address));
}
