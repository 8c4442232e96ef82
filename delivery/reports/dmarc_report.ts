/**
 * The daily report of mail that used one domain: who may have it, and its text (RFC 9990).
 *
 * Places outside of the domain's organization get it only where they have agreed (4): a record at
 * DOMAIN._report._dmarc.PLACE. From the rows that dmarc_observation.ts describes; texts of strangers are escaped.
 */
import { txtTexts } from "../../dns/txt.ts";
import { ResolveError, type Resolver } from "../../dns/resolver.ts";
import { isDmarcRecord, parseDmarcRecord } from "../../mailauth/dmarc_record.ts";
import { run } from "../../bytes/steps.ts";
import { DmarcTempError, TreeWalker } from "../../mailauth/org_domain.ts";
import type { DmarcObservation } from "../dmarc_observation.ts";
import { type ReportFacts, type ReportForm, reportId, type ReportTarget } from "./form.ts";
import { DAY_MS } from "./observations.ts";

/** Places one domain may want its reports sent to. */
const MAX_TARGETS = 5;
const NAMESPACE = "urn:ietf:params:xml:ns:dmarc-2.0";

export const DMARC_REPORT: ReportForm = {
  kind: "dmarc",
  wants: "all",
  targets: reportTargets,
  fileName: reportFileName,
  text: reportXml,
  envelope: {
    mark: "dmarc",
    about: "mail from",
    multipart: "multipart/mixed",
    attachment: "application/gzip",
    fields: () => [],
  },
};

async function reportTargets(resolver: Resolver, policyDomain: string): Promise<ReportTarget[]> {
  const texts = txtTexts(await resolver.resolve(`_dmarc.${policyDomain}`, "TXT")).filter(isDmarcRecord);
  const record = texts.length === 1 ? parseDmarcRecord(texts[0]!) : null;
  const targets: ReportTarget[] = [];
  for (const address of record?.aggregateAddresses.slice(0, MAX_TARGETS) ?? []) {
    const place = address.slice(address.lastIndexOf("@") + 1).toLowerCase();
    if (await mayHave(resolver, policyDomain, place)) targets.push({ kind: "mail", address });
  }
  return targets;
}

/** RFC 9990 4. */
async function mayHave(resolver: Resolver, policyDomain: string, place: string): Promise<boolean> {
  if (place === policyDomain) return true;
  const walker = new TreeWalker(resolver);
  try {
    const [ours, theirs] = [
      await run(walker.organizationalDomain(policyDomain)),
      await run(walker.organizationalDomain(place)),
    ];
    if (ours === theirs) return true;
  } catch (error) {
    if (error instanceof DmarcTempError) throw new ResolveError("server-failure", error.message);
    throw error;
  }
  const texts = txtTexts(await resolver.resolve(`${policyDomain}._report._dmarc.${place}`, "TXT"));
  return texts.some(isDmarcRecord);
}

function reportFileName({ policyDomain, day, hostname }: ReportFacts): string {
  return `${hostname}!${policyDomain}!${day / 1_000}!${(day + DAY_MS) / 1_000 - 1}.xml.gz`;
}

export function reportXml(facts: ReportFacts): string {
  const { policyDomain, day, hostname } = facts;
  const records = facts.rows.map(({ row, count }) => ({ seen: JSON.parse(row) as DmarcObservation, count }));
  // RFC 9990 3.3: of a policy that changed during the day one is shown.
  const { p, sp, np, adkim, aspf, testing, method } = records[0]!.seen.policy;
  const published = {
    ...{ domain: policyDomain, discovery_method: method, p, sp, np, adkim, aspf },
    testing: testing ? "y" : "n",
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<feedback xmlns="${NAMESPACE}">`,
    "<version>1.0</version>",
    element("report_metadata", [
      elements({ org_name: hostname, email: `postmaster@${hostname}`, report_id: reportId(facts) }),
      element("date_range", [elements({ begin: day / 1_000, end: (day + DAY_MS) / 1_000 - 1 })]),
      elements({ generator: "Veredus" }),
    ]),
    element("policy_published", [elements(published)]),
    ...records.map(record),
    "</feedback>",
    "",
  ].join("\n");
}

function record({ seen, count }: { readonly seen: DmarcObservation; readonly count: number }): string {
  const result = (aligned: boolean) => aligned ? "pass" : "fail";
  return element("record", [
    element("row", [
      elements({ source_ip: seen.source, count }),
      element("policy_evaluated", [
        elements({
          disposition: seen.disposition,
          dkim: result(seen.dkimAligned),
          spf: result(seen.spfAligned),
        }),
        seen.reason === null ? "" : element("reason", [elements({ ...seen.reason })]),
      ]),
    ]),
    element("identifiers", [elements({ header_from: seen.headerFrom, envelope_from: seen.envelopeFrom })]),
    element("auth_results", [
      ...seen.dkim.map(({ domain, selector, result }) =>
        element("dkim", [elements({ domain, selector, result })])
      ),
      seen.spf === null
        ? ""
        : element("spf", [elements({ domain: seen.spf.domain, scope: "mfrom", result: seen.spf.result })]),
    ]),
  ]);
}

function element(name: string, inside: readonly string[]): string {
  return `<${name}>\n${inside.filter((one) => one !== "").join("\n")}\n</${name}>`;
}

function elements(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values).map(([name, value]) => `<${name}>${escaped(String(value))}</${name}>`).join(
    "\n",
  );
}

/** XML 1.0 has no form for most control characters: they are left out. */
function escaped(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.toWellFormed().replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]/g, "")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
