/** Cache, single flight, aliases and negative answers, with time as a number. */
import assert from "node:assert/strict";
import type { Message } from "../../dns/message.ts";
import type { RecordData } from "../../dns/rdata.ts";
import { ResolveError, type ResolveFault } from "../../dns/resolver.ts";
import { FAILURE_TTL_SECONDS, MAX_LINKS, MAX_TTL_SECONDS } from "../../dns/caching_resolver.ts";
import { record, resolverOver, serverOf, setup } from "./fake_network.ts";

const A1: RecordData = { type: "A", address: "192.0.2.1" };
const A2: RecordData = { type: "A", address: "192.0.2.2" };
const alias = (target: string): RecordData => ({ type: "CNAME", target });

function soa(zone: string, ttlSeconds: number, minimumSeconds: number) {
  return record(zone, {
    type: "SOA",
    primary: `ns.${zone}`,
    mailbox: `hostmaster.${zone}`,
    serial: 1,
    refreshSeconds: 1,
    retrySeconds: 1,
    expireSeconds: 1,
    minimumSeconds,
  }, ttlSeconds);
}

/** One server; its answer depends on the name asked, in lower case. */
function oneServer(answer: (name: string, query: Message) => Partial<Message>) {
  return setup({ "192.0.2.53": serverOf((query) => answer(query.questions[0]!.name.toLowerCase(), query)) });
}

function faultIs(fault: ResolveFault): (error: unknown) => boolean {
  return (error) => error instanceof ResolveError && error.fault === fault;
}

Deno.test("an answer is kept for its time to live and counts down", async () => {
  const { clock, network, resolver } = oneServer((name) => ({ answers: [record(name, A1, 300)] }));
  const first = await clock.settle(resolver.resolve("Host.Example.Test.", "A"));
  assert.deepEqual(first, {
    name: "host.example.test",
    type: "A",
    status: "found",
    canonicalName: "host.example.test",
    records: [A1],
    ttlSeconds: 300,
    security: "indeterminate",
    reason: { code: 5, text: "not validated" },
  });
  clock.advance(100_000);
  assert.equal((await clock.settle(resolver.resolve("host.example.test", "A"))).ttlSeconds, 200);
  assert.equal(network.queries.length, 1);
  clock.advance(200_000);
  await clock.settle(resolver.resolve("host.example.test", "A"));
  assert.equal(network.queries.length, 2);
  assert.equal(network.openSockets, 0);
  assert.equal(clock.pending, 0);
});

Deno.test("a time to live has bounds", async () => {
  const { clock, resolver } = oneServer((name) => ({
    answers: [record(name, A1, name.startsWith("short") ? 0 : 0x7fffffff)],
  }));
  assert.equal((await clock.settle(resolver.resolve("short.test", "A"))).ttlSeconds, 1);
  assert.equal((await clock.settle(resolver.resolve("long.test", "A"))).ttlSeconds, MAX_TTL_SECONDS);
});

Deno.test("the shortest time in the answer counts, and records stand once", async () => {
  const { clock, resolver } = oneServer(() => ({
    answers: [
      record("a.test", alias("b.test"), 50),
      record("b.test", A1, 300),
      record("b.test", A1, 300),
      record("b.test", A2, 200),
    ],
  }));
  const answer = await clock.settle(resolver.resolve("a.test", "A"));
  assert.equal(answer.ttlSeconds, 50);
  assert.equal(answer.canonicalName, "b.test");
  assert.deepEqual(answer.records, [A1, A2]);
});

Deno.test("records of other names, types and classes do not count", async () => {
  const { clock, resolver } = oneServer((name) => ({
    answers: [
      record("other.test", A2),
      { ...record(name, { type: "unknown", code: 1, octets: Uint8Array.of(1, 2, 3, 4) }), class: 3 },
      record(name, { type: "TXT", strings: [Uint8Array.of(1)] }),
      record(name, A1),
    ],
    additionals: [record("victim.test", A2)],
  }));
  assert.deepEqual((await clock.settle(resolver.resolve("a.test", "A"))).records, [A1]);
});

Deno.test("NXDOMAIN is kept for all types, no longer than its SOA says", async () => {
  const { clock, network, resolver } = oneServer(() => ({ rcode: 3, authorities: [soa("test", 900, 60)] }));
  const answer = await clock.settle(resolver.resolve("gone.test", "MX"));
  assert.equal(answer.status, "no-such-domain");
  assert.equal(answer.ttlSeconds, 60);
  assert.equal((await clock.settle(resolver.resolve("gone.test", "A"))).status, "no-such-domain");
  assert.equal(network.queries.length, 1);
  clock.advance(60_000);
  await clock.settle(resolver.resolve("gone.test", "A"));
  assert.equal(network.queries.length, 2);
});

