/** The whole server over signed zones of its own root: what `veredus dns query --trace` shows, and its metrics. */
import assert from "node:assert/strict";
import { reportText } from "../../admin/cli/commands/dns.ts";
import { TYPE_CODES } from "../../dns/rdata.ts";
import { DEFAULT_RESOLVER } from "../../server/config/defaults.ts";
import { parseConfig } from "../../server/config/load.ts";
import { DnsLab, missingPrograms } from "../lib/dns_lab.ts";
import { Nsd } from "../lib/nsd.ts";
import { RunningServer } from "../lib/running_server.ts";

const ROOT = "127.0.54.1", TEST = "127.0.54.2", ZONE = "127.0.54.3";

Deno.test("a running server resolves from the root and tells each step", async () => {
  const missing = missingPrograms();
  if (missing.length > 0) return console.log(`skipped, not installed: ${missing.join(", ")}`);
  const signing = { algorithm: "ECDSAP256SHA256" };
  const lab = await DnsLab.start([
    { name: "good.test", address: ZONE, lines: "@ MX 10 mx\nmx A 192.0.2.1", signing },
    { name: "test", address: TEST, lines: "", signing },
    { name: ".", address: ROOT, lines: "", signing },
  ]);
  const resolver = {
    ...DEFAULT_RESOLVER,
    mode: "iterative" as const,
    rootServers: [`${ROOT}:${lab.port}`],
    trustAnchors: lab.anchors,
  };
  const running = await RunningServer.start({ threads: 0, config: { resolver } });
  try {
    const report = await running.server.queryDns({ name: "good.test", type: TYPE_CODES.MX, trace: true });
    assert.deepEqual([report.result, report.security, report.records], ["found", "secure", [
      "10 mx.good.test.",
    ]]);
    const text = reportText(report);
    for (
      const step of [
        `ask ${ROOT} (., 1 servers) for test A`,
        `${ROOT} refers . to test`,
        `ask ${ZONE} (good.test, 1 servers) for good.test MX`,
        "chain: test is a secure zone",
        "chain: good.test is a secure zone",
        "good.test DS came with the delegation",
        "good.test MX: found, secure",
      ]
    ) assert.ok(text.includes(step), `${step} is not in\n${text}`);
    const denied = await running.server.queryDns({ name: "x.good.test", type: TYPE_CODES.A, trace: false });
    assert.deepEqual([denied.result, denied.security], ["no-such-domain", "secure"]);
    const metrics = await running.server.metricsText();
    assert.match(metrics, /veredus_dns_security_total\{security="secure"[^}]*\} [1-9]/);
    assert.match(metrics, /veredus_dns_lookups_total\{type="MX",result="found"[^}]*\} [1-9]/);
  } finally {
    await running.stop();
    await lab.stop();
  }
});

Deno.test("what one thread has asked for the others know", async () => {
  const missing = missingPrograms();
  if (missing.length > 0) return console.log(`skipped, not installed: ${missing.join(", ")}`);
  const nsd = await Nsd.start({ "remote.test": "@ MX 10 mx\nmx A 192.0.2.1" }, { address: "127.0.54.4" });
  const { filter } = parseConfig(
    "hostname: mx.example.test\nfilter: { checks: [{ check: null-mx }] }",
    "/veredus.yaml",
  );
  const resolver = { ...DEFAULT_RESOLVER, servers: [`${nsd.address}:${nsd.port}`] };
  const running = await RunningServer.start({ threads: 1, config: { resolver, filter } });
  try {
    const question = { name: "remote.test", type: TYPE_CODES.MX, trace: false };
    assert.equal((await running.server.queryDns(question)).result, "found"); // by main
    const client = await running.smtp(); // a front end looks for a null MX
    const message = "Subject: x\r\n\r\nx\r\n";
    assert.equal((await client.send("x@remote.test", ["alice@example.test"], message)).code, 250);
    await client.quit();
    const metrics = await running.server.metricsText();
    assert.match(metrics, /veredus_dns_cache_total\{from="shared"[^}]*\} [1-9]/);
  } finally {
    await running.stop();
    await nsd.stop();
  }
});
