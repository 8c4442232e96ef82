/** Metrics of scanners beside the server. */
import { counter } from "../../telemetry/metrics.ts";

export const scans = counter("veredus_scans_total", "Messages given to scanners, by check and result", [
  "check",
  "result",
]);
