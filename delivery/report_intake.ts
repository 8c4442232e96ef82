/**
 * Aggregate reports that others send about our domains: found in mail that comes in, and kept.
 *
 * Believed only from an author whose DMARC passed, and only about domains that are ours. The message is delivered like any
 * other; nobody waits for this, and a report that cannot be read is a line in the log.
 */
import { getLogger } from "@logtape/logtape";
import type { SenderFindings } from "../mailauth/sender_check.ts";
import { MAX_ARCHIVE_OCTETS } from "../mailauth/report_limits.ts";
import { decodeTransferEncoding } from "../message/content.ts";
import type { MessageFacts } from "../message/facts.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../message/mime_parser.ts";
import type { Spool, Store } from "../storage/store.ts";
import { counter } from "../telemetry/metrics.ts";

const log = getLogger(["veredus", "delivery"]);
const reports = counter("veredus_reports_received_total", "Aggregate reports about our domains", [
  "kind",
  "outcome",
]);

/** Base64 takes a third more, and there is a header. */
const MAX_MESSAGE_OCTETS = MAX_ARCHIVE_OCTETS * 2;
/** RFC 9990 4 and RFC 8460 5.3: both put these words into Subject. */
const SUBJECT = /\breport domain\s*:/i;
/** RFC 8460 6.4 has application/tlsrpt+gzip and +json; some write it without. */
const TYPES =
  /^(application\/(gzip|x-gzip|zip|x-zip-compressed|xml|json|tlsrpt(\+(gzip|json))?|octet-stream)|text\/xml)$/i;
const WANTED: ReadonlySet<string> = new Set(["content-type", "content-transfer-encoding"]);

/** The octets of the message where it may be a report; null where it is none. Call it before they are stored. */
export function possibleReport(
  spool: Spool,
  { subject }: MessageFacts,
  findings: SenderFindings | null,
): Promise<Uint8Array> | null {
  if (findings?.dmarc?.result !== "pass" || !SUBJECT.test(subject)) return null;
  return spool.octets > MAX_MESSAGE_OCTETS ? null : spool.read(0, spool.octets);
}

/** Keeps the report in the message, if there is one. Never rejects. */
export async function takeReport(
  store: Store,
  { octets, sender, trace, now }: {
    readonly octets: Uint8Array;
    readonly sender: string;
    /** Id of the message that brings it. */
    readonly trace: string;
    readonly now: number;
  },
): Promise<void> {
  try {
    // Readers of XML and archives are heavy, and reports are rare: loaded when one comes.
    const [{ parseAggregateReport }, { reportText }] = await Promise.all([
      import("../mailauth/aggregate_report.ts"),
      import("../mailauth/report_archive.ts"),
    ]);
    const found = partsOf(octets).flatMap((part) => parseAggregateReport(reportText(part) ?? "") ?? []);
    if (found.length === 0) return log.info("a report of {sender} could not be read", { sender, trace });
    for (const report of found) {
      const ours = store.directory.domain(report.domain) !== null;
      const result = ours
        ? await store.write({ kind: "put-report", report: { ...report, sender, receivedAt: now } })
        : null;
      const outcome = result === null ? "not-ours" : result.ok ? "kept" : result.fault;
      reports.inc({ kind: report.kind, outcome });
      log.info("a {kind} report of {sender} about {domain}: {outcome}", {
        ...{ kind: report.kind, sender, domain: report.domain, outcome, rows: report.rows.length, trace },
      });
    }
  } catch (error) {
    log.error("a report of {sender} could not be kept: {error}", { sender, error, trace });
  }
}

function partsOf(octets: Uint8Array): Uint8Array[] {
  const parser = new MimeParser(DEFAULT_MIME_LIMITS, (block, spans) => pick(block, spans, WANTED));
  parser.push(octets, 0, octets.length);
  const leaves: MimePart[] = [];
  collect(parser.finish(), leaves);
  return leaves.slice(0, 5).map((part) =>
    decodeTransferEncoding(
      octets.subarray(part.bodyStart, part.bodyEnd),
      part.fields.get("content-transfer-encoding") ?? "",
    )
  );
}

function collect(part: MimePart, leaves: MimePart[]): void {
  for (const child of part.children) collect(child, leaves);
  if (part.children.length === 0 && TYPES.test(`${part.type}/${part.subtype}`)) leaves.push(part);
}