Deno.test("no data is kept for its type only", async () => {
  const { clock, network, resolver } = oneServer(() => ({ authorities: [soa("test", 30, 600)] }));
  assert.equal((await clock.settle(resolver.resolve("a.test", "MX"))).status, "no-data");
  assert.equal((await clock.settle(resolver.resolve("a.test", "MX"))).ttlSeconds, 30);
  assert.equal(network.queries.length, 1);
  await clock.settle(resolver.resolve("a.test", "A"));
  assert.equal(network.queries.length, 2);
});

Deno.test("a negative answer has an upper bound, and without a fitting SOA is not kept", async () => {
  const { clock, network, resolver } = oneServer((name) => ({
    rcode: 3,
    authorities: name.startsWith("long")
      ? [soa("test", 86_400, 86_400)]
      : name.startsWith("none")
      ? []
      : [soa("elsewhere", 600, 600)],
  }));
  assert.equal((await clock.settle(resolver.resolve("long.test", "A"))).ttlSeconds, 3_600);
  for (const name of ["none.test", "unfit.test"]) {
    network.queries.length = 0;
    assert.equal((await clock.settle(resolver.resolve(name, "A"))).ttlSeconds, 0);
    await clock.settle(resolver.resolve(name, "A"));
    assert.equal(network.queries.length, 2, name);
  }
});

Deno.test("NXDOMAIN behind an alias is about its target", async () => {
  const { clock, network, resolver } = oneServer((name) =>
    name === "a.test" || name === "gone.test"
      ? { rcode: 3, answers: [record("a.test", alias("gone.test"))], authorities: [soa("test", 60, 60)] }
      : {}
  );
  assert.equal((await clock.settle(resolver.resolve("a.test", "A"))).status, "no-such-domain");
  await clock.settle(resolver.resolve("gone.test", "MX"));
  assert.equal(network.queries.length, 1);
  await clock.settle(resolver.resolve("a.test", "MX"));
  assert.equal(network.queries.length, 2, "the alias itself exists");
});

Deno.test("an alias that leads out of the answer is asked for", async () => {
  const { clock, network, resolver } = oneServer((name) =>
    name === "a.test"
      ? { answers: [record("a.test", alias("b.test"), 20)], recursionAvailable: false, authoritative: true }
      : { answers: [record(name, A1, 100)] }
  );
  const answer = await clock.settle(resolver.resolve("a.test", "A"));
  assert.deepEqual(answer.records, [A1]);
  assert.equal(answer.name, "a.test");
  assert.equal(answer.canonicalName, "b.test");
  assert.equal(answer.ttlSeconds, 20);
  assert.equal(network.queries.length, 2);
  await clock.settle(resolver.resolve("b.test", "A"));
  assert.equal(network.queries.length, 2);
});

Deno.test("a question for CNAME does not follow it", async () => {
  const { clock, resolver } = oneServer((name) => ({ answers: [record(name, alias("b.test"))] }));
  const answer = await clock.settle(resolver.resolve("a.test", "CNAME"));
  assert.deepEqual(answer.records, [alias("b.test")]);
  assert.equal(answer.canonicalName, "a.test");
});

Deno.test("aliases in a loop end, in one answer and over many", async () => {
  const inOne = oneServer(() => ({
    answers: [record("a.test", alias("b.test")), record("b.test", alias("a.test"))],
  }));
  await assert.rejects(inOne.clock.settle(inOne.resolver.resolve("a.test", "A")), faultIs("cname-chain"));
  assert.equal(inOne.network.queries.length, 1);

  const overMany = oneServer((name) => ({
    answers: [record(name, alias(name === "a.test" ? "b.test" : "a.test"))],
  }));
  await assert.rejects(
    overMany.clock.settle(overMany.resolver.resolve("a.test", "A")),
    faultIs("cname-chain"),
  );
  assert.equal(overMany.network.queries.length, MAX_LINKS);
});

Deno.test("a chain may have so many links and no more", async () => {
  const chain = (links: number) =>
    oneServer((name) => ({
      answers: [
        ...Array.from({ length: links }, (_, at) =>
          record(at === 0 ? name : `n${at}.test`, alias(`n${at + 1}.test`))),
        record(`n${links}.test`, A1),
      ],
    }));
  const longest = chain(MAX_LINKS);
  assert.deepEqual((await longest.clock.settle(longest.resolver.resolve("a.test", "A"))).records, [A1]);
  const longer = chain(MAX_LINKS + 1);
  await assert.rejects(longer.clock.settle(longer.resolver.resolve("a.test", "A")), faultIs("cname-chain"));
});

