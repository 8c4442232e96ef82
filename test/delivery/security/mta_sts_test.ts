/** MTA-STS: records, policies, hosts, and how long a policy is kept (RFC 8461). */
import assert from "node:assert/strict";
import { allowsHost, parseStsPolicy, stsId, stsLines } from "../../../delivery/security/mta_sts.ts";
import { RETRY_MS, StsFetchError, StsPolicies } from "../../../delivery/security/sts_policies.ts";
import { MockResolver, txt } from "../../lib/mock_resolver.ts";
import { TestStore } from "../../lib/test_store.ts";

const POLICY = "version: STSv1\r\nmode: enforce\r\nmx: mx.one.test\r\nmx: *.two.test\r\nmax_age: 86400\r\n";
const HOUR = 3_600_000;

Deno.test("the record of a domain", () => {
  const cases: [string[], string | null][] = [
    [["v=STSv1; id=20160831085700Z;"], "20160831085700Z"],
    [["v=STSv1;id=a"], "a"],
    [["v=STSv1; more=x; id=b"], "b"],
    [["something else", "v=STSv1; id=c"], "c"],
    [["v=STSv1; id=a", "v=STSv1; id=b"], null],
    [["v=STSv1; id="], null],
    [["v=STSv1; id=not-alphanumeric"], null],
    [[`v=STSv1; id=${"x".repeat(33)}`], null],
    [["v=STSv1"], null],
    [["V=stsv1; id=a"], null],
    [["v=STSv11; id=a"], null],
    [[], null],
  ];
  for (const [records, expected] of cases) assert.equal(stsId(records), expected, records.join());
});

Deno.test("the text of a policy", () => {
  const good = { mode: "enforce", mx: ["mx.one.test", "*.two.test"], maxAgeMs: 86_400_000 };
  assert.deepEqual(parseStsPolicy(POLICY), good);
  assert.deepEqual(parseStsPolicy(POLICY.replaceAll("\r\n", "\n")), good);
  assert.deepEqual(parseStsPolicy(`${POLICY}new_field: yes\r\nmode: none\r\n`), good);
  assert.deepEqual(parseStsPolicy(stsLines(good as Parameters<typeof stsLines>[0]).join("\n")), good);
  assert.deepEqual(parseStsPolicy("version: STSv1\nmode: none\nmax_age: 1"), {
    mode: "none",
    mx: [],
    maxAgeMs: 1_000,
  });
  const year = parseStsPolicy(POLICY.replace("86400", "9999999999"));
  assert.equal(typeof year === "string" ? year : year.maxAgeMs, 31_557_600_000);
  for (
    const text of [
      "",
      POLICY.replace("STSv1", "STSv2"),
      POLICY.replace("enforce", "strict"),
      POLICY.replace("86400", "a day"),
      POLICY.replace("86400", "-1"),
      POLICY.replace("mx: mx.one.test\r\nmx: *.two.test\r\n", ""),
      POLICY.replace("*.two.test", "mx*.two.test"),
      POLICY.replace("mx.one.test", "mx one.test"),
      POLICY.replace("mx: mx.one.test\r\n", "mx: a.test\r\n".repeat(101)),
    ]
  ) assert.equal(typeof parseStsPolicy(text), "string", text);
});

Deno.test("hosts of a policy", () => {
  const policy = { mode: "enforce", mx: ["mx.one.test", "*.two.test"], maxAgeMs: 1 } as const;
  for (const host of ["mx.one.test", "MX.One.Test", "a.two.test"]) assert.ok(allowsHost(policy, host), host);
  for (const host of ["one.test", "a.mx.one.test", "two.test", "b.a.two.test", ""]) {
    assert.ok(!allowsHost(policy, host), host);
  }
});

/** Policies of one.test with a clock and answers that the test moves. */
async function bed() {
  const test = await TestStore.open();
  const resolver = new MockResolver({ "_mta-sts.one.test TXT": [txt("v=STSv1; id=1")] });
  const web = { text: POLICY as string | StsFetchError, asked: 0 };
  const time = { now: Date.now() };
  const fetch = async (domain: string) => {
    assert.equal(domain, "one.test");
    web.asked++;
    await Promise.resolve();
    if (web.text instanceof StsFetchError) throw web.text;
    return web.text;
  };
  const make = () => new StsPolicies({ store: test.store, resolver, fetch, clock: () => time.now });
  return { test, resolver, web, time, make, policies: make(), [Symbol.asyncDispose]: () => test.close() };
}

Deno.test("a policy is fetched once, kept over restarts, and asked for again when its id changes", async () => {
  await using t = await bed();
  const both = await Promise.all([t.policies.of("one.test"), t.policies.of("one.test")]);
  assert.deepEqual(both.map(({ policy }) => policy?.mode), ["enforce", "enforce"]);
  assert.equal(t.web.asked, 1, "one fetch for two who wait");
  assert.equal((await t.make().of("one.test")).policy?.id, "1");
  assert.equal(t.web.asked, 1);
  t.resolver.entries.set("_mta-sts.one.test TXT", [txt("v=STSv1; id=2")]);
  t.web.text = POLICY.replace("enforce", "testing");
  const { policy } = await t.policies.of("one.test");
  assert.deepEqual([policy?.id, policy?.mode, t.web.asked], ["2", "testing", 2]);
});

Deno.test("neither a lost record nor a lost host ends a policy before its age does", async () => {
  await using t = await bed();
  await t.policies.of("one.test");
  t.resolver.entries.delete("_mta-sts.one.test TXT");
  assert.equal((await t.policies.of("one.test")).policy?.mode, "enforce");
  t.resolver.entries.set("_mta-sts.one.test TXT", "server-failure");
  assert.equal((await t.policies.of("one.test")).policy?.mode, "enforce");
  t.resolver.entries.set("_mta-sts.one.test TXT", [txt("v=STSv1; id=2")]);
  t.web.text = new StsFetchError("sts-webpki-invalid", "not for mta-sts.one.test");
  const answer = await t.policies.of("one.test");
  assert.deepEqual([answer.policy?.mode, answer.problem?.result], ["enforce", "sts-webpki-invalid"]);
  await t.policies.of("one.test");
  assert.equal(t.web.asked, 2, "not asked again at once");
  t.time.now += RETRY_MS + 1;
  await t.policies.of("one.test");
  assert.equal(t.web.asked, 3);
  t.time.now += 25 * HOUR;
  assert.equal((await t.policies.of("one.test")).policy, null, "its age is over");
});

Deno.test("a domain without a policy, or with a broken one", async () => {
  await using t = await bed();
  assert.deepEqual(await t.policies.of("none.test"), { policy: null, problem: null });
  t.web.text = "version: STSv3";
  const { policy, problem } = await t.policies.of("one.test");
  assert.deepEqual([policy, problem?.result], [null, "sts-policy-invalid"]);
});

Deno.test("policies are renewed behind the scenes after a day", async () => {
  await using t = await bed();
  t.web.text = POLICY.replace("86400", "604800");
  await t.policies.of("one.test");
  await t.policies.refresh();
  assert.equal(t.web.asked, 1, "young enough");
  t.time.now += 25 * HOUR;
  t.resolver.entries.delete("_mta-sts.one.test TXT");
  await t.policies.refresh();
  assert.equal(t.web.asked, 2, "also without its record");
  t.time.now += 6 * 24 * HOUR;
  assert.equal((await t.make().of("one.test")).policy?.mode, "enforce", "its age counts anew");
});
