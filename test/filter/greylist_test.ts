/** Greylisting at RCPT and behind DATA, through the whole reception. */
import assert from "node:assert/strict";
import { a, type MockEntry, txt } from "../lib/mock_resolver.ts";
import { parseConfig } from "../../server/config/load.ts";
import { decisions } from "../../filter/metrics.ts";
import { Bed, settled, TAKEN } from "./checks_bed.ts";

Deno.test("greylisting: put off, taken after the wait, and networks that come back are known", async () => {
  await using bed = await Bed.open("    - { check: greylist, delay: 5m, known_after: 2 }\n");
  assert.deepEqual(await bed.send(), ["451 4.7.1"]);
  await settled(bed);
  bed.now += 60_000;
  assert.deepEqual(await bed.send(), ["451 4.7.1"], "too soon");
  bed.now += 300_000;
  assert.deepEqual(
    await bed.send({ client: { address: "192.0.2.77" } }),
    TAKEN,
    "another server of the pool",
  );
  await settled(bed);
  assert.deepEqual(await bed.send(), TAKEN, "known");
  assert.deepEqual(await bed.send({ to: ["bob@example.test"] }), ["451 4.7.1"]);
  await settled(bed);
  bed.now += 600_000;
  assert.deepEqual(await bed.send({ to: ["bob@example.test"] }), TAKEN);
  await settled(bed);
  assert.deepEqual(await bed.send({ from: "other@remote.example" }), TAKEN, "the network is known");
  assert.deepEqual(
    await bed.send({ client: { address: "203.0.113.5" } }),
    ["451 4.7.1"],
    "another one is not",
  );
  assert.deepEqual(
    await bed.send({ client: bed.login("bob"), from: "bob@example.test" }),
    TAKEN,
    "logins pass",
  );
});

const BEHIND_DATA = "    - { check: greylist, stages: [message], delay: 5m, known_after: 2 }\n";
const PUT_OFF = ["250 2.1.5", "451 4.7.1"];
const DNS: Record<string, MockEntry> = {
  "good.test TXT": [txt("v=spf1 ip4:192.0.2.0/24 -all")],
  "_dmarc.good.test TXT": [txt("v=DMARC1; p=reject")],
  "plain.test TXT": [txt("v=spf1 ip4:192.0.2.0/24 ip4:203.0.113.0/24 -all")],
};
const authentication = {};

Deno.test("behind DATA a message is put off once for all its recipients, by network and sender", async () => {
  await using bed = await Bed.open(BEHIND_DATA, DNS, { authentication });
  const to = ["alice@example.test", "bob@example.test"];
  const before =
    (await decisions.get()).values.find(({ labels }) =>
      labels.check === "greylist" && labels.action === "defer"
    )?.value ?? 0;
  assert.deepEqual(await bed.send({ to }), ["250 2.1.5", "250 2.1.5", "451 4.7.1"]);
  const { event, checks = [] } = bed.traced.at(-1)!;
  assert.equal(event, "deferred");
  assert.deepEqual(checks.map(({ check, stage, action, reason }) => [check, stage, action, reason]), [
    ["greylist", "message", "defer", "first message from 192.0.2.0/24 of this sender"],
  ]);
  const after = (await decisions.get()).values.find(({ labels }) =>
    labels.check === "greylist" && labels.action === "defer"
  )?.value;
  assert.equal(after, before + 1);
  await settled(bed);
  bed.now += 60_000;
  assert.deepEqual(await bed.send({ to: ["alice@example.test"] }), PUT_OFF, "too soon");
  bed.now += 300_000;
  assert.deepEqual(await bed.send({ to, client: { address: "192.0.2.99" } }), ["250 2.1.5", ...TAKEN]);
  await settled(bed);
  assert.deepEqual(await bed.send({ to: ["bob@example.test"] }), TAKEN, "the sender is known for all");
  assert.equal(bed.stored("alice").length, 1);
  assert.equal(bed.stored("bob").length, 2);
});

