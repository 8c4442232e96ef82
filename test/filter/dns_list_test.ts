/** A list in DNS is believed only while its test entries are as RFC 5782 5 has them. */
import assert from "node:assert/strict";
import { configure, type LogRecord, reset } from "@logtape/logtape";
import { DnsList, type ListWord, NO_ANSWER } from "../../filter/dns_list.ts";
import { documentedCodes } from "../../filter/dns_list_codes.ts";
import { Lookup } from "../../filter/lookup.ts";
import { parseConfig } from "../../server/config/load.ts";
import { linkLists } from "../../server/link_lists.ts";
import { a, type MockEntry, MockResolver } from "../lib/mock_resolver.ts";

const HOUR_MS = 3_600_000;
const LISTED = [a("127.0.0.2")];
const V6_TAIL = `f.f.f.f.${"0.".repeat(20)}bl.test A`;
const V6_TEST = `2.0.0.0.0.0.f.7.${V6_TAIL}`;
const V6_NEVER = `1.0.0.0.0.0.f.7.${V6_TAIL}`;
/** What is asked about, listed in each case. */
const SUBJECTS: Record<string, MockEntry> = {
  "9.2.0.192.bl.test A": LISTED,
  "bad.example.bl.test A": LISTED,
};

class Bed {
  readonly resolver: MockResolver;
  now = 0;
  readonly #of: "address" | "domain";
  readonly #list: DnsList;

  constructor(of: "address" | "domain", entries: Record<string, MockEntry>) {
    this.resolver = new MockResolver({ ...SUBJECTS, ...entries });
    const now = () => this.now;
    const lookup = new Lookup(this.resolver, { now, timeoutMs: 60_000, entries: 100 });
    this.#of = of;
    this.#list = new DnsList({ zone: "bl.test", of, weight: 3, codes: {}, lookup, now });
  }

  ask(): ListWord | Promise<ListWord> {
    return this.#list.weightOf(this.#of === "address" ? "9.2.0.192" : "bad.example");
  }

  /** Questions since the last call. */
  asked(): string[] {
    return this.resolver.queries.splice(0);
  }
}

/** What is logged while something is done, level and text. */
async function logged(work: () => Promise<void>): Promise<string[]> {
  const records: LogRecord[] = [];
  await configure({
    sinks: { memory: (record) => records.push(record) },
    loggers: [
      { category: ["veredus", "filter"], sinks: ["memory"], lowestLevel: "info" },
      { category: ["logtape", "meta"], sinks: [] },
    ],
  });
  try {
    await work();
  } finally {
    await reset();
  }
  return records.map(({ level, message }) => `${level}: ${message.join("")}`);
}

Deno.test("a list with the test entry of its kind is believed; one without, or that lists everything, is not", async () => {
  const cases: [of: "address" | "domain", entries: Record<string, MockEntry>, weight: number | null][] = [
    ["address", { "2.0.0.127.bl.test A": LISTED }, 3],
    ["address", { [V6_TEST]: LISTED }, 3],
    ["address", {}, null],
    ["address", { "test.bl.test A": LISTED }, null],
    ["address", { "2.0.0.127.bl.test A": [a("203.0.113.1")] }, null],
    ["address", { "2.0.0.127.bl.test A": [a("127.0.0.1")] }, null],
    ["address", { "2.0.0.127.bl.test A": LISTED, "1.0.0.127.bl.test A": LISTED }, null],
    ["address", { "2.0.0.127.bl.test A": LISTED, [V6_NEVER]: LISTED }, null],
    ["domain", { "test.bl.test A": LISTED }, 3],
    ["domain", { "2.0.0.127.bl.test A": LISTED }, 3],
    ["domain", {}, null],
    ["domain", { "test.bl.test A": LISTED, "invalid.bl.test A": LISTED }, null],
    ["domain", { "test.bl.test A": LISTED, "1.0.0.127.bl.test A": LISTED }, null],
    // One answer of several is missing: the others are enough.
    ["address", { "2.0.0.127.bl.test A": LISTED, [V6_TEST]: "timeout", [V6_NEVER]: "timeout" }, 3],
    ["address", { "2.0.0.127.bl.test A": LISTED, [V6_NEVER]: LISTED, [V6_TEST]: "timeout" }, null],
  ];
  for (const [of, entries, weight] of cases) {
    assert.equal(await new Bed(of, entries).ask(), weight, `${of} ${Deno.inspect(entries)}`);
  }
});

