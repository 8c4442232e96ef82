/** Where mail goes, over a resolver made of a map. */
import assert from "node:assert/strict";
import {
  lookupAddresses,
  lookupMx,
  MAX_ADDRESSES,
  MAX_HOSTS,
  type MxGroup,
  type MxResult,
  withoutOurselves,
} from "../../dns/mx.ts";
import { a, aaaa, type MockEntry, MockResolver, mx } from "../lib/mock_resolver.ts";

/** No change of order: the shuffle swaps each with itself. */
const LAST = () => 0.999_999;

const ZONE: Record<string, MockEntry> = {
  "ordered.test MX": [
    mx(20, "c.test"),
    mx(10, "a.test"),
    mx(20, "d.test"),
    mx(10, "b.test"),
    mx(5, "first.test"),
  ],
  "null.test MX": [mx(0, ".")],
  "nulls.test MX": [mx(0, "."), mx(10, ".")],
  "half-null.test MX": [mx(0, "."), mx(10, "a.test")],
  "figures.test MX": [mx(1, "127.0.0.1"), mx(2, "::1"), mx(3, "a b"), mx(4, "host.1"), mx(10, "a.test")],
  "only-figures.test MX": [mx(1, "127.0.0.1")],
  "127.0.0.1 A": [a("127.0.0.1")],
  "double.test MX": [mx(10, "a.test"), mx(10, "a.test")],
  "implicit4.test A": [a("192.0.2.1")],
  "implicit6.test AAAA": [aaaa("2001:db8::1")],
  "bare.test TXT": [],
  "broken.test MX": "server-failure",
  "silent.test MX": "timeout",
  "circle.test MX": "cname-chain",
  "no-name.test MX": "bad-name",
  "half.test A": [a("192.0.2.2")],
  "half.test AAAA": "server-failure",
  "dead.test MX": "no-data",
  "dead.test A": "timeout",
  "dead.test AAAA": "no-data",
  "alias.test CNAME": [{ type: "CNAME", target: "ordered.test" }],
};

Deno.test("hosts of a domain", async () => {
  const hosts = (groups: readonly MxGroup[], implicit = false): MxResult => ({
    kind: "hosts",
    groups,
    implicit,
    secure: false,
  });
  const ordered: MxGroup[] = [
    { preference: 5, hosts: ["first.test"] },
    { preference: 10, hosts: ["a.test", "b.test"] },
    { preference: 20, hosts: ["c.test", "d.test"] },
  ];
  const failed = (reason: string, temporary = true): MxResult => ({ kind: "failed", temporary, reason });
  const cases: [string, MxResult][] = [
    ["ordered.test", hosts(ordered)],
    ["Ordered.Test.", hosts(ordered)],
    ["alias.test", hosts(ordered)],
    ["null.test", { kind: "null-mx" }],
    ["nulls.test", { kind: "null-mx" }],
    ["half-null.test", hosts([{ preference: 10, hosts: ["a.test"] }])],
    ["figures.test", hosts([{ preference: 10, hosts: ["a.test"] }])],
    ["only-figures.test", { kind: "no-host" }],
    ["127.0.0.1", { kind: "no-such-domain" }],
    ["127.0.0.1.", { kind: "no-such-domain" }],
    ["double.test", hosts([{ preference: 10, hosts: ["a.test"] }])],
    ["implicit4.test", hosts([{ preference: 0, hosts: ["implicit4.test"] }], true)],
    ["implicit6.test", hosts([{ preference: 0, hosts: ["implicit6.test"] }], true)],
    ["half.test", hosts([{ preference: 0, hosts: ["half.test"] }], true)],
    ["bare.test", { kind: "no-host" }],
    ["nowhere.test", { kind: "no-such-domain" }],
    ["broken.test", failed("broken.test: DNS could not answer")],
    ["silent.test", failed("silent.test: DNS did not answer in time")],
    ["circle.test", failed("circle.test: aliases in DNS that do not end")],
    ["dead.test", failed("dead.test: DNS did not answer in time")],
    ["no-name.test", failed("no-name.test: not a domain name", false)],
  ];
  for (const [domain, expected] of cases) {
    assert.deepEqual(await lookupMx(new MockResolver(ZONE), domain, LAST), expected, domain);
  }
});

Deno.test("addresses of explicit hosts are not asked for before they are tried", async () => {
  const resolver = new MockResolver(ZONE);
  await lookupMx(resolver, "ordered.test", LAST);
  assert.deepEqual(resolver.queries, ["ordered.test MX"]);
});

Deno.test("every order of equals is as likely, and preferences never mix", async () => {
  const resolver = new MockResolver({ "d.test MX": [mx(1, "a"), mx(1, "b"), mx(1, "c"), mx(2, "z")] });
  const random = lcg(1);
  const seen = new Map<string, number>();
  for (let round = 0; round < 6_000; round++) {
    const result = await lookupMx(resolver, "d.test", random);
    assert.ok(result.kind === "hosts");
    assert.deepEqual(result.groups[1], { preference: 2, hosts: ["z"] });
    const order = result.groups[0]!.hosts.join("");
    seen.set(order, (seen.get(order) ?? 0) + 1);
  }
  assert.equal(seen.size, 6);
  for (const [order, count] of seen) assert.ok(count > 850 && count < 1_150, `${order}: ${count}`);
});

