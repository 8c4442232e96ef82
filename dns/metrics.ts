/** Metrics of the resolver. Labels are types, statuses and faults: closed sets. */
import { counter, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import type { AnswerStatus, ResolveFault, Security } from "./resolver.ts";

const lookups = counter("veredus_dns_lookups_total", "DNS look-ups by type and result", ["type", "result"]);
const cache = counter("veredus_dns_cache_total", "DNS look-ups by where the answer came from", ["from"]);
const upstream = histogram(
  "veredus_dns_upstream_seconds",
  "Time until a DNS server answered or was given up",
  {
    labelNames: ["outcome"],
    buckets: SECONDS_BUCKETS,
  },
);

const security = counter("veredus_dns_security_total", "DNS answers by what DNSSEC says of them", [
  "security",
]);

/** Types without a mnemonic count as one: a stranger may ask for any. */
export function countLookup(typeName: string, result: AnswerStatus | ResolveFault): void {
  lookups.inc({ type: typeName.startsWith("TYPE") ? "other" : typeName, result });
}

export function countSecurity(state: Security): void {
  security.inc({ security: state });
}

/**
 * `shared`: another thread had asked; `flight`: another look-up for the same was under way; `nsec`: a proof from another answer; `stale`: its time was over;
 * `prefetch`: asked for anew before its time was over.
 */
export function countSource(
  from: "cache" | "shared" | "flight" | "server" | "special" | "nsec" | "stale" | "prefetch",
): void {
  cache.inc({ from });
}

export function countUpstream(outcome: "answer" | ResolveFault, seconds: number): void {
  upstream.observe({ outcome }, seconds);
}