Deno.test("who asks for the same at the same time shares one question", async () => {
  const { clock, network, resolver } = oneServer((name) => ({ answers: [record(name, A1)] }));
  const all = Promise.all([
    resolver.resolve("a.test", "A"),
    resolver.resolve("A.TEST", "A"),
    resolver.resolve("a.test.", "A"),
    resolver.resolve("a.test", "AAAA"),
  ]);
  const answers = await clock.settle(all);
  assert.equal(network.queries.length, 2);
  assert.deepEqual(answers[1]!.records, [A1]);
  assert.equal(answers[3]!.status, "no-data");
});

Deno.test("a failure is remembered for a moment and shared", async () => {
  const { clock, network, resolver } = oneServer(() => ({ rcode: 2 }));
  const both = Promise.allSettled([resolver.resolve("a.test", "A"), resolver.resolve("a.test", "A")]);
  for (const result of await clock.settle(both)) {
    assert.ok(result.status === "rejected" && faultIs("server-failure")(result.reason));
  }
  await assert.rejects(clock.settle(resolver.resolve("a.test", "A")), faultIs("server-failure"));
  assert.equal(network.queries.length, 1);
  clock.advance(FAILURE_TTL_SECONDS * 1_000);
  await assert.rejects(clock.settle(resolver.resolve("a.test", "A")), /192\.0\.2\.53: answered SERVFAIL/);
  assert.equal(network.queries.length, 2);
});

Deno.test("special names are not asked for", async () => {
  const { clock, network, resolver } = oneServer(() => ({}));
  const localhost = await clock.settle(resolver.resolve("LOCALHOST.", "A"));
  assert.deepEqual(localhost.records, [{ type: "A", address: "127.0.0.1" }]);
  const below = await clock.settle(resolver.resolve("mail.localhost", "AAAA"));
  assert.deepEqual(below.records, [{ type: "AAAA", address: "::1" }]);
  assert.equal((await clock.settle(resolver.resolve("localhost", "MX"))).status, "no-data");
  for (const name of ["invalid", "a.invalid", "b.onion"]) {
    assert.equal((await clock.settle(resolver.resolve(name, "MX"))).status, "no-such-domain");
  }
  assert.equal(network.queries.length, 0);
});

Deno.test("what is no name is a permanent error, everything else a temporary one", async () => {
  const { clock, network, resolver } = oneServer(() => ({}));
  for (const name of ["", "a..b", "x".repeat(64) + ".test", "b\u00fccher.\u4f8b"]) {
    await assert.rejects(
      clock.settle(resolver.resolve(name, "A")),
      (error) => error instanceof ResolveError && error.fault === "bad-name" && !error.temporary,
    );
  }
  assert.equal(network.queries.length, 0);
  const faults: ResolveFault[] = ["timeout", "server-failure", "malformed", "cname-chain", "overload"];
  for (const fault of faults) assert.ok(new ResolveError(fault, "").temporary);
});

Deno.test("aliases share one deadline", async () => {
  // Each question is answered after 900 ms; the whole may take three time-outs of 1,000 ms.
  const slow = serverOf((query) => {
    const name = query.questions[0]!.name.toLowerCase();
    return { answers: [record(name, alias(`x.${name}`))] };
  });
  const { clock, network } = setup({
    "192.0.2.53": { udp: (query) => slow.udp(query).map((datagram) => ({ ...datagram, delayMs: 900 })) },
  });
  const resolver = resolverOver({
    servers: [{ address: "192.0.2.53", port: 53 }],
    network,
    timing: clock,
    random: () => 1,
    timeoutMs: 1_000,
    cacheEntries: 10,
  });
  const begin = clock.now();
  await assert.rejects(clock.settle(resolver.resolve("a.test", "A")), faultIs("timeout"));
  assert.equal(clock.now() - begin, 3_000);
});

Deno.test("what is known is told without a question: answers, that there is none, and failures; nothing else", async () => {
  const { clock, network, resolver } = oneServer((name) =>
    name.startsWith("gone")
      ? { rcode: 3, authorities: [soa("example.test", 60, 60)] }
      : name.startsWith("lame")
      ? { rcode: 2 }
      : { answers: [record(name, A1, 300)] }
  );
  for (const name of ["host.example.test", "gone.example.test", "lame.example.test"]) {
    assert.equal(resolver.known(name, "A"), null);
    await clock.settle(resolver.resolve(name, "A").catch(() => {}));
  }
  const asked = network.queries.length;
  const host = resolver.known("Host.example.test.", "A");
  assert.ok(host !== null && !(host instanceof ResolveError));
  assert.deepEqual(host, await clock.settle(resolver.resolve("host.example.test", "A")));
  const gone = resolver.known("gone.example.test", "MX");
  assert.equal(gone instanceof ResolveError ? "" : gone?.status, "no-such-domain");
  assert.ok(resolver.known("lame.example.test", "A") instanceof ResolveError);
  assert.equal(resolver.known("host.example.test", "MX"), null);
  assert.equal(resolver.known("not a..name", "A"), null);
  assert.equal(network.queries.length, asked);
});
