/**
 * Sends the TLS reports of days that have ended (RFC 8460 5): by mail, signed like all of ours, or by HTTPS.
 *
 * What was seen of a domain leaves the store in the transaction that queues its report, or once a server took it; a
 * report that nobody takes is tried at each call for {@linkcode GIVE_UP_MS} (5.5), and domains that want none are
 * forgotten at once. Days are worked through a few domains at a time, so that nothing else waits for them.
 */
import { gzipSync } from "node:zlib";
import { getLogger } from "@logtape/logtape";
import { encode } from "../../bytes/decode.ts";
import { ResolveError, type Resolver } from "../../dns/resolver.ts";
import { formatDate } from "../../message/date.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";
import { counter } from "../../telemetry/metrics.ts";
import { type PostOptions, prepareOwnMail } from "../post.ts";
import { DAY_MS } from "./tls_observations.ts";
import {
  MAX_DETAILS,
  reportFileName,
  reportJson,
  reportMail,
  type ReportTarget,
  reportTargets,
  type TlsReportFacts,
} from "./tls_report.ts";

const log = getLogger(["veredus", "queue"]);
const sent = counter("veredus_tls_reports_sent_total", "TLS reports to other domains", ["way", "result"]);

/** After the end of the day. */
const GIVE_UP_MS = DAY_MS;
const DOMAINS_AT_ONCE = 100;

/** Takes a report by HTTPS; false where the server refuses it. Rejects where there is no answer. */
export type PostReport = (
  target: { readonly host: string; readonly path: string },
  octets: Uint8Array,
) => Promise<boolean>;

export interface ReportSenderParts {
  readonly store: Store;
  readonly resolver: Resolver;
  readonly post: PostOptions;
  readonly hostname: string;
  readonly postReport: PostReport;
  readonly clock: () => number;
}

/** Sends what is due; call it now and then. */
export async function sendTlsReports(parts: ReportSenderParts): Promise<void> {
  const { store, clock } = parts;
  const now = clock();
  const today = now - now % DAY_MS;
  for (const { day, policyDomain } of store.reports.observedBefore("tls", today, DOMAINS_AT_ONCE)) {
    const rows = store.reports.observed("tls", { day, policyDomain }, MAX_DETAILS);
    const done: WriteOp = { kind: "remove-observed", of: "tls", day, policyDomain };
    const targets = await targetsOf(parts.resolver, policyDomain);
    const facts = { policyDomain, day, hostname: parts.hostname, rows };
    const taken = targets !== null &&
      (targets.length === 0 || await sendOne(parts, facts, { targets, done }));
    const late = day + DAY_MS + GIVE_UP_MS < now;
    if (late && !taken) {
      sent.inc({ way: "none", result: "given-up" });
      log.warn("the TLS report of {day} to {domain} is given up", {
        day: new Date(day).toISOString(),
        domain: policyDomain,
      });
    }
    if (late || (taken && targets.length === 0)) await store.write(done);
  }
}

/** Null where DNS does not answer. */
async function targetsOf(resolver: Resolver, domain: string): Promise<ReportTarget[] | null> {
  try {
    const { records } = await resolver.resolve(`_smtp._tls.${domain}`, "TXT");
    return reportTargets(
      records.map(({ strings }) => strings.map((octets) => String.fromCharCode(...octets)).join("")),
    );
  } catch (error) {
    if (error instanceof ResolveError) return null;
    throw error;
  }
}

/** The first target that takes it ends it (RFC 8460 3: any of them will do). */
async function sendOne(
  parts: ReportSenderParts,
  facts: TlsReportFacts,
  { targets, done }: { readonly targets: readonly ReportTarget[]; readonly done: WriteOp },
): Promise<boolean> {
  const gzip = new Uint8Array(gzipSync(encode(reportJson(facts))));
  for (const target of targets) {
    const way = target.kind;
    try {
      const taken = target.kind === "mail"
        ? await queueReport(parts, facts, { to: target.address, gzip, done })
        : await parts.postReport(target, gzip);
      sent.inc({ way, result: taken ? "ok" : "refused" });
      log.info("the TLS report {name} by {way}: {result}", {
        name: reportFileName(facts),
        way,
        result: taken ? "taken" : "refused",
      });
      if (!taken) continue;
      if (target.kind === "https") await parts.store.write(done);
      return true;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      sent.inc({ way, result: "failed" });
      log.warn("the TLS report to {domain} could not be sent by {way}: {error}", {
        domain: facts.policyDomain,
        way,
        error: error.message,
      });
    }
  }
  return false;
}

/** Queued and forgotten in one transaction: it is sent once, whatever happens. */
async function queueReport(
  { post, store, clock, hostname }: ReportSenderParts,
  facts: TlsReportFacts,
  { to, gzip, done }: { readonly to: string; readonly gzip: Uint8Array; readonly done: WriteOp },
): Promise<boolean> {
  const text = reportMail(facts, { to, gzip, date: formatDate(clock()), id: post.newId() });
  const prepared = await prepareOwnMail(post, {
    octets: encode(text),
    sender: `postmaster@${hostname}`,
    recipients: [to],
    tls: "optional", // RFC 8460 5.3: a report must arrive although TLS does not work
  });
  if ("refused" in prepared) return false;
  const result = await store.write({ kind: "batch", ops: [prepared.operation, done] });
  return result.ok;
}
