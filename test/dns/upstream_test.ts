/** Servers that are slow, silent, broken, old or forged. */
import assert from "node:assert/strict";
import { TRAIT_MS } from "../../dns/exchange.ts";
import type { Message } from "../../dns/message.ts";
import type { RecordData } from "../../dns/rdata.ts";
import { ResolveError, type ResolveFault } from "../../dns/resolver.ts";
import { type Datagram, type FakeServer, record, replyOctets, serverOf, setup } from "./fake_network.ts";

const A1: RecordData = { type: "A", address: "192.0.2.1" };
const EVIL: RecordData = { type: "A", address: "203.0.113.66" };
const ONE = "192.0.2.51", TWO = "192.0.2.52", THREE = "192.0.2.53";

const good = serverOf((query) => ({ answers: [record(query.questions[0]!.name.toLowerCase(), A1)] }));
const silent: FakeServer = { udp: () => [] };

function failing(rcode: number): Required<FakeServer> {
  return serverOf(() => ({ rcode }));
}

function after(delayMs: number, server: FakeServer): FakeServer {
  return { ...server, udp: (query) => server.udp(query).map((datagram) => ({ ...datagram, delayMs })) };
}

function forged(query: Message, parts: Partial<Message> = {}): Uint8Array {
  return replyOctets(query, { answers: [record(query.questions[0]!.name.toLowerCase(), EVIL)], ...parts });
}

function faultIs(fault: ResolveFault): (error: unknown) => boolean {
  return (error) => error instanceof ResolveError && error.fault === fault;
}

Deno.test("the next server is asked at once behind an error", async () => {
  for (const rcode of [1, 2, 4, 5, 9]) {
    const { clock, network, resolver } = setup({ [ONE]: failing(rcode), [TWO]: good });
    const begin = clock.now();
    assert.deepEqual((await clock.settle(resolver.resolve("a.test", "A"))).records, [A1]);
    assert.equal(clock.now(), begin);
    assert.equal(network.log.at(-1), `udp ${TWO}`);
  }
});

Deno.test("a server that only refers to others is no resolver", async () => {
  const referral = serverOf(() => ({
    recursionAvailable: false,
    authorities: [record("test", { type: "NS", host: "ns.test" })],
  }));
  const { clock, resolver } = setup({ [ONE]: referral, [TWO]: good });
  assert.equal((await clock.settle(resolver.resolve("a.test", "A"))).status, "found");
});

Deno.test("when every server fails, each was asked once and the reason names the last one", async () => {
  const { clock, network, resolver } = setup({ [ONE]: failing(2), [TWO]: failing(5) });
  await assert.rejects(clock.settle(resolver.resolve("a.test", "A")), (error) => {
    assert.ok(faultIs("server-failure")(error));
    assert.equal((error as Error).message, `a.test: ${TWO}: answered REFUSED`);
    return true;
  });
  assert.deepEqual(network.log, [`udp ${ONE}`, `udp ${TWO}`]);
});

Deno.test("behind a silent server the next one is asked, and later the silent one last", async () => {
  const { clock, network, resolver } = setup({ [ONE]: silent, [TWO]: good });
  const begin = clock.now();
  await clock.settle(resolver.resolve("a.test", "A"));
  assert.equal(clock.now() - begin, 1_000);
  network.log.length = 0;
  await clock.settle(resolver.resolve("b.test", "A"));
  assert.deepEqual(network.log, [`udp ${TWO}`]);
  assert.equal(clock.now() - begin, 1_000);
  clock.advance(60_000);
  network.log.length = 0;
  await clock.settle(resolver.resolve("c.test", "A"));
  assert.equal(network.log[0], `udp ${ONE}`, "after its rest it has another chance");
});

Deno.test("a slow answer is taken when nobody is faster", async () => {
  const { clock, network, resolver } = setup({ [ONE]: after(1_500, good), [TWO]: silent });
  const begin = clock.now();
  assert.deepEqual((await clock.settle(resolver.resolve("a.test", "A"))).records, [A1]);
  assert.equal(clock.now() - begin, 1_500);
  assert.equal(network.openSockets, 0);
  assert.equal(clock.pending, 0);
});

Deno.test("the fastest server is asked first", async () => {
  const { clock, network, resolver } = setup({
    [ONE]: after(200, good),
    [TWO]: after(20, good),
    [THREE]: after(90, good),
  });
  for (const name of ["a.test", "b.test", "c.test"]) await clock.settle(resolver.resolve(name, "A"));
  network.log.length = 0;
  await clock.settle(resolver.resolve("d.test", "A"));
  assert.deepEqual(network.log, [`udp ${TWO}`]);
});

