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

/** What a kind of report puts around it. */
export interface ReportEnvelope {
  /** In Message-ID and boundary. */
  readonly mark: string;
  /** What was seen, for people: "mail from". */
  readonly about: string;
  readonly multipart: string;
  readonly attachment: string;
  /** Header lines of its own. */
  readonly fields: (facts: ReportFacts) => readonly string[];
}

export interface ReportForm {
  readonly kind: ReportKind;
  /** One target that takes it is enough (RFC 8460 3), or all are to have it (RFC 9990 3.5). */
  readonly wants: "one" | "all";
  /** Empty where no report is wanted. Rejects with ResolveError where DNS does not answer. */
  targets(resolver: Resolver, policyDomain: string): Promise<ReportTarget[]>;
  fileName(facts: ReportFacts): string;
  readonly envelope: ReportEnvelope;
  /** The report itself. */
  text(facts: ReportFacts): string;
}

function dayOf({ day }: ReportFacts): string {
  return new Date(day).toISOString().slice(0, 10);
}

/** Unique among the reports to one domain (RFC 9990 3.5.1). */
export function reportId(facts: ReportFacts): string {
  return `${dayOf(facts)}.${facts.policyDomain}`;
}

/** The message that carries a report (RFC 8460 5.3, RFC 9990 3.5.2). */
export function reportMail(
  { envelope, fileName }: Pick<ReportForm, "envelope" | "fileName">,
  facts: ReportFacts,
  { to, date, id, gzip }: ReportMail,
): string {
  const { policyDomain, hostname } = facts;
  const { mark, about, multipart, attachment } = envelope;
  const boundary = `=_${id}.${mark}`;
  return [
    `From: <postmaster@${hostname}>`,
    `To: <${to}>`,
    `Date: ${date}`,
    `Message-ID: <${id}.${mark}@${hostname}>`,
    `Subject: Report Domain: ${policyDomain}`,
    ` Submitter: ${hostname}`,
    ` Report-ID: <${reportId(facts)}@${hostname}>`,
    ...envelope.fields(facts),
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    `Content-Type: ${multipart}; boundary="${boundary}"`,
    "",
    `--${boundary}`,
    "Content-Type: text/plain; charset=us-ascii",
    "",
    `This is what ${hostname} saw of ${about} ${policyDomain} on ${dayOf(facts)} (UTC).`,
    "",
    `--${boundary}`,
    `Content-Type: ${attachment}`,
    "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment;",
    ` filename="${fileName(facts)}"`,
    "",
    ...(gzip.toBase64().match(/.{1,76}/g) ?? []),
    `--${boundary}--`,
    "",
  ].join("\r\n");
}