Deno.test("a list that is off is not asked, and is tested again each hour until it is as it must be", async () => {
  const bed = new Bed("address", {});
  const lines = await logged(async () => {
    assert.equal(await bed.ask(), null);
    bed.asked();
    assert.equal(await bed.ask(), null);
    assert.deepEqual(bed.asked(), [], "it is off");
    bed.now += HOUR_MS;
    assert.equal(await bed.ask(), null);
    assert.ok(bed.asked().includes("2.0.0.127.bl.test A"), "it is tested again");
    bed.resolver.entries.set("2.0.0.127.bl.test A", LISTED);
    bed.now += HOUR_MS;
    assert.equal(await bed.ask(), 3);
  });
  assert.deepEqual(lines, [
    "error: the list bl.test is switched off: it lacks the test entry (RFC 5782)",
    "error: the list bl.test is switched off: it lacks the test entry (RFC 5782)",
    "info: the list bl.test is asked again: its test entries are as they must be",
  ]);
});

Deno.test("a good list is tested once a day, and goes off when it begins to list everything", async () => {
  const bed = new Bed("address", { "2.0.0.127.bl.test A": LISTED });
  assert.equal(await bed.ask(), 3);
  bed.asked();
  bed.resolver.entries.set("1.0.0.127.bl.test A", LISTED);
  bed.now += 23 * HOUR_MS;
  assert.equal(await bed.ask(), 3);
  assert.deepEqual(bed.asked(), ["9.2.0.192.bl.test A"]);
  bed.now += HOUR_MS;
  const lines = await logged(async () => assert.equal(await bed.ask(), null));
  assert.deepEqual(lines, [
    "error: the list bl.test is switched off: it lists what no list may list (RFC 5782)",
  ]);
});

Deno.test("a test that nobody answers switches nothing off; the list counts when it answers again", async () => {
  const bed = new Bed("address", { "2.0.0.127.bl.test A": "timeout" });
  const lines = await logged(async () => assert.equal(await bed.ask(), NO_ANSWER));
  assert.deepEqual(lines, []);
  bed.resolver.entries.set("2.0.0.127.bl.test A", LISTED);
  bed.now += 60_000; // what failed is remembered for half a minute
  assert.equal(await bed.ask(), 3);
});

Deno.test("a list that says it does not answer us is left alone at once", async () => {
  const bed = new Bed("domain", { "test.bl.test A": [a("127.255.255.254")] });
  const lines = await logged(async () => {
    assert.equal(await bed.ask(), NO_ANSWER);
    bed.asked();
    assert.equal(await bed.ask(), NO_ANSWER);
    assert.deepEqual(bed.asked(), []);
  });
  assert.deepEqual(lines, [
    "warning: the list bl.test is left alone for a while: it says 127.255.255.254",
  ]);
});

Deno.test("lists of links: the strongest answer gives the points; a list that lists everything gives none", async () => {
  const resolver = new MockResolver({
    "test.uri.test A": LISTED,
    "some.example.uri.test A": [a("127.0.0.4")],
    "bad.example.uri.test A": [a("127.0.0.2"), a("127.0.0.8")],
    "test.all.test A": LISTED,
    "invalid.all.test A": LISTED,
    "bad.example.all.test A": LISTED,
  });
  const zones = [
    { zone: "uri.test", points: 2, codes: { "127.0.0.4": 2, "127.0.0.8": 5 } },
    { zone: "all.test", points: 9, codes: {} },
  ];
  const hitsOf = linkLists(zones, { resolver, clock: () => 0 });
  assert.deepEqual(await hitsOf(["some.example", "bad.example", "not a name", "good.example"]), [
    { name: "listed-link", points: 5, explain: "a link leads to bad.example, which uri.test lists" },
  ]);
  assert.deepEqual(await hitsOf(["good.example"]), []);
  assert.deepEqual(await hitsOf([]), []);
});

Deno.test("lists of links: none by default; where codes are stated only those count, else documented ones", async () => {
  const zonesOf = (yaml: string) =>
    parseConfig(`hostname: mx.test\nfilter: { spam: ${yaml} }\n`, "/veredus.yaml").filter.spam.linkZones;
  assert.deepEqual(zonesOf("{}"), []);
  const resolver = new MockResolver({
    "test.uri.test A": LISTED,
    "undocumented.example.uri.test A": [a("127.0.0.4")],
    "bad.example.uri.test A": [a("127.0.0.8")],
  });
  const pointsOf = async (yaml: string, domain: string) =>
    (await linkLists(zonesOf(yaml), { resolver, clock: () => 0 })([domain])).map(({ points }) => points);
  const codes = "{ link_zones: [{ zone: uri.test, codes: { 127.0.0.8: 5 } }] }";
  assert.deepEqual(await pointsOf(codes, "bad.example"), [5]);
  assert.deepEqual(await pointsOf(codes, "undocumented.example"), []);
  assert.deepEqual(await pointsOf("{ link_zones: [{ zone: uri.test }] }", "undocumented.example"), []);
});

