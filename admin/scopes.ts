/**
 * What a token may do: `AREA:read`, `AREA:write` (which includes reading), or `admin` for everything.
 *
 * A token can only make tokens that may do no more than itself.
 */

const AREAS = [
  "accounts",
  "aliases",
  "dns",
  "domains",
  "health",
  "logs",
  "maintenance",
  "metrics",
  "quarantine",
  "queue",
  "sessions",
  "tokens",
] as const;
export type Area = (typeof AREAS)[number];
export type Scope = "admin" | `${Area}:read` | `${Area}:write`;

export const SCOPES: readonly Scope[] = [
  "admin",
  ...AREAS.flatMap((area): Scope[] => [`${area}:read`, `${area}:write`]),
];

/** Whether somebody with the scopes `held` may do what needs `wanted`. */
export function permits(held: readonly string[], wanted: Scope): boolean {
  if (held.includes("admin") || held.includes(wanted)) return true;
  return wanted.endsWith(":read") && held.includes(wanted.replace(/read$/, "write"));
}
