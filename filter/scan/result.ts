/** What a scanner beside the server says of one message. */
import { OutsideFault } from "../outside.ts";

export type ScanResult =
  | { readonly kind: "clean" }
  /** It holds a known virus. */
  | { readonly kind: "infected"; readonly name: string }
  /** Unwanted programs and heuristics: no proof, only marked. */
  | { readonly kind: "suspicious"; readonly name: string }
  /** It passed a limit of the scanner or ours. */
  | { readonly kind: "not-scanned"; readonly why: string }
  /** A filter of spam has nothing against it. */
  | { readonly kind: "wanted" }
  /** A filter of spam says so, with its score. */
  | { readonly kind: "spam"; readonly why: string };

export const CLEAN: ScanResult = { kind: "clean" };

/** The scanner gave no answer, or none that can be read. Its own words are the `cause`: only the log quotes them. */
export class ScanFault extends OutsideFault {
  override readonly name = "ScanFault";
}

/** A name of a hit, by what it proves. `markOnly` are beginnings of names that prove nothing. */
export function hit(name: string, markOnly: readonly string[]): ScanResult {
  if (/^Heuristics\.Limits\.Exceeded/i.test(name)) return { kind: "not-scanned", why: name };
  const lower = name.toLowerCase();
  return markOnly.some((beginning) => lower.startsWith(beginning.toLowerCase()))
    ? { kind: "suspicious", name }
    : { kind: "infected", name };
}
