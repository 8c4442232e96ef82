/** Lists in DNS, through the whole reception. */
import assert from "node:assert/strict";
import type { MockEntry } from "../lib/mock_resolver.ts";
import { Bed, TAKEN } from "./checks_bed.ts";

const A = (address: string) => [{ type: "A", address }] as const;

Deno.test("DNS lists: weights by answer, only 127.0.0.0/8 counts, errors open the circuit", async () => {
  const dns: Record<string, MockEntry> = {
    "2.0.0.127.bl.example A": A("127.0.0.2"),
    "2.0.0.127.wl.example A": A("127.0.0.2"),
    "test.dbl.example A": A("127.0.0.2"),
    "1.2.0.192.bl.example A": A("127.0.0.2"),
    "1.2.0.192.wl.example A": A("127.0.0.2"),
    "2.2.0.192.bl.example A": A("127.0.0.4"),
    "3.2.0.192.bl.example A": A("203.0.113.1"),
    "4.2.0.192.bl.example A": A("127.0.0.1"),
    "bad.example.dbl.example A": A("127.0.0.2"),
    "5.2.0.192.bl.example A": A("127.255.255.254"),
  };
  const checks = "    - check: dnsbl\n      action: reject\n      threshold: 3\n      zones:\n" +
    "        - { zone: bl.example, weight: 1, codes: { 127.0.0.2: 4, 127.0.0.4: 3 } }\n" +
    "        - { zone: wl.example, weight: -2 }\n        - { zone: dbl.example, of: sender, weight: 3 }\n";
  await using bed = await Bed.open(checks, dns);
  const from = (last: number) => ({ client: { address: `192.0.2.${last}` } });
  assert.deepEqual(await bed.send(from(1)), TAKEN, "4 - 2");
  assert.deepEqual(await bed.send(from(2)), ["550 5.7.1"]);
  assert.deepEqual(await bed.send(from(3)), TAKEN, "an answer outside 127.0.0.0/8");
  assert.deepEqual(await bed.send(from(4)), TAKEN, "127.0.0.1 lists nobody");
  assert.deepEqual(await bed.send({ from: "x@bad.example" }), ["550 5.7.1"], "4 - 2 + 3");
  assert.deepEqual(await bed.send(from(5)), TAKEN, "the list's own error");
  const asked = bed.resolver.queries.length;
  assert.deepEqual(await bed.send(from(2)), TAKEN, "the circuit is open");
  assert.ok(!bed.resolver.queries.slice(asked).some((query) => query.includes(".bl.example")));
  bed.now += 120_000;
  assert.deepEqual(await bed.send(from(2)), ["550 5.7.1"], "it is asked again");
});

