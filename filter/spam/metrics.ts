/** Metrics of the spam filter. */
import { counter, histogram, SECONDS_BUCKETS } from "../../telemetry/metrics.ts";

export const verdicts = counter("veredus_spam_verdicts_total", "Messages judged, by what became of a copy", [
  "action",
]);
export const scanSeconds = histogram(
  "veredus_spam_seconds",
  "Time until the verdict about a message was there",
  {
    buckets: SECONDS_BUCKETS,
  },
);
export const scanTrouble = counter("veredus_spam_unjudged_total", "Messages that were not judged, by why", [
  "why",
]);
export const lessonsLearnt = counter(
  "veredus_spam_lessons_total",
  "Messages learnt, by what they were taught as",
  ["kind"],
);
export const knowledgeFaults = counter(
  "veredus_spam_knowledge_faults_total",
  "Knowledges whose octets were damaged",
);
