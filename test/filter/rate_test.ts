/** Rates by facts of a message, through the whole reception. */
import assert from "node:assert/strict";
import type { ClientFacts } from "../../delivery/reception.ts";
import { Bed, type Letter, TAKEN } from "./checks_bed.ts";

Deno.test("rates by any combination of facts", async () => {
  await using bed = await Bed.open("    - { check: rate, by: [network, recipient], limit: 2, per: 1m }\n");
  assert.deepEqual(await bed.send(), TAKEN);
  assert.deepEqual(await bed.send({ client: { address: "192.0.2.9" } }), TAKEN);
  assert.deepEqual(await bed.send(), ["450 4.7.1"]);
  assert.deepEqual(await bed.send({ to: ["bob@example.test"] }), TAKEN);
  assert.deepEqual(await bed.send({ client: { address: "2001:db8::1" } }), TAKEN);
  bed.now += 30_000;
  assert.deepEqual(await bed.send(), TAKEN);
});

for (
  const [by, own, other] of [
    ["address", {}, { client: { address: "192.0.2.9" } }],
    ["network", { client: { address: "192.0.2.77" } }, { client: { address: "198.51.100.1" } }],
    ["sender", { from: "S@remote.example" }, { from: "t@remote.example" }],
    ["recipient", { to: ["Alice@example.test"] }, { to: ["bob@example.test"] }],
    ["address, sender", {}, { from: "t@remote.example" }],
    ["sender, recipient", {}, { to: ["bob@example.test"] }],
  ] as const
) {
  Deno.test(`a rate by ${by} counts what is the same, and nothing else`, async () => {
    await using bed = await Bed.open(
      `    - { check: rate, by: [${by}], limit: 1, per: 1h, action: reject }\n`,
    );
    const send = (
      { to, ...letter }: { to?: readonly string[]; from?: string; client?: Partial<ClientFacts> },
    ) => bed.send({ ...letter, ...(to && { to: [...to] }) });
    assert.deepEqual(await bed.send(), TAKEN);
    assert.deepEqual(await send(own), ["550 5.7.1"]);
    assert.deepEqual(await send(other), TAKEN);
  });
}

Deno.test("rates by EHLO name and by domains of sender and recipient", async () => {
  const once = async (by: string, first: Letter, other: Letter) => {
    await using bed = await Bed.open(`    - { check: rate, by: [${by}], limit: 1, per: 1h }\n`);
    assert.deepEqual(await bed.send(first), TAKEN, by);
    assert.deepEqual(await bed.send(first), ["450 4.7.1"], by);
    assert.deepEqual(await bed.send(other), TAKEN, by);
  };
  await once("helo", {}, { client: { heloName: "other.example" } });
  await once("sender-domain", { from: "a@one.example" }, { from: "a@two.example" });
  await using bed = await Bed.open("    - { check: rate, by: [sender-domain], limit: 1, per: 1h }\n");
  assert.deepEqual(await bed.send({ from: "a@one.example" }), TAKEN);
  assert.deepEqual(
    await bed.send({ from: "b@One.Example" }),
    ["450 4.7.1"],
    "another sender of the same domain",
  );
  await using all = await Bed.open("    - { check: rate, by: [recipient-domain], limit: 2, per: 1h }\n");
  const to = ["alice@example.test", "bob@example.test", "bob@EXAMPLE.test"];
  assert.deepEqual(await all.send({ to }), ["250 2.1.5", "250 2.1.5", "450 4.7.1", "250 2.6.0"]);
});

Deno.test("a rate by login is for logins alone, each for itself; IPv6 networks are /64", async () => {
  await using bed = await Bed.open(
    "    - { check: rate, by: [login], limit: 1, per: 1h }\n    - { check: rate, name: six, by: [network], limit: 1, per: 1h }\n",
  );
  const as = (name: string) =>
    bed.send({
      client: { ...bed.login(name), screen: bed.reception.screen() },
      from: `${name}@example.test`,
      to: ["alice@example.test"],
    });
  assert.equal((await as("bob"))[0], "250 2.1.5");
  assert.deepEqual(await as("bob"), ["450 4.7.1"]);
  assert.equal((await as("alice"))[0], "250 2.1.5");
  const from = (address: string) => bed.send({ client: { address } });
  assert.deepEqual(await from("2001:db8:0:1::1"), TAKEN);
  assert.deepEqual(await from("2001:db8:0:1:ffff::2"), ["450 4.7.1"]);
  assert.deepEqual(await from("2001:db8:0:2::1"), TAKEN);
});
