/**
 * The daily report of TLS towards one domain: whom to send it to, and its text (RFC 8460 3, 4 and 5.3).
 *
 * From the rows that security/tls_observation.ts describes; of more than {@linkcode MAX_DETAILS} kinds of failure the most
 * frequent stand in the report.
 */
import { txtTexts } from "../../dns/txt.ts";
import type { AppliedPolicy, TlsObservation } from "../security/tls_observation.ts";
import { type ReportFacts, type ReportForm, reportId, type ReportTarget } from "./form.ts";
import { DAY_MS } from "./observations.ts";

const MAX_DETAILS = 1_000;
/** Places one domain may want its reports sent to. */
const MAX_TARGETS = 5;

export const TLS_REPORT: ReportForm = {
  kind: "tls",
  wants: "one",
  targets: async (resolver, domain) =>
    reportTargets(txtTexts(await resolver.resolve(`_smtp._tls.${domain}`, "TXT"))),
  fileName: reportFileName,
  text: reportJson,
  envelope: {
    mark: "tlsrpt",
    about: "TLS towards",
    multipart: 'multipart/report; report-type="tlsrpt"',
    attachment: "application/tlsrpt+gzip",
    fields: ({ policyDomain, hostname }) => [
      `TLS-Report-Domain: ${policyDomain}`,
      `TLS-Report-Submitter: ${hostname}`,
      "TLS-Required: No",
    ],
  },
};

/** Of the TXT records at `_smtp._tls.DOMAIN`; empty where no report is wanted. */
export function reportTargets(records: readonly string[]): ReportTarget[] {
  const found = records.filter((record) => /^v=TLSRPTv1[ \t]*;/.test(record));
  if (found.length !== 1) return []; // RFC 8460 3
  const rua = found[0]!.split(";").map((field) => field.trim()).find((field) => field.startsWith("rua="));
  return (rua?.slice(4) ?? "").split(",").flatMap((uri) => targetOf(uri.trim())).slice(0, MAX_TARGETS);
}

function targetOf(uri: string): ReportTarget[] {
  const address = /^mailto:([^?\s,<>@]+@[^?\s,<>@]+)$/i.exec(uri)?.[1];
  if (address !== undefined) return [{ kind: "mail", address: decode(address) }];
  // Another port than that of HTTPS would let a stranger choose which service of which machine we talk to.
  const [, host, path] = /^https:\/\/([a-z0-9.-]+)(\/[\x21-\x7e]*)?$/i.exec(uri) ?? [];
  return host === undefined ? [] : [{ kind: "https", host: host.toLowerCase(), path: path ?? "/" }];
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    return /[\s<>]/.test(decoded) ? text : decoded;
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}

/** RFC 8460 5.1. */
function reportFileName({ policyDomain, day, hostname }: ReportFacts): string {
  return `${hostname}!${policyDomain}!${day / 1_000}!${(day + DAY_MS) / 1_000 - 1}.json.gz`;
}

/** RFC 8460 4.4. */
export function reportJson(facts: ReportFacts): string {
  const { policyDomain, day, hostname } = facts;
  const byPolicy = new Map<
    string,
    { policy: AppliedPolicy; rows: { seen: TlsObservation; count: number }[] }
  >();
  for (const { row, count } of facts.rows) {
    const seen = JSON.parse(row) as TlsObservation;
    const key = JSON.stringify(seen.policy);
    const group = byPolicy.get(key) ?? { policy: seen.policy, rows: [] };
    group.rows.push({ seen, count });
    byPolicy.set(key, group);
  }
  return JSON.stringify({
    "organization-name": hostname,
    "date-range": {
      "start-datetime": new Date(day).toISOString(),
      "end-datetime": new Date(day + DAY_MS - 1_000).toISOString(),
    },
    "contact-info": `postmaster@${hostname}`,
    "report-id": reportId(facts),
    policies: [...byPolicy.values()].map(({ policy, rows }) => {
      const failures = rows.filter(({ seen }) => seen.result !== null);
      const total = (of: typeof rows) => of.reduce((sum, { count }) => sum + count, 0);
      return {
        policy: {
          "policy-type": policy.type,
          ...(policy.lines.length > 0 && { "policy-string": policy.lines }),
          "policy-domain": policyDomain,
          ...(policy.mx.length > 0 && { "mx-host": policy.mx }),
        },
        summary: {
          "total-successful-session-count": total(rows) - total(failures),
          "total-failure-session-count": total(failures),
        },
        ...(failures.length > 0 && {
          "failure-details": failures.slice(0, MAX_DETAILS).map(({ seen, count }) => ({
            "result-type": seen.result,
            ...(seen.host !== "" && { "receiving-mx-hostname": seen.host }),
            ...(seen.address !== "" && { "receiving-ip": seen.address }),
            "failed-session-count": count,
            "failure-reason-code": seen.reason,
          })),
        }),
      };
    }),
  });
}
