/** The way from the root down over fake servers: broken ones, lying ones, traps, and the memory of them. */
import assert from "node:assert/strict";
import { CachingResolver } from "../../dns/caching_resolver.ts";
import { IterativeSource } from "../../dns/iterative.ts";
import { encodeMessage, type Message, RCODES, type ResourceRecord } from "../../dns/message.ts";
import { isWithin } from "../../dns/name.ts";
import { TYPE_CODES, typeCode } from "../../dns/rdata.ts";
import { ResolveError, type ResolveFault } from "../../dns/resolver.ts";
import {
  FakeClock,
  FakeNetwork,
  type FakeServer,
  record,
  reply,
  seededBelow,
  serverOf,
} from "./fake_network.ts";

const ROOT = "192.0.2.1", TEST = "192.0.2.2", ZONE = "192.0.2.3", OTHER = "192.0.2.4";

/** What a server of `zone` says: its records, delegations below it, or that there is nothing. */
function authority(zone: string, records: readonly ResourceRecord[]): (query: Message) => Partial<Message> {
  return (query) => {
    const name = query.questions[0]!.name.toLowerCase(), { type } = query.questions[0]!;
    if (!isWithin(name, zone)) return { rcode: RCODES.REFUSED, recursionAvailable: false };
    const cut = records.find(({ name: owner, data }) =>
      data.type === "NS" && owner !== zone && isWithin(name, owner)
    )?.name;
    if (cut !== undefined && !(type === TYPE_CODES.DS && name === cut)) {
      const authorities = records.filter((one) => one.name === cut && one.data.type === "NS");
      const hosts = authorities.map(({ data }) => data.type === "NS" ? data.host : "");
      return {
        recursionAvailable: false,
        authorities,
        additionals: records.filter((one) => hosts.includes(one.name) && one.data.type !== "NS"),
      };
    }
    const own = records.filter((one) => one.name === name);
    const answers = own.filter(({ data }) => typeCode(data) === type || data.type === "CNAME");
    const base = { recursionAvailable: false, authoritative: true };
    if (answers.length > 0) return { ...base, answers };
    const below = records.some((one) => isWithin(one.name, name));
    return { ...base, rcode: below ? RCODES.NOERROR : RCODES.NXDOMAIN, authorities: [soa(zone)] };
  };
}

function soa(zone: string): ResourceRecord {
  return record(zone, {
    type: "SOA",
    primary: `ns.${zone}`,
    mailbox: ".",
    serial: 1,
    refreshSeconds: 1,
    retrySeconds: 1,
    expireSeconds: 1,
    minimumSeconds: 60,
  });
}

const ns = (zone: string, host: string) => record(zone, { type: "NS", host });
const a = (name: string, address: string) => record(name, { type: "A", address });

const ROOT_ZONE = [ns(".", "ns.root"), a("ns.root", ROOT), ns("test", "ns.test"), a("ns.test", TEST)];
const TEST_ZONE = [ns("test", "ns.test"), ns("zone.test", "ns.zone.test"), a("ns.zone.test", ZONE)];
const ZONE_RECORDS = [
  ns("zone.test", "ns.zone.test"),
  a("ns.zone.test", ZONE),
  a("a.b.c.zone.test", "192.0.2.80"),
];

function world(servers: Record<string, FakeServer> = {}) {
  const clock = new FakeClock();
  const network = new FakeNetwork(clock, {
    [ROOT]: serverOf(authority(".", ROOT_ZONE)),
    [TEST]: serverOf(authority("test", TEST_ZONE)),
    [ZONE]: serverOf(authority("zone.test", ZONE_RECORDS)),
    ...servers,
  });
  const parts = { network, timing: clock, random: seededBelow(3), timeoutMs: 1_000 };
  const source = new IterativeSource({
    ...parts,
    roots: [{ address: ROOT, port: 53 }],
    port: 53,
    dnssec: false,
  });
  const resolver = new CachingResolver({ source, timing: clock, timeoutMs: 1_000, cacheEntries: 1_000 });
  const asked = () =>
    network.queries.map(({ questions: [question] }) => `${question!.name.toLowerCase()} ${question!.type}`);
  return { clock, network, resolver, asked };
}

function fault(expected: ResolveFault): (error: unknown) => boolean {
  return (error) => error instanceof ResolveError && error.fault === expected;
}

async function address(w: ReturnType<typeof world>, name = "a.b.c.zone.test"): Promise<unknown> {
  const answer = await w.clock.settle(w.resolver.resolve(name, "A"));
  return answer.records.map((one) => one.address);
}

