/** Metrics of the checks. Names of checks come from the configuration, so the labels are few. */
import { counter, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";

export const decisions = counter(
  "veredus_filter_decisions_total",
  "Decisions of checks, by check and action",
  [
    "check",
    "action",
  ],
);
export const failures = counter("veredus_filter_failures_total", "Checks that could not be made", ["check"]);
export const seconds = histogram("veredus_filter_wait_seconds", "Time that checks kept a client waiting", {
  buckets: SECONDS_BUCKETS,
});
export const listFaults = counter("veredus_dnsbl_faults_total", "Lists that gave an error or no answer", [
  "zone",
]);