Deno.test("nobody answers: every server was asked twice, within three time-outs", async () => {
  const { clock, network, resolver } = setup({ [ONE]: silent, [TWO]: silent });
  const begin = clock.now();
  await assert.rejects(clock.settle(resolver.resolve("a.test", "A")), faultIs("timeout"));
  assert.ok(clock.now() - begin <= 6_000);
  assert.deepEqual(network.log.toSorted(), [`udp ${ONE}`, `udp ${ONE}`, `udp ${TWO}`, `udp ${TWO}`]);
  assert.equal(network.openSockets, 0);
  assert.equal(clock.pending, 0);
});

Deno.test("no servers at all is a fault of its own", async () => {
  const { clock, resolver } = setup({});
  await assert.rejects(clock.settle(resolver.resolve("a.test", "A")), faultIs("server-failure"));
});

Deno.test("answers with a wrong id, from elsewhere or to another question are ignored", async () => {
  const attack: FakeServer = {
    ...good,
    udp: (query) => {
      const lies: Datagram[] = [
        { octets: forged(query, { id: query.id ^ 0x5555 }) },
        { octets: forged(query), from: { address: "203.0.113.1", port: 53 } },
        { octets: forged(query), from: { address: ONE, port: 5_353 } },
        { octets: forged(query, { questions: [{ name: "b.test", type: 1, class: 1 }] }) },
        { octets: forged(query, { response: false }) },
        { octets: new Uint8Array(0) },
        { octets: new Uint8Array(4_096).fill(0xff) },
      ];
      return [...lies, ...good.udp(query)];
    },
  };
  const { clock, network, resolver } = setup({ [ONE]: attack });
  assert.deepEqual((await clock.settle(resolver.resolve("a.test", "A"))).records, [A1]);
  assert.deepEqual(network.log, [`udp ${ONE}`]);
});

Deno.test("many foreign datagrams mean that somebody guesses: TCP", async () => {
  const flood: FakeServer = {
    ...good,
    udp: (query) =>
      Array.from({ length: 100 }, (_, at) => ({ octets: forged(query, { id: query.id ^ (at + 1) }) })),
  };
  const { clock, network, resolver } = setup({ [ONE]: flood });
  assert.deepEqual((await clock.settle(resolver.resolve("a.test", "A"))).records, [A1]);
  assert.deepEqual(network.log, [`udp ${ONE}`, `tcp ${ONE}`]);
});

Deno.test("a truncated answer is had over TCP, its records are not used", async () => {
  const { clock, network, resolver } = setup({
    [ONE]: { ...good, udp: (query) => [{ octets: forged(query, { truncated: true }) }] },
  });
  assert.deepEqual((await clock.settle(resolver.resolve("a.test", "A"))).records, [A1]);
  assert.deepEqual(network.log, [`udp ${ONE}`, `tcp ${ONE}`]);
  assert.equal(network.openSockets, 0);
});

Deno.test("an answer that cannot be read is had over TCP", async () => {
  const { clock, network, resolver } = setup({
    [ONE]: { ...good, udp: (query) => [{ octets: replyOctets(query).slice(0, 15) }] },
  });
  assert.deepEqual((await clock.settle(resolver.resolve("a.test", "A"))).records, [A1]);
  assert.deepEqual(network.log, [`udp ${ONE}`, `tcp ${ONE}`]);
});

Deno.test("TCP that fails leads to the next server", async () => {
  const truncated = (query: Message) => [{ octets: forged(query, { truncated: true }) }];
  const broken: [string, FakeServer][] = [
    ["refused", { udp: truncated }],
    ["closed", { udp: truncated, tcp: () => "close" }],
    ["silent", { udp: truncated, tcp: () => "silence" }],
    ["truncated again", { udp: truncated, tcp: (query) => forged(query, { truncated: true }) }],
    ["a wrong id", { udp: truncated, tcp: (query) => forged(query, { id: query.id ^ 1 }) }],
    ["garbage", { udp: truncated, tcp: () => Uint8Array.of(1, 2, 3) }],
    ["no octets", { udp: truncated, tcp: () => new Uint8Array(0) }],
  ];
  for (const [what, server] of broken) {
    const { clock, network, resolver } = setup({ [ONE]: server, [TWO]: good });
    assert.deepEqual((await clock.settle(resolver.resolve("a.test", "A"))).records, [A1], what);
    assert.equal(network.openSockets, 0, what);
    assert.equal(clock.pending, 0, what);
  }
});

