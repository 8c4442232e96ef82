/** Mail to the administrator: to whom, and how many of each kind. */
import assert from "node:assert/strict";
import { stolenNotice } from "../../delivery/stolen_notice.ts";
import { registry } from "../../telemetry/metrics.ts";

async function told(): Promise<number> {
  const metric = await registry.getSingleMetric("veredus_administrator_notices_total")!.get();
  return metric.values.find(({ labels }) => labels.kind === "limit")?.value ?? 0;
}

Deno.test("the administrator of the configuration, else postmaster, is told of a login that looks stolen; it is counted", async () => {
  const before = await told();
  const notice = (administrator: string) =>
    stolenNotice({ hostname: "mx.example.test", filter: { administrator } }, {
      ...{ login: "ann@example.test", reason: "500 messages today", id: "one", now: 0 },
    });
  assert.deepEqual(notice("").recipients, ["postmaster@mx.example.test"]);
  const { recipients, octets } = notice("admin@example.test");
  assert.deepEqual(recipients, ["admin@example.test"]);
  assert.match(new TextDecoder().decode(octets), /^Subject: Sending limit of ann@example\.test reached\r$/m);
  assert.equal(await told() - before, 2);
});
