/** What a reload of the configuration takes over, and which keys it names because they are read at start only. Pure. */
import type { Config, LimitsConfig } from "./config.ts";

/** Taken over by a reload, but for the parts named below. */
const RELOADED = ["limits", "bans", "logging", "certificates", "drainMs", "smtp", "copies"] as const;
/** Limits that are read at start, by their names in the file. */
const LIMITS_AT_START: Readonly<Partial<Record<keyof LimitsConfig, string>>> = {
  minFreeOctets: "limits.min_free_disk",
  loginFailuresPerAddress: "limits.login_failures_per_address",
};
/** Names in the file that are not those of {@linkcode Config}. */
const FILE_NAMES: Readonly<Partial<Record<keyof Config, string>>> = {
  publishedSts: "mta_sts",
  drainMs: "drain",
};
const FORMAT = "logging.format";

/** In words of the file: what a reload takes over, and which parts of that it does not. */
export const RELOADED_KEYS: readonly string[] = RELOADED.map(fileName);
export const AT_START_KEYS: readonly string[] = [...Object.values(LIMITS_AT_START), FORMAT];

/** `now` with what can change without a restart as `next` has it. */
export function reloaded(now: Config, next: Config): Config {
  const { limits, bans, logging, certificates, drainMs, smtp, copies } = next;
  const { minFreeOctets, loginFailuresPerAddress } = now.limits;
  return {
    ...now,
    limits: { ...limits, minFreeOctets, loginFailuresPerAddress },
    bans,
    logging: { ...logging, format: now.logging.format },
    certificates,
    drainMs,
    smtp,
    copies,
  };
}

/** Keys of the file, sorted, that differ and need a restart. */
export function restartKeys(now: Config, next: Config): string[] {
  const keys: string[] = [];
  for (const key of Object.keys(now) as (keyof Config)[]) {
    if ((RELOADED as readonly string[]).includes(key) || key === "listeners") continue;
    if (!same(now[key], next[key])) keys.push(fileName(key));
  }
  if (!same(now.listeners, portsAsNow(now, next))) keys.push("listeners");
  for (const [key, name] of Object.entries(LIMITS_AT_START) as [keyof LimitsConfig, string][]) {
    if (now.limits[key] !== next.limits[key]) keys.push(name);
  }
  if (now.logging.format !== next.logging.format) keys.push(FORMAT);
  return keys.sort();
}

/** A port chosen at start (0 in the file) is no change. */
function portsAsNow(now: Config, next: Config): Config["listeners"] {
  return next.listeners.map((listener, at) =>
    listener.port === 0 ? { ...listener, port: now.listeners[at]?.port ?? 0 } : listener
  );
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function fileName(key: keyof Config): string {
  return FILE_NAMES[key] ?? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