Deno.test("hosts and addresses are limited, the best ones stay", async () => {
  const many = Array.from({ length: 300 }, (_, at) => mx(300 - at, `h${at}.test`));
  const addresses = Array.from({ length: 200 }, (_, at) => a(`192.0.2.${at}`));
  const resolver = new MockResolver({ "many.test MX": many, "many.test A": addresses });
  const result = await lookupMx(resolver, "many.test", LAST);
  assert.ok(result.kind === "hosts");
  assert.equal(result.groups.length, MAX_HOSTS);
  assert.deepEqual(result.groups[0], { preference: 1, hosts: ["h299.test"] });
  const found = await lookupAddresses(resolver, "many.test", LAST);
  assert.ok(found.kind === "addresses");
  assert.equal(found.addresses.length, MAX_ADDRESSES);
});

Deno.test("addresses of a host", async () => {
  const resolver = new MockResolver({
    ...ZONE,
    "both.test A": [a("192.0.2.1"), a("192.0.2.2")],
    "both.test AAAA": [aaaa("2001:db8::1")],
    "slow.test A": "timeout",
    "slow.test AAAA": "timeout",
  });
  assert.deepEqual(await lookupAddresses(resolver, "both.test", LAST), {
    kind: "addresses",
    addresses: ["2001:db8::1", "192.0.2.1", "192.0.2.2"],
    canonicalName: "both.test",
    secure: false,
  });
  assert.deepEqual(await lookupAddresses(resolver, "both.test", () => 0), {
    kind: "addresses",
    addresses: ["2001:db8::1", "192.0.2.2", "192.0.2.1"],
    canonicalName: "both.test",
    secure: false,
  });
  assert.deepEqual(await lookupAddresses(resolver, "half.test", LAST), {
    kind: "addresses",
    addresses: ["192.0.2.2"],
    canonicalName: "half.test",
    secure: false,
  });
  const alias = new MockResolver({
    "alias.test CNAME": [{ type: "CNAME", target: "host.test" }],
    "host.test A": [a("192.0.2.3")],
  });
  alias.security = "secure";
  assert.deepEqual(await lookupAddresses(alias, "alias.test", LAST), {
    kind: "addresses",
    addresses: ["192.0.2.3"],
    canonicalName: "host.test",
    secure: true,
  });
  assert.deepEqual(await lookupAddresses(resolver, "nowhere.test", LAST), { kind: "none" });
  assert.deepEqual(await lookupAddresses(resolver, "slow.test", LAST), {
    kind: "failed",
    temporary: true,
    reason: "slow.test: DNS did not answer in time",
  });
});

Deno.test("our own place in the list cuts it off", async () => {
  const groups: MxGroup[] = [
    { preference: 5, hosts: ["first.test"] },
    { preference: 10, hosts: ["a.test", "b.test"] },
    { preference: 20, hosts: ["c.test"] },
  ];
  const resolver = new MockResolver({
    "first.test A": [a("192.0.2.5")],
    "a.test A": [a("192.0.2.10")],
    "b.test AAAA": [aaaa("2001:db8::b")],
    "c.test A": "timeout",
  });
  const cases: [string[], string[], number][] = [
    [[], [], 3],
    [["elsewhere.test"], ["203.0.113.1"], 3],
    [["b.test"], [], 1],
    [[], ["2001:db8::b"], 1],
    [[], ["192.0.2.10"], 1],
    [["c.test"], [], 2],
    [["first.test"], [], 0],
    [[], ["192.0.2.5"], 0],
  ];
  for (const [names, addresses, left] of cases) {
    const ours = { names: new Set(names), addresses: new Set(addresses) };
    assert.deepEqual(
      await withoutOurselves(resolver, groups, ours),
      groups.slice(0, left),
      `${names} ${addresses}`,
    );
  }
  const nobody = { names: new Set<string>(), addresses: new Set<string>() };
  for (
    const [record, loopback, ours] of [
      [a("0.0.0.0"), false, true],
      [aaaa("::"), false, true],
      [aaaa("::ffff:192.0.2.7"), false, true],
      [aaaa("::ffff:192.0.2.8"), false, false],
      [a("127.1.2.3"), false, false],
      [a("127.1.2.3"), true, true],
      [aaaa("::ffff:127.1.2.3"), true, true],
    ] as const
  ) {
    const sly = new MockResolver({ [`x.test ${record.type}`]: [record] });
    const us = { names: new Set<string>(), addresses: new Set(["192.0.2.7"]), loopback };
    const left = await withoutOurselves(sly, [{ preference: 1, hosts: ["x.test"] }], us);
    assert.equal(left.length, ours ? 0 : 1, record.address);
  }
  const local = [{ preference: 1, hosts: ["mail.localhost"] }];
  assert.deepEqual(await withoutOurselves(resolver, local, nobody), []);
});

function lcg(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
