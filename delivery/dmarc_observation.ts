/**
 * What is kept of one message for the DMARC report to the owner of its domain (RFC 9990 3.1.1.7 to 3.1.1.14).
 *
 * Nothing about recipients, and nothing of reports themselves: two servers that report about each other's reports would
 * never end. Pure.
 */
import type { DmarcPolicy } from "../mailauth/dmarc_record.ts";
import type { SenderFindings } from "../mailauth/sender_check.ts";
import type { SenderVerdict } from "./authentication.ts";

/** Signatures of one row. */
const MAX_SIGNATURES = 10;
/** RFC 9990 3.5.2: how the subject of a report begins. */
const REPORT_SUBJECT = /^\s*report\s+domain:/i;

export interface DmarcObservation {
  readonly source: string;
  readonly policy: {
    readonly p: DmarcPolicy;
    readonly sp: DmarcPolicy;
    readonly np: DmarcPolicy;
    readonly adkim: "r" | "s";
    readonly aspf: "r" | "s";
    readonly testing: boolean;
    readonly method: "treewalk" | "psl";
  };
  readonly disposition: "none" | "pass" | "quarantine" | "reject";
  readonly dkimAligned: boolean;
  readonly spfAligned: boolean;
  /** Why the disposition is not what the policy asks for; null where it is. */
  readonly reason: { readonly type: OverrideType; readonly comment: string } | null;
  readonly headerFrom: string;
  readonly envelopeFrom: string;
  readonly dkim: readonly { readonly domain: string; readonly selector: string; readonly result: string }[];
  readonly spf: { readonly domain: string; readonly result: string } | null;
}

/** RFC 9990 3.1.6. */
export type OverrideType =
  | "local_policy"
  | "mailing_list"
  | "other"
  | "policy_test_mode"
  | "trusted_forwarder";

/** Null where there is nobody to report to, or nothing to report. */
export function dmarcObservation(
  { findings, verdict, sender, subject, method }: {
    readonly findings: SenderFindings;
    readonly verdict: SenderVerdict;
    /** Reverse-path. */
    readonly sender: string;
    readonly subject: string;
    readonly method: "treewalk" | "psl";
  },
): { readonly policyDomain: string; readonly seen: DmarcObservation } | null {
  const { dmarc, judged, spf } = findings;
  const record = dmarc?.record ?? null;
  if (dmarc === null || record === null || judged === null) return null;
  if (record.aggregateAddresses.length === 0 || REPORT_SUBJECT.test(subject)) return null;
  if (dmarc.result !== "pass" && dmarc.result !== "fail") return null;
  const disposition = dispositionOf(dmarc, verdict);
  const envelopeFrom = sender.slice(sender.lastIndexOf("@") + 1).toLowerCase();
  const sp = record.subdomainPolicy ?? record.policy;
  return {
    policyDomain: dmarc.policyDomain,
    seen: {
      source: judged.address,
      policy: {
        p: record.policy,
        sp,
        np: record.nonExistentPolicy ?? sp,
        adkim: record.dkimAlignment === "strict" ? "s" : "r",
        aspf: record.spfAlignment === "strict" ? "s" : "r",
        testing: record.testing,
        method,
      },
      disposition,
      dkimAligned: dmarc.dkimAligned,
      spfAligned: dmarc.spfAligned,
      reason: dmarc.result === "pass" ? null : reasonOf(findings, { verdict, disposition }),
      headerFrom: dmarc.authorDomain,
      envelopeFrom,
      dkim: (findings.dkim ?? []).filter(({ domain }) => domain !== "")
        .toSorted((a, b) => Number(b.result === "pass") - Number(a.result === "pass"))
        .slice(0, MAX_SIGNATURES).map(({ domain, selector, result }) => ({ domain, selector, result })),
      // DMARC uses the identity of MAIL FROM alone (RFC 9990 3.1.1.13).
      spf: spf === null || envelopeFrom === "" ? null : { domain: envelopeFrom, result: spf.result },
    },
  };
}

type Dmarc = NonNullable<SenderFindings["dmarc"]>;

function dispositionOf(
  { result, published }: Dmarc,
  { action }: SenderVerdict,
): DmarcObservation["disposition"] {
  if (result === "pass") return published === "none" ? "none" : "pass";
  return action === "refuse" ? "reject" : action === "junk" ? "quarantine" : "none";
}

function reasonOf(
  findings: SenderFindings,
  { verdict, disposition }: {
    readonly verdict: SenderVerdict;
    readonly disposition: DmarcObservation["disposition"];
  },
): DmarcObservation["reason"] {
  const { published, policy, record } = findings.dmarc!;
  if (disposition === published) return null;
  if (disposition === policy && record?.testing) return { type: "policy_test_mode", comment: "t=y" };
  const type: OverrideType = verdict.action !== "deliver" || policy === "none"
    ? "local_policy"
    : verdict.reason.startsWith("signed by the list")
    ? "mailing_list"
    : verdict.reason.startsWith("sealed")
    ? "trusted_forwarder"
    : "other";
  return { type, comment: verdict.reason };
}
