/** What is kept of one session with a mail server, or of one look-up that failed, for the report (RFC 8460 4.4). */
import type { TlsResult } from "./certificate_check.ts";

/** Characters of a reason that are kept. */
const MAX_REASON = 200;

/** The policy a session was held against, as reports show it. */
export interface AppliedPolicy {
  readonly type: "tlsa" | "sts" | "no-policy-found";
  readonly lines: readonly string[];
  readonly mx: readonly string[];
}

export const NO_POLICY: AppliedPolicy = { type: "no-policy-found", lines: [], mx: [] };

export interface TlsObservation {
  readonly policy: AppliedPolicy;
  /** Null: all was as it had to be. */
  readonly result: TlsResult | null;
  readonly reason: string;
  readonly host: string;
  readonly address: string;
}

/** With its reason cut to what is kept. */
export function tlsObservation(seen: TlsObservation): TlsObservation {
  return { ...seen, reason: seen.reason.slice(0, MAX_REASON) };
}
