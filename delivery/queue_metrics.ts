/** Metrics of sending. Labels come from closed sets. */
import { counter, gauge, histogram, SECONDS_BUCKETS } from "../telemetry/metrics.ts";

export const attempts = counter("veredus_queue_attempts_total", "Recipients tried, by outcome", ["outcome"]);
export const attemptSeconds = histogram(
  "veredus_queue_attempt_seconds",
  "Time of one transaction with a peer",
  {
    buckets: SECONDS_BUCKETS,
  },
);
export const ageSeconds = histogram(
  "veredus_queue_delivered_age_seconds",
  "Time from acceptance to the next hop",
  {
    buckets: [0.01, 0.1, 1, 10, 60, 300, 3_600, 14_400, 86_400, 432_000],
  },
);
export const connections = gauge("veredus_queue_connections", "Connections to other servers open now");
/** `ready`, `tls` (TLS that had to be was missing, failed, or cannot be trusted), or `failed` for any other reason. */
export const opened = counter("veredus_queue_connections_total", "Connections to other servers, by result", [
  "result",
]);
export const withoutTls = counter(
  "veredus_queue_tls_trouble_total",
  "Recipients not reached because TLS that had to be was missing, failed, or could not be trusted",
);
export const listed = counter(
  "veredus_queue_listed_total",
  "Replies that say that our address is on a list",
);
export const notices = counter("veredus_queue_notices_total", "Bounces and delay notices", ["kind"]);

let counts: (() => { queued: number; held: number; oldestCreatedAt: number | null }) | null = null;
let clock: () => number = () => 0;

/** Where depth and age are read from at each scrape; null when the queue stops. */
export function watchQueue(source: typeof counts, now: () => number): void {
  counts = source;
  clock = now;
}

gauge("veredus_queue_recipients", "Recipients in the queue, by state", {
  labelNames: ["state"],
  collect(gauge) {
    if (counts === null) return;
    const { queued, held } = counts();
    gauge.set({ state: "queued" }, queued);
    gauge.set({ state: "held" }, held);
  },
});

gauge("veredus_queue_oldest_seconds", "Age of the oldest message in the queue", {
  collect(gauge) {
    if (counts === null) return;
    const { oldestCreatedAt } = counts();
    gauge.set(oldestCreatedAt === null ? 0 : Math.max(0, clock() - oldestCreatedAt) / 1_000);
  },
});
