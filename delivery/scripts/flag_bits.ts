/** Flags of scripts as storage keeps them. */
import { FLAG_ANSWERED, FLAG_DELETED, FLAG_DRAFT, FLAG_FLAGGED, FLAG_SEEN } from "../../storage/changes.ts";

const SYSTEM_BITS: ReadonlyMap<string, number> = new Map([
  ["\\Seen", FLAG_SEEN],
  ["\\Answered", FLAG_ANSWERED],
  ["\\Flagged", FLAG_FLAGGED],
  ["\\Deleted", FLAG_DELETED],
  ["\\Draft", FLAG_DRAFT],
]);

export function flagBits(flags: readonly string[]): { readonly flags: number; readonly keywords: string } {
  let bits = 0;
  const keywords: string[] = [];
  for (const flag of flags) {
    const bit = SYSTEM_BITS.get(flag);
    if (bit === undefined) keywords.push(flag);
    else bits |= bit;
  }
  return { flags: bits, keywords: keywords.sort().join(" ") };
}

/** Names of system flags. */
export function flagNames(flags: number): string[] {
  return [...SYSTEM_BITS].filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name);
}