Deno.test("DNS lists: stated codes count, and what a known list documents; of others 127.0.0.2", async () => {
  const dns: Record<string, MockEntry> = {
    "2.0.0.127.bl.example A": A("127.0.0.2"),
    "1.2.0.192.bl.example A": A("127.0.0.2"),
    "2.2.0.192.bl.example A": A("127.0.0.4"),
    "3.2.0.192.bl.example A": A("127.0.0.9"),
    "4.2.0.192.bl.example A": [...A("127.0.0.9"), ...A("127.0.0.4")],
    "2.0.0.127.zen.spamhaus.org A": [...A("127.0.0.2"), ...A("127.0.0.4"), ...A("127.0.0.10")],
    "1.2.0.192.zen.spamhaus.org A": A("127.0.0.3"),
    "2.2.0.192.zen.spamhaus.org A": A("127.0.0.11"),
    "3.2.0.192.zen.spamhaus.org A": A("127.0.0.200"),
    "4.2.0.192.zen.spamhaus.org A": A("127.0.1.2"),
  };
  const REFUSED = ["550 5.7.1"];
  const cases: [zone: string, answers: readonly (readonly string[])[]][] = [
    ["zone: bl.example, codes: { 127.0.0.4: 1 }", [TAKEN, REFUSED, TAKEN, REFUSED]],
    ["zone: bl.example", [REFUSED, TAKEN, TAKEN, TAKEN]],
    ["zone: bl.example, weight: 1, codes: { 127.0.0.4: 0 }", [REFUSED, TAKEN, TAKEN, TAKEN]],
    ["zone: bl.example, weight: 1, codes: { 127.0.0.2: 0, 127.0.0.9: 1 }", [TAKEN, TAKEN, REFUSED, REFUSED]],
    ["zone: zen.spamhaus.org", [REFUSED, REFUSED, TAKEN, TAKEN]],
    ["zone: zen.spamhaus.org, codes: { 127.0.0.3: 1 }", [REFUSED, TAKEN, TAKEN, TAKEN]],
    ["zone: zen.spamhaus.org, weight: 1, codes: { 127.0.0.11: 0 }", [REFUSED, TAKEN, TAKEN, TAKEN]],
  ];
  for (const [zone, answers] of cases) {
    await using bed = await Bed.open(
      `    - { check: dnsbl, action: reject, threshold: 1, zones: [{ ${zone} }] }\n`,
      dns,
    );
    for (const [at, answer] of answers.entries()) {
      assert.deepEqual(
        await bed.send({ client: { address: `192.0.2.${at + 1}` } }),
        answer,
        `${zone}: ${at + 1}`,
      );
    }
  }
});

Deno.test("DNS lists: one that does not answer is left alone after a few times, and lists nobody", async () => {
  const checks =
    "    - { check: dnsbl, action: reject, zones: [{ zone: bl.example }, { zone: good.example }] }\n";
  const dns: Record<string, MockEntry> = {
    "2.0.0.127.bl.example A": A("127.0.0.2"),
    "2.0.0.127.good.example A": A("127.0.0.2"),
    "9.2.0.192.good.example A": A("127.0.0.2"),
  };
  for (const last of [1, 2, 3, 4, 5]) dns[`${last}.2.0.192.bl.example A`] = "timeout";
  await using bed = await Bed.open(checks, dns);
  const from = (last: number) => bed.send({ client: { address: `192.0.2.${last}` } });
  for (const last of [1, 2, 3, 4, 5]) {
    assert.deepEqual(await from(last), TAKEN);
    assert.deepEqual(
      bed.traced.at(-1)!.checks?.map(({ action, reason }) => [action, reason]),
      [["tag", "no answer of bl.example"]],
      "asked, or left alone: it is told",
    );
  }
  const asked = bed.resolver.queries.filter((query) => query.includes(".2.0.192.bl.example"));
  assert.equal(new Set(asked).size, 3);
  assert.deepEqual(await from(9), ["550 5.7.1"], "the other list works on");
});

Deno.test("DNS lists: the operator's key in front of a zone is told to nobody", async () => {
  const key = "abcdefgh12345678abcdefgh12";
  for (
    const [zone, shown] of [["zen.dq.spamhaus.net", "zen.dq.spamhaus.net"], [
      "combined.list.test",
      "combined.list.test",
    ]] as const
  ) {
    const listed = { type: "A", address: "127.0.0.2" } as const;
    const dns = { [`2.0.0.127.${key}.${zone} A`]: [listed], [`1.2.0.192.${key}.${zone} A`]: [listed] };
    for (const action of ["tag", "reject"]) {
      await using bed = await Bed.open(
        `    - { check: dnsbl, action: ${action}, zones: [{ zone: ${key}.${zone} }] }\n`,
        dns,
      );
      assert.deepEqual(await bed.send(), action === "tag" ? TAKEN : ["550 5.7.1"]);
      const { checks = [] } = bed.traced.at(-1)!;
      assert.equal(checks[0]?.reason, `score 1: ${shown} 1`);
      assert.doesNotMatch(JSON.stringify([bed.traced, bed.stored()]), new RegExp(key));
    }
  }
});
