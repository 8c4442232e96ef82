/** What the chain of trust says of zones and names. */
import type { DnskeyData } from "../rdata_dnssec.ts";
import { EXTENDED_ERRORS, type ExtendedError } from "../resolver.ts";

/** What is known about a zone: its keys, or why it has none that count. */
export type Trust =
  | { readonly kind: "secure"; readonly zone: string; readonly keys: readonly DnskeyData[] }
  | { readonly kind: "insecure" | "bogus" | "indeterminate"; readonly reason: ExtendedError };

/** What is known about one name on the way down. `ttlSeconds`: for how long. */
export type Step =
  /** A zone begins here, or its chain ends here. */
  | { readonly kind: "cut"; readonly trust: Trust; readonly ttlSeconds: number }
  /** It belongs to the zone above. */
  | { readonly kind: "inside"; readonly ttlSeconds: number }
  /** It does not exist, nor does anything below. */
  | { readonly kind: "gone"; readonly ttlSeconds: number };

export type SecureZone = Extract<Trust, { kind: "secure" }>;

/** What was learned about a name is kept for so long at most. */
export const MAX_STEP_TTL_SECONDS = 3_600;
/** What is bogus, or cannot be told, is asked for again behind so long. */
export const BOGUS_TTL_SECONDS = 30;

export const NO_ANCHOR: Trust = {
  kind: "indeterminate",
  reason: { code: EXTENDED_ERRORS.INDETERMINATE, text: "there is no trust anchor" },
};

export function bogusCut(reason: ExtendedError): Step {
  return { kind: "cut", trust: { kind: "bogus", reason }, ttlSeconds: BOGUS_TTL_SECONDS };
}

export function insecureCut(reason: ExtendedError, ttlSeconds: number): Step {
  return { kind: "cut", trust: { kind: "insecure", reason }, ttlSeconds };
}

export function stepText(step: Step): string {
  if (step.kind === "inside") return "belongs to the zone above";
  if (step.kind === "gone") return "does not exist";
  return step.trust.kind === "secure"
    ? `is a secure zone (${step.trust.keys.length} keys)`
    : `is ${step.trust.kind}: ${step.trust.reason.text}`;
}
