/**
 * Aggregate reports of others: DMARC in XML (RFC 9990, and RFC 7489 C as most still write it) and TLS in JSON (RFC 8460).
 *
 * What is kept is small and flat: who reports, about whom, for what time, and for each source how many and with what
 * result. Texts of strangers are cut and cleaned. Limits: {@linkcode MAX_ROWS}; entities are not expanded.
 */
import { XMLParser, XMLValidator } from "fast-xml-parser";

export const MAX_ROWS = 20_000;
const MAX_TEXT = 255;

export interface AggregateReport {
  readonly kind: "dmarc" | "tls";
  /** Lower case. */
  readonly domain: string;
  readonly organization: string;
  readonly reportId: string;
  /** Milliseconds. */
  readonly beginAt: number;
  readonly endAt: number;
  readonly policy: string;
  readonly rows: readonly AggregateRow[];
}

export interface AggregateRow {
  readonly source: string;
  readonly count: number;
  readonly result: string;
  readonly detail: string;
}

type Tree = Readonly<Record<string, unknown>>;

/** Null where it is no report that can be used; several where a TLS report is about several domains. */
export function parseAggregateReport(text: string): AggregateReport[] | null {
  const begin = text.slice(0, 200).trimStart();
  if (begin.startsWith("{")) return parseTlsReport(text);
  return begin.replace(/^\ufeff/, "").startsWith("<") ? parseDmarcReport(text) : null;
}

function parseDmarcReport(text: string): AggregateReport[] | null {
  // A document type could define entities: no report has one.
  if (/<!DOCTYPE/i.test(text) || XMLValidator.validate(text) !== true) return null;
  let tree: unknown;
  try {
    tree = new XMLParser({
      ...{ ignoreAttributes: true, removeNSPrefix: true, parseTagValue: false, processEntities: true },
      isArray: (name: string) => name === "record",
    }).parse(text);
  } catch (error) {
    if (error instanceof Error) return null; // the library's only way to say "malformed"
    throw error;
  }
  const feedback = at(tree, "feedback");
  const meta = at(feedback, "report_metadata"), published = at(feedback, "policy_published");
  const range = at(meta, "date_range");
  const domain = word(published, "domain").toLowerCase(), reportId = word(meta, "report_id");
  const beginAt = seconds(range, "begin"), endAt = seconds(range, "end");
  const records = at(feedback, "record");
  if (domain === "" || reportId === "" || beginAt === null || endAt === null || !Array.isArray(records)) {
    return null;
  }
  const rows: AggregateRow[] = [];
  for (const record of records.slice(0, MAX_ROWS)) {
    const row = at(record, "row"), evaluated = at(row, "policy_evaluated");
    const count = whole(at(row, "count"));
    const [dkim, spf] = [word(evaluated, "dkim"), word(evaluated, "spf")];
    if (count === null) continue;
    rows.push({
      source: word(row, "source_ip"),
      count,
      result: dkim === "pass" || spf === "pass" ? "pass" : "fail",
      detail: `${word(evaluated, "disposition") || "none"} dkim=${dkim || "none"} spf=${spf || "none"} from=${
        word(at(record, "identifiers"), "header_from").toLowerCase()
      }`,
    });
  }
  const policy = ["p", "sp", "np", "testing"].map((name) => [name, word(published, name)])
    .filter(([, value]) => value !== "").map((pair) => pair.join("=")).join(" ");
  return [{
    ...{
      kind: "dmarc",
      domain,
      organization: word(meta, "org_name"),
      reportId,
      beginAt,
      endAt,
      policy,
      rows,
    },
  }];
}

function parseTlsReport(text: string): AggregateReport[] | null {
  let tree: unknown;
  try {
    tree = JSON.parse(text);
  } catch {
    return null; // the parser's only way to say "malformed"
  }
  const range = at(tree, "date-range");
  const beginAt = Date.parse(word(range, "start-datetime")), endAt = Date.parse(word(range, "end-datetime"));
  const reportId = word(tree, "report-id"), policies = at(tree, "policies");
  if (reportId === "" || Number.isNaN(beginAt) || Number.isNaN(endAt) || !Array.isArray(policies)) {
    return null;
  }
  const reports: AggregateReport[] = [];
  let left = MAX_ROWS;
  for (const entry of policies.slice(0, 100)) {
    const policy = at(entry, "policy"), summary = at(entry, "summary");
    const domain = word(policy, "policy-domain").toLowerCase().replace(/\.$/, "");
    const details = at(entry, "failure-details");
    if (domain === "") continue;
    const rows: AggregateRow[] = [];
    const passed = whole(at(summary, "total-successful-session-count"));
    if (passed !== null) rows.push({ source: "", count: passed, result: "success", detail: "" });
    for (const detail of Array.isArray(details) ? details.slice(0, left) : []) {
      const count = whole(at(detail, "failed-session-count"));
      if (count === null) continue;
      const words = [word(detail, "receiving-mx-hostname"), word(detail, "failure-reason-code")];
      rows.push({
        source: word(detail, "sending-mta-ip"),
        count,
        result: word(detail, "result-type"),
        detail: words.filter((one) => one !== "").join(" "),
      });
    }
    left -= Math.min(left, rows.length);
    const organization = word(tree, "organization-name");
    const type = word(policy, "policy-type");
    reports.push({ ...{ kind: "tls", domain, organization, reportId, beginAt, endAt }, policy: type, rows });
  }
  return reports.length === 0 ? null : reports;
}

function at(tree: unknown, name: string): unknown {
  return typeof tree === "object" && tree !== null && Object.hasOwn(tree, name)
    ? (tree as Tree)[name]
    : undefined;
}

function word(tree: unknown, name: string): string {
  const value = at(tree, name);
  const text = typeof value === "string" || typeof value === "number" ? String(value) : "";
  return text.replace(/[^\x20-\x7e\xa0-\uffff]+/g, " ").trim().slice(0, MAX_TEXT);
}

function seconds(tree: unknown, name: string): number | null {
  const value = whole(at(tree, name));
  return value === null || value > 1e11 ? null : value * 1_000;
}

function whole(value: unknown): number | null {
  const text = typeof value === "number" || typeof value === "string" ? String(value).trim() : "";
  return /^\d{1,15}$/.test(text) ? Number(text) : null;
}
