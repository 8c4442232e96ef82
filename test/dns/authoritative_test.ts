/** What each server of a zone says, past caches. */
import assert from "node:assert/strict";
import { textsAtServers } from "../../dns/authoritative.ts";
import { ResolveError } from "../../dns/resolver.ts";
import { encode } from "../../bytes/decode.ts";
import { a, MockResolver } from "../lib/mock_resolver.ts";
import { FakeClock, FakeNetwork, type FakeServer, record, seededBelow, serverOf } from "./fake_network.ts";

const NAME = "s._domainkey.example.test";
const text = (name: string, value: string) =>
  serverOf(() => ({ answers: [record(name, { type: "TXT", strings: [encode(value)] })] }));
const nothing = serverOf(() => ({ rcode: 3 }));
const refuses = serverOf(() => ({ rcode: 5 }));
const silent: FakeServer = { udp: () => [] };

async function ask(servers: Readonly<Record<string, FakeServer>>, more: MockResolver["entries"] = new Map()) {
  const clock = new FakeClock();
  const network = new FakeNetwork(clock, servers);
  const resolver = new MockResolver({
    "example.test NS": [1, 2, 3].map((n) => ({ type: "NS" as const, host: `ns${n}.example.test` })),
    "ns1.example.test A": [a("192.0.2.1"), a("192.0.2.11")],
    "ns2.example.test A": [a("192.0.2.2")],
    "ns3.example.test A": "timeout",
    ...Object.fromEntries(more),
  });
  const parts = { network, timing: clock, random: seededBelow(1), resolver, timeoutMs: 1_000 };
  const found = await clock.settle(textsAtServers(parts, NAME));
  assert.equal(network.openSockets, 0);
  return { found, network };
}

Deno.test("each server of the zone is asked, without recursion; the silent and unknown ones say nothing", async () => {
  const { found, network } = await ask({
    "192.0.2.1": silent,
    "192.0.2.11": text(NAME, "v=1"),
    "192.0.2.2": nothing,
  });
  assert.deepEqual(found, [{ server: "ns1.example.test", texts: ["v=1"], ttlSeconds: 300 }, {
    server: "ns2.example.test",
    texts: [],
    ttlSeconds: 0,
  }]);
  assert.ok(network.queries.every(({ recursionDesired }) => !recursionDesired));
});

Deno.test("errors are no answers, and answers about other names count for nothing", async () => {
  const { found } = await ask({
    "192.0.2.1": refuses,
    "192.0.2.11": refuses,
    "192.0.2.2": text("other.test", "v=1"),
  });
  assert.deepEqual(found, [{ server: "ns2.example.test", texts: [], ttlSeconds: 0 }]);
});

Deno.test("an alias leads to the servers of its target, and a ring of them ends", async () => {
  const alias = (from: string, to: string) =>
    serverOf(() => ({ answers: [record(from, { type: "CNAME", target: to })] }));
  const target = "key.provider.test";
  const more: MockResolver["entries"] = new Map([
    ["provider.test NS", [{ type: "NS", host: "ns.provider.test" }]],
    ["ns.provider.test A", [a("192.0.2.9")]],
  ]);
  const { found } = await ask({
    "192.0.2.1": alias(NAME, target),
    "192.0.2.2": silent,
    "192.0.2.9": text(target, "v=2"),
  }, more);
  assert.deepEqual(found, [{ server: "ns.provider.test", texts: ["v=2"], ttlSeconds: 300 }]);
  const ring = await ask({ "192.0.2.1": alias(NAME, NAME), "192.0.2.2": silent });
  assert.deepEqual(ring.found.map(({ texts }) => texts), [[]]);
});

Deno.test("where the servers cannot be found there is an error, or nobody", async () => {
  await assert.rejects(ask({}, new Map([["example.test NS", "timeout"]])), ResolveError);
  const { found } = await ask({}, new Map([["example.test NS", "no-data"]]));
  assert.deepEqual(found, []);
});
