/** Children of counters count by themselves and are added up when somebody looks. */
import assert from "node:assert/strict";
import { counter, histogram, level, metricsAsJson } from "../../telemetry/metrics.ts";

Deno.test("what children and the counter itself counted is one figure", async () => {
  const made = counter("veredus_test_children_total", "Of this test", ["kind"]);
  const first = made.labels({ kind: "a" }),
    again = made.labels({ kind: "a" }),
    other = made.labels({ kind: "b" });
  const values = async () =>
    (await made.get()).values.map(({ labels, value }) => [labels.kind, value]).sort();
  first.inc();
  again.inc(4);
  made.inc({ kind: "a" }, 2);
  assert.deepEqual(await values(), [["a", 7]]);
  other.inc();
  first.inc();
  assert.deepEqual(await values(), [["a", 8], ["b", 1]]);
  assert.deepEqual(await values(), [["a", 8], ["b", 1]]);
});

Deno.test("levels of one label set are one figure, that goes up and down", async () => {
  const made = level("veredus_test_levels", "Of this test", ["kind"]);
  const first = made({ kind: "a" }), again = made({ kind: "a" }), other = made({ kind: "b" });
  const values = async () => {
    const { values } = (await metricsAsJson()).find(({ name }) => name === "veredus_test_levels")!;
    return values.map(({ labels, value }) => [labels.kind, value]).sort();
  };
  first.inc();
  again.inc();
  other.inc();
  assert.deepEqual(await values(), [["a", 2], ["b", 1]]);
  first.dec();
  other.dec();
  assert.deepEqual(await values(), [["a", 1], ["b", 0]]);
});

Deno.test("every value of a histogram is in its sum, its count and its buckets, also those of the last moment", async () => {
  const waits = histogram("test_waits_seconds", "x", { buckets: [1, 10] });
  for (let value = 0; value < 600; value++) waits.observe(value % 20);
  const [found] = (await metricsAsJson()).filter(({ name }) => name === "test_waits_seconds");
  const figures = found!.values.map((value) => [
    (value as { metricName?: string }).metricName,
    value.labels["le"],
    value.value,
  ]);
  assert.deepEqual(figures, [
    ["test_waits_seconds_bucket", 1, 60],
    ["test_waits_seconds_bucket", 10, 330],
    ["test_waits_seconds_bucket", "+Inf", 600],
    ["test_waits_seconds_sum", undefined, 30 * 190],
    ["test_waits_seconds_count", undefined, 600],
  ]);
});
