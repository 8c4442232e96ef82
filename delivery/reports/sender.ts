/**
 * Sends the reports of days that have ended to the domains they are about: by mail, signed like all of ours, or by HTTPS.
 *
 * RFC 8460 5, RFC 9990 3.5. What was seen of a domain leaves the store in the transaction that queues its reports, or once
 * a server took one; a report that nobody takes is tried at each call for {@linkcode GIVE_UP_MS}, and domains that want
 * none are forgotten at once. Days are worked through a few domains at a time, so that nothing else waits for them.
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
import { type ReportFacts, type ReportForm, reportMail, type ReportTarget } from "./form.ts";
import { DAY_MS } from "./observations.ts";

const log = getLogger(["veredus", "delivery"]);
const sent = counter("veredus_reports_sent_total", "Reports to other domains about what was seen of them", [
  "kind",
  "way",
  "result",
]);

/** After the end of the day. */
const GIVE_UP_MS = DAY_MS;
const DOMAINS_AT_ONCE = 100;
/** Rows of one report; the most frequent ones stand in it. */
const MAX_ROWS = 2_000;
/** A report that is larger, compressed, is not sent, whatever way it would go. */
export const MAX_REPORT_OCTETS = 5 * 1024 * 1024;

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
  /** {@linkcode MAX_REPORT_OCTETS} where it is left out. */
  readonly maxOctets?: number;
}

/** Sends what is due; call it now and then. */
export async function sendReports(form: ReportForm, parts: ReportSenderParts): Promise<void> {
  const { store, clock, hostname } = parts;
  const { kind } = form;
  const now = clock();
  const today = now - now % DAY_MS;
  for (const { day, policyDomain } of store.reports.observedBefore(kind, today, DOMAINS_AT_ONCE)) {
    const rows = store.reports.observed(kind, { day, policyDomain }, MAX_ROWS);
    const done: WriteOp = { kind: "remove-observed", of: kind, day, policyDomain };
    const targets = await targetsOf(form, parts.resolver, policyDomain);
    if (targets !== null && targets.length === 0) {
      await store.write(done);
      continue;
    }
    const facts = { policyDomain, day, hostname, rows };
    if (targets !== null && await sendOne(form, facts, { parts, targets, done })) continue;
    if (day + DAY_MS + GIVE_UP_MS >= now) continue;
    sent.inc({ kind, way: "none", result: "given-up" });
    log.warn("the report {name} is given up", { name: form.fileName(facts) });
    await store.write(done);
  }
}

/** Null where DNS does not answer. */
async function targetsOf(
  form: ReportForm,
  resolver: Resolver,
  domain: string,
): Promise<ReportTarget[] | null> {
  try {
    return await form.targets(resolver, domain);
  } catch (error) {
    if (error instanceof ResolveError) return null;
    throw error;
  }
}

interface Sending {
  readonly parts: ReportSenderParts;
  readonly targets: readonly ReportTarget[];
  /** Forgets what the report is about. */
  readonly done: WriteOp;
}

/** True when it is on its way, and forgotten. */
async function sendOne(form: ReportForm, facts: ReportFacts, sending: Sending): Promise<boolean> {
  const { parts, targets, done } = sending;
  const gzip = new Uint8Array(gzipSync(encode(form.text(facts))));
  const { maxOctets = MAX_REPORT_OCTETS } = parts;
  if (gzip.length > maxOctets) {
    log.warn("the report {name} has {octets} octets, more than {maxOctets}: it is not sent", {
      ...{ name: form.fileName(facts), octets: gzip.length, maxOctets },
    });
    return false;
  }
  const mails = targets.flatMap((target) => target.kind === "mail" ? [target.address] : []);
  if (form.wants === "all") return await queue(form, facts, { sending, gzip, to: mails });
  for (const target of targets) {
    if (target.kind === "mail") {
      if (await queue(form, facts, { sending, gzip, to: [target.address] })) return true;
      continue;
    }
    let result = "failed";
    try {
      result = await parts.postReport(target, gzip) ? "ok" : "refused";
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      log.warn("{host} takes no report: {error}", { host: target.host, error: error.message });
    }
    told(form, facts, { way: "https", result });
    if (result !== "ok") continue;
    await parts.store.write(done);
    return true;
  }
  return false;
}

/** Queued and forgotten in one transaction: it is sent once, whatever happens. */
async function queue(
  form: ReportForm,
  facts: ReportFacts,
  { sending, gzip, to }: {
    readonly sending: Sending;
    readonly gzip: Uint8Array;
    readonly to: readonly string[];
  },
): Promise<boolean> {
  const { parts: { post, store, clock, hostname }, done } = sending;
  const ops: WriteOp[] = [];
  for (const address of to) {
    const text = reportMail(form, facts, { to: address, gzip, date: formatDate(clock()), id: post.newId() });
    const prepared = await prepareOwnMail(post, {
      octets: encode(text),
      sender: `postmaster@${hostname}`,
      recipients: [address],
      // RFC 8460 5.3: a report about TLS must arrive although TLS does not work.
      tls: form.kind === "tls" ? "optional" : "",
    });
    if ("operation" in prepared) ops.push(prepared.operation);
  }
  if (ops.length === 0) return false;
  const { ok } = await store.write({ kind: "batch", ops: [...ops, done] });
  told(form, facts, { way: "mail", result: ok ? "ok" : "failed" });
  return ok;
}

function told(
  form: ReportForm,
  facts: ReportFacts,
  how: { readonly way: string; readonly result: string },
): void {
  sent.inc({ kind: form.kind, ...how });
  log.info("the report {name} by {way}: {result}", { name: form.fileName(facts), ...how });
}
