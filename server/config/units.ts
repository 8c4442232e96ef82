/**
 * Durations and sizes as people write them: `5m`, `1h 30m`, `50 MB`, `64 KiB`.
 *
 * kB, MB, GB are powers of 1,000, KiB, MiB, GiB of 1,024. A bare number is octets for sizes; a duration needs its
 * unit, because `timeout: 5` has meant seconds, minutes and milliseconds to different people.
 */

const DURATION_UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const SIZE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  kB: 1_000,
  KB: 1_000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  TB: 1_000_000_000_000,
  KiB: 1_024,
  MiB: 1_048_576,
  GiB: 1_073_741_824,
};

/** Milliseconds, or null when the text is no duration. */
export function parseDuration(text: string): number | null {
  if (text.trim() === "0") return 0;
  let total = 0, rest = text.trim();
  if (rest === "") return null;
  while (rest !== "") {
    const match = /^(\d+(?:\.\d+)?)\s*(ms|[smhdw])\s*/.exec(rest);
    const unit = DURATION_UNITS[match?.[2] ?? "none"];
    if (match === null || unit === undefined) return null;
    total += Number(match[1]) * unit;
    rest = rest.slice(match[0].length);
  }
  return Math.round(total);
}

/** Octets, or null when the text is no size. */
export function parseSize(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*$/.exec(text);
  const unit = SIZE_UNITS[match?.[2] ?? "none"];
  if (match === null || unit === undefined) return null;
  return Math.round(Number(match[1]) * unit);
}

/** The shortest exact form: 300,000 is `5m`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return "0";
  for (const unit of ["w", "d", "h", "m", "s"]) {
    if (ms % DURATION_UNITS[unit]! === 0) return `${ms / DURATION_UNITS[unit]!}${unit}`;
  }
  return `${ms}ms`;
}

/** The shortest exact form: 50,000,000 is `50 MB`. */
export function formatSize(octets: number): string {
  for (const unit of ["GB", "MB", "GiB", "MiB", "kB", "KiB"]) {
    if (octets > 0 && octets % SIZE_UNITS[unit]! === 0) return `${octets / SIZE_UNITS[unit]!} ${unit}`;
  }
  return String(octets);
}
