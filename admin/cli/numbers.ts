/** Numbers and sizes as they are typed. */
import { CliFailure } from "./context.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** Octets of `500MB`, `2 GiB` or a bare number. */
export function sizeOf(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim());
  const unit = UNITS[match?.[2]?.toUpperCase() ?? "-"];
  if (match === null || unit === undefined) {
    throw new CliFailure(`"${text}" is not a size, as in 500MB or 2GiB`, { exit: "usage" });
  }
  return Math.round(Number(match[1]) * unit);
}

export function numberOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new CliFailure(`"${text}" is not a whole number`, { exit: "usage" });
}