Deno.test("bit masks are told by their bits; a list of domains that refuses questions about addresses is believed", async () => {
  const entries: Record<string, MockEntry> = {
    "2.0.0.127.multi.uribl.com A": [a("127.0.0.14")],
    "black-and-grey.example.multi.uribl.com A": [a("127.0.0.6")],
    "grey.example.multi.uribl.com A": [a("127.0.0.4")],
    "none.example.multi.uribl.com A": [a("127.0.0.48")],
    "test.dbl.spamhaus.org A": [a("127.0.1.2")],
    "1.0.0.127.dbl.spamhaus.org A": [a("127.0.1.255")],
    "2.0.0.127.dbl.spamhaus.org A": [a("127.0.1.255")],
    "phish.example.dbl.spamhaus.org A": [a("127.0.1.4")],
    "odd.example.dbl.spamhaus.org A": [a("127.0.1.255")],
  };
  const pointsOf = async (zone: string, domain: string, codes: Record<string, number> = {}) => {
    const lists = linkLists([{ zone, points: 2, codes }], {
      resolver: new MockResolver(entries),
      clock: () => 0,
    });
    return (await lists([domain])).map(({ points }) => points);
  };
  const uribl = "multi.uribl.com";
  assert.deepEqual(await pointsOf(uribl, "black-and-grey.example"), [2]);
  assert.deepEqual(await pointsOf(uribl, "black-and-grey.example", { "127.0.0.2": 5 }), [5]);
  assert.deepEqual(await pointsOf(uribl, "grey.example", { "127.0.0.2": 5, "127.0.0.4": 0 }), []);
  assert.deepEqual(await pointsOf(uribl, "none.example"), []);
  assert.deepEqual(await pointsOf("dbl.spamhaus.org", "phish.example"), [2]);
  assert.deepEqual(await pointsOf("dbl.spamhaus.org", "odd.example"), []);
});

Deno.test("links: the operator's key in front of a zone is told to nobody", async () => {
  const key = "abcdefgh12345678abcdefgh12";
  const resolver = new MockResolver({
    [`test.${key}.dbl.dq.spamhaus.net A`]: [a("127.0.1.2")],
    [`bad.example.${key}.dbl.dq.spamhaus.net A`]: [a("127.0.1.2")],
  });
  const lists = linkLists([{ zone: `${key}.dbl.dq.spamhaus.net`, points: 2, codes: {} }], {
    resolver,
    clock: () => 0,
  });
  assert.deepEqual((await lists(["bad.example"])).map(({ explain }) => explain), [
    "a link leads to bad.example, which dbl.dq.spamhaus.net lists",
  ]);
});

Deno.test("the documented codes of lists, one of each and one that is none", () => {
  const cases: [zone: string, answer: string, codes: readonly string[]][] = [
    ["sbl.spamhaus.org", "127.0.0.3", ["127.0.0.3"]],
    ["sbl.spamhaus.org", "127.0.0.4", []],
    ["xbl.spamhaus.org", "127.0.0.4", ["127.0.0.4"]],
    ["pbl.spamhaus.org", "127.0.0.10", ["127.0.0.10"]],
    ["abcdef.zen.dq.spamhaus.net.", "127.0.0.10", ["127.0.0.10"]],
    ["ABCDEF.DBL.dq.spamhaus.net", "127.0.1.106", ["127.0.1.106"]],
    ["dbl.spamhaus.org", "127.0.0.2", []],
    ["bl.spamcop.net", "127.0.0.2", ["127.0.0.2"]],
    ["b.barracudacentral.org", "127.0.0.3", []],
    ["psbl.surriel.com", "127.0.0.2", ["127.0.0.2"]],
    ["list.dnswl.org", "127.0.5.3", ["127.0.5.3"]],
    ["list.dnswl.org", "127.0.0.255", []],
    ["multi.surbl.org", "127.0.0.80", ["127.0.0.16", "127.0.0.64"]],
    ["multi.surbl.org", "127.0.0.1", []],
    ["multi.uribl.com", "127.0.0.9", ["127.0.0.8"]],
    ["bl.test", "127.0.0.2", ["127.0.0.2"]],
    ["bl.test", "127.0.0.3", []],
    ["org", "127.0.0.3", []],
  ];
  for (const [zone, answer, codes] of cases) {
    assert.deepEqual(documentedCodes(zone, answer), codes, `${zone} ${answer}`);
  }
});