Deno.test("each zone is asked for one label more than it has", async () => {
  const w = world();
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  assert.deepEqual(w.asked(), [
    ". 2",
    "test 1",
    "zone.test 1",
    "c.zone.test 1",
    "b.c.zone.test 1",
    "a.b.c.zone.test 1",
  ]);
  assert.ok(w.network.queries.every(({ recursionDesired }) => !recursionDesired));
  assert.ok(w.network.queries.every(({ edns }) => edns?.udpOctets === 1_232));
  // What is known of the way is not asked for again.
  w.network.queries.length = 0;
  assert.equal((await w.clock.settle(w.resolver.resolve("x.zone.test", "MX"))).status, "no-such-domain");
  assert.deepEqual(w.asked(), ["x.zone.test 15"]);
});

Deno.test("the root says itself who serves it; the addresses built in do when it does not", async () => {
  // The one server that is built in knows of another one, which has the zones of today.
  const moved = { answers: [ns(".", "new.root")], additionals: [a("new.root", OTHER)], authoritative: true };
  const w = world({
    [ROOT]: serverOf((query) => query.questions[0]!.name === "." ? moved : { rcode: RCODES.REFUSED }),
    [OTHER]: serverOf(authority(".", ROOT_ZONE)),
  });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  const silent = world({
    [ROOT]: serverOf((query) =>
      query.questions[0]!.name === "." ? { rcode: RCODES.SERVFAIL } : authority(".", ROOT_ZONE)(query)
    ),
  });
  assert.deepEqual(await address(silent), ["192.0.2.80"]);
});

Deno.test("broken: NXDOMAIN for a name that only has names below it", async () => {
  const broken = serverOf((query) => {
    const name = query.questions[0]!.name.toLowerCase();
    return name === "a.b.c.zone.test" ? authority("zone.test", ZONE_RECORDS)(query) : {
      rcode: RCODES.NXDOMAIN,
      authoritative: true,
      recursionAvailable: false,
      authorities: [soa("zone.test")],
    };
  });
  const w = world({ [ZONE]: broken });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  w.network.queries.length = 0;
  await w.clock.settle(w.resolver.resolve("other.c.zone.test", "A"));
  assert.deepEqual(w.asked(), ["other.c.zone.test 1"], "whole names from now on");
});

Deno.test("broken: REFUSED for short names", async () => {
  const broken = serverOf((query) =>
    query.questions[0]!.name.toLowerCase() === "a.b.c.zone.test"
      ? authority("zone.test", ZONE_RECORDS)(query)
      : { rcode: RCODES.REFUSED, recursionAvailable: false }
  );
  const w = world({ [ZONE]: broken });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  w.network.queries.length = 0;
  await assert.rejects(w.clock.settle(w.resolver.resolve("x.c.zone.test", "A")), fault("server-failure"));
  assert.deepEqual(new Set(w.asked()), new Set(["x.c.zone.test 1"]), "whole names from now on");
});

Deno.test("broken: FORMERR for EDNS, or for its cookie", async () => {
  for (const dislikes of ["edns", "cookie"]) {
    const broken = serverOf((query) => {
      const bad = dislikes === "edns" ? query.edns !== null : (query.edns?.options.length ?? 0) > 0;
      return bad ? { rcode: RCODES.FORMERR, edns: null } : authority("zone.test", ZONE_RECORDS)(query);
    });
    const w = world({ [ZONE]: broken });
    assert.deepEqual(await address(w), ["192.0.2.80"], dislikes);
    w.network.queries.length = 0;
    await w.clock.settle(w.resolver.resolve("x.zone.test", "A"));
    const [last] = w.network.queries;
    assert.equal(last!.edns === null, dislikes === "edns");
    assert.deepEqual(last!.edns?.options ?? [], []);
    assert.equal(w.network.queries.length, 1, "it is remembered");
  }
});

Deno.test("broken: FORMERR, with EDNS of its own, for a cookie", async () => {
  const plain = authority("zone.test", ZONE_RECORDS);
  const w = world({
    [ZONE]: serverOf((query) =>
      (query.edns?.options.length ?? 0) > 0
        ? { rcode: RCODES.FORMERR, edns: { ...query.edns!, options: [] } }
        : plain(query)
    ),
  });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  w.network.queries.length = 0;
  await w.clock.settle(w.resolver.resolve("x.zone.test", "A"));
  assert.deepEqual(w.network.queries.map(({ edns }) => edns?.options), [[]], "it is remembered");
});

Deno.test("broken: FORMERR for everything over UDP", async () => {
  const plain = authority("zone.test", ZONE_RECORDS);
  const w = world({
    [ZONE]: {
      udp: (query) => [{ octets: encodeMessage(reply(query, { rcode: RCODES.FORMERR, edns: null })) }],
      tcp: (query) => encodeMessage(reply(query, plain(query))),
    },
  });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
});