Deno.test("behind DATA what passes DMARC is never put off, and what is proven by its domain", async () => {
  await using bed = await Bed.open(BEHIND_DATA, DNS, { authentication });
  assert.deepEqual(await bed.send({ from: "s@good.test" }), TAKEN, "DMARC passes");
  const elsewhere = { address: "198.51.100.7" };
  assert.deepEqual(await bed.send({ from: "s@good.test", client: elsewhere }), PUT_OFF, "it fails");
  assert.deepEqual(await bed.send({ from: "s@plain.test" }), PUT_OFF);
  assert.equal(bed.traced.at(-1)!.checks?.at(-1)?.reason, "first message of plain.test");
  await settled(bed);
  bed.now += 300_000;
  // Another network and another sender of the same domain.
  const client = { address: "203.0.113.9" };
  assert.deepEqual(await bed.send({ from: "other@plain.test", client }), TAKEN);
  await settled(bed);
  assert.deepEqual(await bed.send({ from: "third@plain.test" }), TAKEN, "the domain is known");
  assert.deepEqual(
    await bed.send({ from: "s@plain.test", client: elsewhere }),
    PUT_OFF,
    "not where SPF fails for it",
  );
});

Deno.test("greylisting at RCPT and behind DATA know each other's networks", async () => {
  await using bed = await Bed.open(
    "    - { check: greylist, known_after: 1 }\n    - { check: greylist, name: late, stages: [message], known_after: 1 }\n",
    DNS,
    { authentication },
  );
  assert.deepEqual(await bed.send(), ["451 4.7.1"]);
  await settled(bed);
  bed.now += 300_000;
  assert.deepEqual(await bed.send(), PUT_OFF, "known at RCPT, and new behind DATA");
  await settled(bed);
  bed.now += 300_000;
  assert.deepEqual(await bed.send({ from: "s@other.example" }), TAKEN, "the network has come back");
});

Deno.test("mail of a relay of ours is judged by whom the relay had it from", async () => {
  const relay = { address: "192.0.2.1", heloName: "relay.example" };
  const handedOver = (address: string) =>
    `Received: from client.example (client.example [${address}]) by relay.example; Mon, 23 Nov 2026 20:00:00 +0000\r\n`;
  await using bed = await Bed.open(
    "    - { check: greylist }\n" +
      BEHIND_DATA.replace("{ check: greylist,", "{ check: greylist, name: late,") +
      "    - { check: dnsbl, action: reject, zones: [{ zone: bl.example }] }\n",
    {
      ...DNS,
      "2.0.0.127.bl.example A": [a("127.0.0.2")],
      "1.2.0.192.bl.example A": [a("127.0.0.2")],
      "5.100.51.198.bl.example A": [a("127.0.0.2")],
    },
    { authentication, relays: ["192.0.2.1"] },
  );
  const header = handedOver("198.51.100.5");
  assert.deepEqual(await bed.send({ client: relay, header }), PUT_OFF);
  assert.equal(
    bed.traced.at(-1)!.checks?.at(-1)?.reason,
    "first message from 198.51.100.0/24 of this sender",
  );
  await settled(bed);
  bed.now += 300_000;
  assert.deepEqual(await bed.send({ client: relay, header }), TAKEN, "listed, and not refused");
  const [stored = ""] = bed.stored();
  assert.match(stored, /dnsbl=tag _?\(score 1: bl\.example 1, of 198\.51\.100\.5\)/);
  assert.deepEqual(
    await bed.send({ client: relay, header: handedOver("203.0.113.77") }),
    PUT_OFF,
    "another network",
  );
  assert.deepEqual(await bed.send({ client: relay }), TAKEN, "it does not say whom it had it from");
});

Deno.test("greylisting stands at RCPT or behind DATA", () => {
  const parsed = (stages: string) =>
    parseConfig(
      `hostname: mx.example.test\nfilter: { checks: [{ check: greylist, stages: [${stages}] }] }\n`,
      "/veredus.yaml",
    ).filter.checks[0]!.stages;
  assert.deepEqual(parsed("message"), ["message"]);
  assert.throws(() => parsed("mail"), /rcpt or message/);
  assert.throws(() => parsed("rcpt, message"), /rcpt or message/);
});
