/** What the kinds of reports to other domains have in common, and where each is its own (reports/sender.ts). */
import type { Resolver } from "../../dns/resolver.ts";
import type { ObservedRow, ReportKind } from "../../storage/ops.ts";

export interface ReportFacts {
  readonly policyDomain: string;
  /** Milliseconds of the beginning of the day. */
  readonly day: number;
  /** Our name, and the domain of the contact. */
  readonly hostname: string;
  readonly rows: readonly ObservedRow[];
}

export type ReportTarget =
  | { readonly kind: "mail"; readonly address: string }
  | { readonly kind: "https"; readonly host: string; readonly path: string };

/** The message around a report. */
export interface ReportMail {
  readonly to: string;
  /** As in a Date field. */
  readonly date: string;
  readonly id: string;
  /** The report, compressed. */
  readonly gzip: Uint8Array;
}

export interface ReportForm {
  readonly kind: ReportKind;
  /** One target that takes it is enough (RFC 8460 3), or all are to have it (RFC 9990 3.5). */
  readonly wants: "one" | "all";
  /** Empty where no report is wanted. Rejects with ResolveError where DNS does not answer. */
  targets(resolver: Resolver, policyDomain: string): Promise<ReportTarget[]>;
  fileName(facts: ReportFacts): string;
  /** The report itself. */
  text(facts: ReportFacts): string;
  mail(facts: ReportFacts, mail: ReportMail): string;
}
