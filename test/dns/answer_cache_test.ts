/** What a thread remembers, and what all of them do. */
import assert from "node:assert/strict";
import { decodeKept, encodeKept, type Found, type Kept } from "../../dns/answer_cache.ts";
import type { Message } from "../../dns/message.ts";
import type { RecordData } from "../../dns/rdata.ts";
import { ResolveError } from "../../dns/resolver.ts";
import { SharedTable } from "../../dns/shared_table.ts";
import { FakeClock, FakeNetwork, record, resolverOver, seededBelow, serverOf } from "./fake_network.ts";

const A: RecordData = { type: "A", address: "192.0.2.1" };
const RECORDS: readonly RecordData[] = [
  A,
  { type: "AAAA", address: "2001:db8::1" },
  { type: "MX", preference: 10, exchange: "mx.example.test" },
  { type: "TXT", strings: [Uint8Array.of(1, 2, 255), new Uint8Array(0)] },
  { type: "TLSA", usage: 3, selector: 1, matching: 1, association: new Uint8Array(32).fill(7) },
  { type: "SVCB", priority: 1, target: "svc.test", parameters: [{ key: 3, octets: Uint8Array.of(1, 187) }] },
  { type: "unknown", code: 65_280, octets: Uint8Array.of(0xc0, 0x0c) },
];

Deno.test("answers and failures as octets and back", () => {
  const found: Found = {
    ...{ status: "found", canonicalName: "a\\.b.example.test", records: RECORDS },
    ...{ ttlSeconds: 9, security: "secure", reason: null },
  };
  const kept: Kept[] = [
    { kind: "answer", found },
    {
      kind: "answer",
      found: {
        ...{ status: "no-such-domain" as const, canonicalName: "x.test", records: [], ttlSeconds: 1 },
        ...{ security: "insecure" as const, reason: { code: 1, text: "because" } },
      },
    },
    { kind: "failure", fault: "bogus", detail: "x.test: bogus: \u00e4", reason: { code: 6, text: "no" } },
  ];
  for (const one of kept) assert.deepEqual(decodeKept(encodeKept(one)!), one);
  for (const octets of [new Uint8Array(0), new Uint8Array(3), new Uint8Array(9).fill(255)]) {
    assert.equal(decodeKept(octets), null);
  }
  const large = Array(300).fill({ type: "TXT", strings: [new Uint8Array(250)] });
  assert.equal(
    encodeKept({ kind: "answer", found: { ...found, records: large } }),
    null,
  );
});

/** Two threads: each its resolver, both one table. */
function twoThreads(answer: (name: string, query: Message) => Partial<Message> | null) {
  const clock = new FakeClock();
  const buffer = SharedTable.buffer(64 * 1024, 1);
  const thread = () => {
    const server = serverOf((query) => answer(query.questions[0]!.name.toLowerCase(), query) ?? { rcode: 2 });
    const network = new FakeNetwork(clock, { "192.0.2.53": server });
    const resolver = resolverOver({
      servers: [{ address: "192.0.2.53", port: 53 }],
      ...{ network, timing: clock, random: seededBelow(1), timeoutMs: 2_000, cacheEntries: 1_000 },
      shared: { table: new SharedTable(buffer), now: () => clock.now() + 1e12 },
    });
    return {
      asks: async (name: string) => await clock.settle(resolver.resolve(name, "A")),
      get queries() {
        return network.queries.length;
      },
    };
  };
  return { clock, one: thread(), other: thread() };
}

Deno.test("what one thread asked for the other knows: records, denials, failures", async () => {
  const { clock, one, other } = twoThreads((name) =>
    name.startsWith("a.")
      ? { answers: [record(name, A, 300)] }
      : name.startsWith("b.")
      ? { rcode: 3, authorities: [record("test", SOA, 300)] }
      : null
  );
  assert.equal((await one.asks("a.test")).ttlSeconds, 300);
  assert.equal((await one.asks("b.test")).status, "no-such-domain");
  await assert.rejects(one.asks("c.test"), ResolveError);
  const asked = one.queries;
  clock.advance(3_000);
  const { ttlSeconds, records, reason } = await other.asks("a.test");
  assert.deepEqual([ttlSeconds, records], [297, [A]]);
  assert.equal(reason?.text, "not validated");
  assert.equal((await other.asks("b.test")).status, "no-such-domain");
  await assert.rejects(
    other.asks("c.test"),
    (error) => error instanceof ResolveError && error.fault === "server-failure",
  );
  assert.equal(other.queries, 0);
  clock.advance(300_000);
  await other.asks("a.test");
  assert.equal(other.queries, 1, "its time is over for all");
  await one.asks("a.test");
  assert.equal(one.queries, asked, "and one has asked for all");
});

Deno.test("a hot name that is nearly over is asked for by one of them", async () => {
  const { clock, one, other } = twoThreads((name) => ({ answers: [record(name, A, 100)] }));
  for (const thread of [one, other]) for (let hit = 0; hit < 5; hit++) await thread.asks("hot.test");
  assert.deepEqual([one.queries, other.queries], [1, 0]);
  clock.advance(95_000);
  await one.asks("hot.test");
  await one.asks("next.test"); // which gives the other question time
  assert.equal(one.queries, 3, "asked for anew before its time is over");
  assert.equal((await other.asks("hot.test")).ttlSeconds, 100);
  assert.equal(other.queries, 0);
});

Deno.test("an old answer of another thread is better than none", async () => {
  let dead = false;
  const { clock, one, other } = twoThreads((name) => dead ? null : { answers: [record(name, A, 100)] });
  await one.asks("old.test");
  dead = true;
  clock.advance(200_000);
  const { reason, ttlSeconds } = await other.asks("old.test");
  assert.deepEqual([reason?.code, ttlSeconds], [3, 30]);
});

const SOA: RecordData = {
  ...{ type: "SOA", primary: "ns.test", mailbox: "hostmaster.test" },
  ...{ serial: 1, refreshSeconds: 1, retrySeconds: 1, expireSeconds: 1, minimumSeconds: 300 },
};
