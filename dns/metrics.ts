/** Metrics of the resolver. Labels are types, statuses and faults: closed sets. */
import { counter, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";
import type { RecordType } from "./rdata.ts";
import type { AnswerStatus, ResolveFault } from "./resolver.ts";

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

export function countLookup(type: RecordType, result: AnswerStatus | ResolveFault): void {
  lookups.inc({ type, result });
}

/** `flight`: another look-up for the same was under way. */
export function countSource(from: "cache" | "flight" | "server" | "special"): void {
  cache.inc({ from });
}

export function countUpstream(outcome: "answer" | ResolveFault, seconds: number): void {
  upstream.observe({ outcome }, seconds);
}
