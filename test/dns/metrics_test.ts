import assert from "node:assert/strict";
import { exposition, metricsAsJson } from "../../telemetry/metrics.ts";
import { record, serverOf, setup } from "./fake_network.ts";

Deno.test("look-ups are counted by type, result and source, servers by outcome and time", async () => {
  const { clock, resolver } = setup({
    "192.0.2.53": serverOf((query) => {
      const name = query.questions[0]!.name.toLowerCase();
      return name === "broken.test"
        ? { rcode: 2 }
        : { answers: [record(name, { type: "A", address: "192.0.2.1" })] };
    }),
  });
  await clock.settle(resolver.resolve("a.test", "A"));
  await clock.settle(resolver.resolve("a.test", "A"));
  await clock.settle(resolver.resolve("localhost", "A"));
  await assert.rejects(clock.settle(resolver.resolve("broken.test", "MX")));
  await assert.rejects(clock.settle(resolver.resolve("a..test", "MX")));
  const lines = (await exposition([await metricsAsJson()])).split("\n");
  for (
    const line of [
      'veredus_dns_lookups_total{type="A",result="found"} 3',
      'veredus_dns_lookups_total{type="MX",result="server-failure"} 1',
      'veredus_dns_lookups_total{type="MX",result="bad-name"} 1',
      'veredus_dns_cache_total{from="server"} 2',
      'veredus_dns_cache_total{from="cache"} 1',
      'veredus_dns_cache_total{from="special"} 1',
      'veredus_dns_upstream_seconds_count{outcome="answer"} 1',
      'veredus_dns_upstream_seconds_count{outcome="server-failure"} 1',
    ]
  ) assert.ok(lines.includes(line), line);
});