Deno.test("a server without EDNS is asked without, and not tried again for a while", async () => {
  const old = serverOf((query) =>
    query.edns !== null
      ? { rcode: 1, edns: null, questions: [] }
      : { answers: [record(query.questions[0]!.name.toLowerCase(), A1)] }
  );
  const { clock, network, resolver } = setup({ [ONE]: old });
  assert.equal((await clock.settle(resolver.resolve("a.test", "A"))).status, "found");
  assert.deepEqual(network.queries.map((query) => query.edns !== null), [true, false]);
  await clock.settle(resolver.resolve("b.test", "A"));
  assert.deepEqual(network.queries.map((query) => query.edns !== null), [true, false, false]);
  clock.advance(TRAIT_MS);
  await clock.settle(resolver.resolve("c.test", "A"));
  assert.deepEqual(network.queries.map((query) => query.edns !== null), [true, false, false, true, false]);
});

/** Answers in lower case, whatever was asked. */
function lowering(answer: RecordData): Required<FakeServer> {
  return serverOf((query) => {
    const question = query.questions[0]!;
    const name = question.name.toLowerCase();
    return { questions: [{ ...question, name }], answers: [record(name, answer)] };
  });
}

Deno.test("a server that changes the case is asked over TCP once, then without mixed case", async () => {
  const { clock, network, resolver } = setup({ [ONE]: lowering(A1) });
  assert.deepEqual((await clock.settle(resolver.resolve("alpha.test", "A"))).records, [A1]);
  assert.deepEqual(network.log, [`udp ${ONE}`, `tcp ${ONE}`]);
  await clock.settle(resolver.resolve("beta.test", "A"));
  assert.deepEqual(network.log, [`udp ${ONE}`, `tcp ${ONE}`, `udp ${ONE}`]);
  assert.equal(network.queries.at(-1)!.questions[0]!.name, "beta.test");
});

Deno.test("without TCP a server that changes the case is asked in lower case", async () => {
  const { clock, network, resolver } = setup({ [ONE]: { udp: lowering(A1).udp } });
  assert.deepEqual((await clock.settle(resolver.resolve("alpha.test", "A"))).records, [A1]);
  assert.deepEqual(network.log, [`udp ${ONE}`, `tcp ${ONE}`, `udp ${ONE}`]);
  assert.equal(network.queries.at(-1)!.questions[0]!.name, "alpha.test");
});

Deno.test("a forged answer in the wrong case loses against TCP", async () => {
  const { clock, resolver } = setup({ [ONE]: { udp: lowering(EVIL).udp, tcp: good.tcp } });
  assert.deepEqual((await clock.settle(resolver.resolve("alpha.test", "A"))).records, [A1]);
});

Deno.test("questions under way and waiting are limited", async () => {
  const { clock, network, resolver } = setup({ [ONE]: after(100, good) }, { maxActive: 2, maxWaiting: 3 });
  const names = ["a", "b", "c", "d", "e", "f", "g"];
  const all = Promise.allSettled(names.map((name) => resolver.resolve(`${name}.test`, "A")));
  const results = await clock.settle(all);
  assert.deepEqual(results.map((result) => result.status), [
    ...new Array(5).fill("fulfilled"),
    ...new Array(2).fill("rejected"),
  ]);
  assert.ok(
    results.slice(5).every((result) => result.status === "rejected" && faultIs("overload")(result.reason)),
  );
  assert.equal(network.queries.length, 5);
  assert.equal(clock.pending, 0);
  // The refusal was ours and is not remembered.
  assert.equal((await clock.settle(resolver.resolve("g.test", "A"))).status, "found");
});

Deno.test("who waits too long for a turn is told so", async () => {
  const { clock, resolver } = setup({ [ONE]: silent }, { maxActive: 1, timeoutMs: 1_000 });
  const all = Promise.allSettled(
    ["a.test", "b.test", "c.test", "d.test"].map((name) => resolver.resolve(name, "A")),
  );
  for (const result of await clock.settle(all)) {
    assert.ok(result.status === "rejected" && faultIs("timeout")(result.reason));
  }
  assert.equal(clock.pending, 0);
});