Deno.test("broken: names come back in lower case", async () => {
  const plain = authority("zone.test", ZONE_RECORDS);
  const lower = (query: Message) => ({
    ...plain(query),
    questions: query.questions.map((question) => ({ ...question, name: question.name.toLowerCase() })),
  });
  const w = world({ [ZONE]: serverOf(lower) });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  assert.ok(w.network.log.includes(`tcp ${ZONE}`), "TCP tells a guess from a habit");
  w.network.log.length = 0;
  await w.clock.settle(w.resolver.resolve("y.zone.test", "A"));
  assert.deepEqual(w.network.log, [`udp ${ZONE}`], "it is remembered");
});

Deno.test("broken: everything is truncated over UDP", async () => {
  const plain = authority("zone.test", ZONE_RECORDS);
  const w = world({
    [ZONE]: {
      udp: (query) => [{ octets: encodeMessage(reply(query, { truncated: true })) }],
      tcp: (query) => encodeMessage(reply(query, plain(query))),
    },
  });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
});

Deno.test("cookies: ours go out, the server's come back, a wrong one is ignored", async () => {
  const plain = authority("zone.test", ZONE_RECORDS);
  const seen: number[] = [];
  const w = world({
    [ZONE]: {
      udp: (query) => {
        const cookie = query.edns!.options[0]!.octets;
        seen.push(cookie.length);
        const edns = (octets: Uint8Array) => ({ ...query.edns!, options: [{ code: 10, octets }] });
        const forged = reply(query, {
          ...plain(query),
          answers: [a(query.questions[0]!.name.toLowerCase(), "192.0.2.66")],
        });
        const good = Uint8Array.of(...cookie.subarray(0, 8), 1, 2, 3, 4, 5, 6, 7, 8);
        return [
          { octets: encodeMessage({ ...forged, edns: edns(new Uint8Array(16)) }) },
          { octets: encodeMessage({ ...reply(query, plain(query)), edns: edns(good) }) },
        ];
      },
    },
  });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  assert.deepEqual(seen, [8, 16, 16]);
});

Deno.test("a lame server is passed over and left out", async () => {
  const twice = [...TEST_ZONE, ns("zone.test", "ns2.zone.test"), a("ns2.zone.test", OTHER)];
  const w = world({
    [TEST]: serverOf(authority("test", twice)),
    [OTHER]: serverOf(authority("zone.test", ZONE_RECORDS)),
    [ZONE]: serverOf(() => ({ recursionAvailable: false, authorities: [ns(".", "ns.root")] })),
  });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  w.network.log.length = 0;
  await w.clock.settle(w.resolver.resolve("z.zone.test", "A"));
  assert.deepEqual(w.network.log, [`udp ${OTHER}`]);
});

Deno.test("of a zone's servers the fastest is asked first, and one that is dead is left alone for a while", async () => {
  const hosts = ["slow", "fast", "dead"].map((host, at) => ({
    host: `${host}.zone.test`,
    address: `192.0.2.${10 + at}`,
  }));
  const [slow, fast, dead] = hosts.map(({ address }) => address) as [string, string, string];
  const answer = authority("zone.test", ZONE_RECORDS);
  const late = (delayMs: number): FakeServer => ({
    udp: (query) => [{ octets: encodeMessage(reply(query, answer(query))), delayMs }],
  });
  const w = world({
    [TEST]: serverOf(authority("test", [
      ns("test", "ns.test"),
      ...hosts.flatMap(({ host, address }) => [ns("zone.test", host), a(host, address)]),
    ])),
    [slow]: late(300),
    [fast]: late(20),
    [dead]: { udp: () => [] },
  });
  const ask = async (name: string) => {
    w.network.log.length = 0;
    await w.clock.settle(w.resolver.resolve(`${name}.zone.test`, "A"));
    return w.network.log;
  };
  for (let at = 0; at < 6; at++) await ask(`learn${at}`);
  assert.deepEqual(await ask("x"), [`udp ${fast}`]);
  w.network.servers.set(fast, { udp: () => [] });
  assert.deepEqual(await ask("y"), [`udp ${fast}`, `udp ${slow}`], "the next one beside it");
  assert.deepEqual(await ask("z"), [`udp ${slow}`], "those that are silent are let alone");
});

Deno.test("addresses outside of the zone that delegates do not count", async () => {
  const poisoned = [ns("test", "ns.test"), ns("zone.test", "ns.elsewhere"), a("ns.elsewhere", "192.0.2.66")];
  const liar = serverOf(() => ({ authoritative: true, answers: [a("a.b.c.zone.test", "192.0.2.66")] }));
  const root = [...ROOT_ZONE, ns("elsewhere", "ns.elsewhere"), a("ns.elsewhere", OTHER)];
  const both = (query: Message) =>
    isWithin(query.questions[0]!.name.toLowerCase(), "elsewhere")
      ? authority("elsewhere", [ns("elsewhere", "ns.elsewhere"), a("ns.elsewhere", OTHER)])(query)
      : authority("zone.test", ZONE_RECORDS)(query);
  const w = world({
    [ROOT]: serverOf(authority(".", root)),
    [TEST]: serverOf(authority("test", poisoned)),
    [OTHER]: serverOf(both),
    "192.0.2.66": liar,
  });
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  assert.ok(!w.network.log.includes("udp 192.0.2.66"));
});

