/** What keys of the configuration are made of: their documentation, and kinds of values with the words for what is allowed. */
import { isIP } from "node:net";
import { z } from "zod";
import { formatDuration, formatSize, parseDuration, parseSize } from "./units.ts";

/** What the example says about a key. */
export interface KeyDoc {
  readonly doc: string;
  /** Shown commented out when the default is "nothing". */
  readonly sample?: unknown;
  [key: string]: unknown;
}

export function about<T extends z.ZodType>(type: T, doc: string, sample?: unknown): T {
  return type.meta({ doc, ...(sample !== undefined && { sample }) });
}

/** A duration between two bounds; the default is given in milliseconds and shown with its unit. */
export function duration(fallbackMs: number, min: string, max: string) {
  const [least, most] = [parseDuration(min) ?? 0, parseDuration(max) ?? 0];
  const allowed = `a duration from ${min} to ${max}, as in "90s", "5m", "1h 30m"`;
  return z.string({ error: allowed }).transform((text, context) => {
    const ms = parseDuration(text);
    if (ms !== null && ms >= least && ms <= most) return ms;
    context.issues.push({ code: "custom", message: allowed, input: text });
    return z.NEVER;
  }).prefault(formatDuration(fallbackMs));
}

export function size(fallback: number, min: string, max: string) {
  const [least, most] = [parseSize(min) ?? 0, parseSize(max) ?? 0];
  const allowed = `a size from ${min} to ${max}, as in "50 MB", "64 KiB"`;
  return z.union([z.string(), z.number()], { error: allowed }).transform((value, context) => {
    const octets = parseSize(String(value));
    if (octets !== null && octets >= least && octets <= most) return octets;
    context.issues.push({ code: "custom", message: allowed, input: value });
    return z.NEVER;
  }).prefault(formatSize(fallback));
}

export function whole(fallback: number, min: number, max: number) {
  const error = `a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error }).default(fallback);
}

export function text(allowed: string, pattern: RegExp) {
  return z.string({ error: allowed }).regex(pattern, { error: allowed });
}

export const domain = text("a domain name, as in example.org", /^[^\s@:/\\]+\.?$/);
export const path = text("a path", /^[^\0]+$/);
export const port = whole(0, 0, 65_535).removeDefault();
const networkText = "a network, as in 192.0.2.0/24 or 2001:db8::/32";
export const network = z.string({ error: networkText }).refine((value) => {
  const [address = "", bits, more] = value.split("/");
  const family = isIP(address);
  if (family === 0 || more !== undefined) return false;
  return bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
}, { error: networkText });
export const hostPortText = "HOST:PORT, as in smtp.example.org:587 or [2001:db8::1]:25";

export function lower(value: string): string {
  return value.toLowerCase();
}
