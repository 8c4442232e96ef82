/** Metrics of the quarantine. */
import { counter, gauge } from "../../telemetry/metrics.ts";

/** `released`, `removed`, `told`, by recipients; `kept` by messages. */
export const events = counter("veredus_quarantine_total", "What happened to mail of the quarantine", [
  "event",
]);

let counts: (() => { readonly messages: number }) | null = null;

/** Where the number is read from at each scrape; null when the queue stops. */
export function watchQuarantine(source: typeof counts): void {
  counts = source;
}

gauge("veredus_quarantine_messages", "Messages in the quarantine", {
  collect(gauge) {
    if (counts !== null) gauge.set(counts().messages);
  },
});
