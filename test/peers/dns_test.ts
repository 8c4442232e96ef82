/** The resolver against an authoritative server of Debian (nsd), over real sockets. */
import assert from "node:assert/strict";
import { lookupAddresses, lookupMx } from "../../dns/mx.ts";
import { ResolveError, type Resolver } from "../../dns/resolver.ts";
import { DEFAULT_RESOLVER } from "../../server/config/defaults.ts";
import { createResolver } from "../../server/resolver.ts";
import { Nsd } from "../lib/nsd.ts";

const LONG_TEXT = "0123456789abcdef".repeat(15);
const ZONES = {
  "example.test": [
    "@ MX 20 mx2",
    "@ MX 10 mx1.example.test.",
    "@ MX 10 mx3.other.test.",
    "@ A 192.0.2.1",
    '@ TXT "v=spf1 " "-all"',
    "mx1 A 192.0.2.10",
    "mx1 AAAA 2001:db8::10",
    "mx2 A 192.0.2.20",
    "null MX 0 .",
    "implicit AAAA 2001:db8::1",
    'text TXT "nothing else"',
    "alias CNAME alias2",
    "alias2 CNAME mx1",
    "away CNAME host.other.test.",
    "loop1 CNAME loop2",
    "loop2 CNAME loop1",
    "_25._tcp.mx1 TLSA 3 1 1 " + "ab".repeat(32),
    "_imaps._tcp SRV 0 1 993 mx1",
    "typed TYPE65280 \\# 4 0a000001",
    "1.0 PTR mx1",
    ...Array.from({ length: 40 }, (_, at) => `big TXT "${at} ${LONG_TEXT}"`),
  ].join("\n"),
  "other.test": "mx3 A 192.0.2.30\nhost A 192.0.2.31\n",
};

function resolverAt(...servers: string[]): Resolver {
  return createResolver({ ...DEFAULT_RESOLVER, servers, timeoutMs: 2_000 });
}

Deno.test("zones of a real server", async (t) => {
  const nsd = await Nsd.start(ZONES);
  const server = `${nsd.address}:${nsd.port}`;
  const resolver = resolverAt(server);
  try {
    await t.step("every type is read", async () => {
      const a = await resolver.resolve("MX1.Example.Test.", "A");
      assert.deepEqual(a, {
        name: "mx1.example.test",
        type: "A",
        status: "found",
        canonicalName: "mx1.example.test",
        records: [{ type: "A", address: "192.0.2.10" }],
        ttlSeconds: 60,
        security: "indeterminate",
        reason: { code: 5, text: "not validated" },
      });
      const aaaa = await resolver.resolve("mx1.example.test", "AAAA");
      assert.deepEqual(aaaa.records, [{ type: "AAAA", address: "2001:db8::10" }]);
      const txt = await resolver.resolve("example.test", "TXT");
      assert.deepEqual(txt.records[0]!.strings.map((octets) => new TextDecoder().decode(octets)), [
        "v=spf1 ",
        "-all",
      ]);
      const tlsa = await resolver.resolve("_25._tcp.mx1.example.test", "TLSA");
      assert.deepEqual(tlsa.records, [
        { type: "TLSA", usage: 3, selector: 1, matching: 1, association: new Uint8Array(32).fill(0xab) },
      ]);
      const srv = await resolver.resolve("_imaps._tcp.example.test", "SRV");
      assert.deepEqual(srv.records, [
        { type: "SRV", priority: 0, weight: 1, port: 993, target: "mx1.example.test" },
      ]);
      const ptr = await resolver.resolve("1.0.example.test", "PTR");
      assert.deepEqual(ptr.records, [{ type: "PTR", target: "mx1.example.test" }]);
      const ns = await resolver.resolve("example.test", "NS");
      assert.deepEqual(ns.records, [{ type: "NS", host: "ns.example.test" }]);
      const soa = await resolver.resolve("example.test", "SOA");
      assert.deepEqual(soa.records, [{
        type: "SOA",
        primary: "ns.example.test",
        mailbox: "hostmaster.example.test",
        serial: 1,
        refreshSeconds: 3600,
        retrySeconds: 600,
        expireSeconds: 86400,
        minimumSeconds: 5,
      }]);
      const cname = await resolver.resolve("alias.example.test", "CNAME");
      assert.deepEqual(cname.records, [{ type: "CNAME", target: "alias2.example.test" }]);
    });
    await t.step("aliases are followed, within a zone and out of it", async () => {
      const near = await resolver.resolve("alias.example.test", "A");
      assert.equal(near.canonicalName, "mx1.example.test");
      assert.deepEqual(near.records, [{ type: "A", address: "192.0.2.10" }]);
      const far = await resolver.resolve("away.example.test", "A");
      assert.equal(far.canonicalName, "host.other.test");
      assert.deepEqual(far.records, [{ type: "A", address: "192.0.2.31" }]);
      await assert.rejects(
        resolver.resolve("loop1.example.test", "A"),
        (error) => error instanceof ResolveError && error.fault === "cname-chain" && error.temporary,
      );
    });
    await t.step("what is not there", async () => {
      const missing = await resolver.resolve("missing.example.test", "A");
      assert.equal(missing.status, "no-such-domain");
      assert.equal(missing.ttlSeconds, 5);
      assert.equal((await resolver.resolve("text.example.test", "A")).status, "no-data");
      await assert.rejects(
        resolver.resolve("not-served.test", "A"),
        (error) => error instanceof ResolveError && error.fault === "server-failure",
      );
    });
    await t.step("a truncated answer is had over TCP", async () => {
      const big = await resolver.resolve("big.example.test", "TXT");
      assert.equal(big.records.length, 40);
    });
    await t.step("where mail goes", async () => {
      assert.deepEqual(await lookupMx(resolver, "example.test", () => 0.999), {
        kind: "hosts",
        implicit: false,
        secure: false,
        groups: [
          { preference: 10, hosts: ["mx1.example.test", "mx3.other.test"] },
          { preference: 20, hosts: ["mx2.example.test"] },
        ],
      });
      assert.deepEqual(await lookupMx(resolver, "null.example.test", Math.random), { kind: "null-mx" });
      assert.deepEqual(await lookupMx(resolver, "implicit.example.test", Math.random), {
        kind: "hosts",
        implicit: true,
        secure: false,
        groups: [{ preference: 0, hosts: ["implicit.example.test"] }],
      });
      assert.deepEqual(await lookupMx(resolver, "text.example.test", Math.random), { kind: "no-host" });
      assert.deepEqual(await lookupMx(resolver, "missing.example.test", Math.random), {
        kind: "no-such-domain",
      });
      assert.deepEqual(await lookupAddresses(resolver, "mx1.example.test", Math.random), {
        kind: "addresses",
        addresses: ["2001:db8::10", "192.0.2.10"],
        canonicalName: "mx1.example.test",
        secure: false,
      });
    });
    await t.step("a server that is not there is passed over", async () => {
      // Port 9 of a loopback address nobody listens on: silence over UDP.
      const answer = await resolverAt("127.0.0.77:9", server).resolve("mx2.example.test", "A");
      assert.deepEqual(answer.records, [{ type: "A", address: "192.0.2.20" }]);
    });
  } finally {
    await nsd.stop();
  }
});

Deno.test("without any server that answers, the fault is temporary", async () => {
  const resolver = createResolver({ ...DEFAULT_RESOLVER, servers: ["127.0.0.77:9"], timeoutMs: 100 });
  await assert.rejects(
    resolver.resolve("example.test", "MX"),
    (error) => error instanceof ResolveError && error.fault === "timeout" && error.temporary,
  );
});