Deno.test("records of other zones in an answer do not count", async () => {
  const w = world({
    [ZONE]: serverOf((query) => ({
      authoritative: true,
      recursionAvailable: false,
      answers: [
        record("alias.zone.test", { type: "CNAME", target: "a.victim.test" }),
        a("a.victim.test", "192.0.2.66"),
      ].filter(({ name }) => name === query.questions[0]!.name.toLowerCase() || name === "a.victim.test"),
    })),
  });
  const answer = await w.clock.settle(w.resolver.resolve("alias.zone.test", "A"));
  assert.equal(answer.status, "no-such-domain");
  assert.equal(answer.canonicalName, "a.victim.test");
});

Deno.test("servers that need each other's names end", async () => {
  const root = [...ROOT_ZONE, ns("one", "ns.two"), ns("two", "ns.one")];
  const w = world({ [ROOT]: serverOf(authority(".", root)) });
  await assert.rejects(w.clock.settle(w.resolver.resolve("x.one", "A")), fault("server-failure"));
  assert.ok(w.network.queries.length < 20, String(w.network.queries.length));
});

Deno.test("a delegation to thousands of names of servers costs a bounded number of queries", async () => {
  const hosts = Array.from({ length: 300 }, (_, at) => ns("zone.test", `ns${at}.victim`));
  const root = [...ROOT_ZONE, ns("victim", "ns.victim"), a("ns.victim", OTHER)];
  const w = world({
    [ROOT]: serverOf(authority(".", root)),
    [TEST]: serverOf(authority("test", [ns("test", "ns.test"), ...hosts])),
    [OTHER]: serverOf(authority("victim", [ns("victim", "ns.victim"), a("ns.victim", OTHER)])),
  });
  await assert.rejects(w.clock.settle(w.resolver.resolve("x.zone.test", "A")), ResolveError);
  assert.ok(w.network.queries.length <= 60, String(w.network.queries.length));
});

Deno.test("delegations without end are ended", async () => {
  const endless = serverOf((query) => {
    const name = query.questions[0]!.name.toLowerCase();
    return {
      recursionAvailable: false,
      authorities: [ns(name, `ns.${name}`)],
      additionals: [a(`ns.${name}`, ZONE)],
    };
  });
  const w = world({ [ZONE]: endless });
  const long = `${"a.".repeat(100)}zone.test`;
  await assert.rejects(w.clock.settle(w.resolver.resolve(long, "A")), ResolveError);
  assert.ok(w.network.queries.length <= 125, String(w.network.queries.length));
});

Deno.test("a public zone does not lead us to ourselves", async () => {
  const own = [ns("test", "ns.test"), ns("zone.test", "ns.zone.test"), a("ns.zone.test", "127.0.0.1")];
  const w = world({
    [TEST]: serverOf(authority("test", own)),
    "127.0.0.1": serverOf(authority("zone.test", ZONE_RECORDS)),
  });
  await assert.rejects(w.clock.settle(w.resolver.resolve("a.b.c.zone.test", "A")), fault("server-failure"));
  assert.ok(!w.network.log.includes("udp 127.0.0.1"));
});

Deno.test("when the servers are gone, an answer is given that was good before", async () => {
  const w = world();
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  w.network.servers.clear();
  w.clock.advance(400_000);
  const stale = await w.clock.settle(w.resolver.resolve("a.b.c.zone.test", "A"));
  assert.deepEqual([stale.records.length, stale.ttlSeconds, stale.reason?.code], [1, 30, 3]);
  w.clock.advance(90_000_000);
  await assert.rejects(w.clock.settle(w.resolver.resolve("a.b.c.zone.test", "A")), ResolveError);
});

Deno.test("what is asked for often is asked for anew before its time ends", async () => {
  const w = world();
  for (let at = 0; at < 4; at++) await address(w);
  w.clock.advance(280_000);
  w.network.queries.length = 0;
  await address(w);
  await w.clock.settle(new Promise<void>((resolve) => void w.clock.after(10, resolve)));
  assert.equal(w.asked().at(-1), "a.b.c.zone.test 1");
  w.clock.advance(100_000);
  w.network.queries.length = 0;
  assert.deepEqual(await address(w), ["192.0.2.80"]);
  assert.deepEqual(w.asked(), []);
});
