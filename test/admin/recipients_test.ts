/** The lists of recipients over the API: those that are no more, those of relay domains. */
import assert from "node:assert/strict";
import { suppressionRow } from "../../delivery/queue/suppression.ts";
import { Harness } from "./harness.ts";

Deno.test("recipients that are no more are listed and taken off", async () => {
  const h = await Harness.open({});
  try {
    const row = suppressionRow("Gone@one.test", { text: "550 5.1.1 who", now: Date.now(), forMs: 1e12 });
    await h.test.ok({ kind: "put-state", rows: [row], add: false });
    const { body } = await h.get("/suppressed");
    assert.deepEqual(
      body.items.map((item: { address: string; reply: string }) => [item.address, item.reply]),
      [
        ["gone@one.test", "550 5.1.1 who"],
      ],
    );
    assert.equal((await h.send("DELETE", "/suppressed?address=Gone@one.test", {})).status, 204);
    assert.equal((await h.send("DELETE", "/suppressed?address=gone@one.test", {})).status, 404);
    assert.deepEqual((await h.get("/suppressed")).body.items, []);
  } finally {
    await h.close();
  }
});

Deno.test("recipients of relay domains are added, listed and taken off; others are refused", async () => {
  const h = await Harness.open({});
  try {
    const domain = { name: "relay.test", kind: "relay", nextHop: "mx", relayRecipients: "list" };
    assert.equal((await h.send("POST", "/domains", { body: domain })).body.relayRecipients, "list");
    const add = async (...addresses: string[]) =>
      (await h.send("POST", "/relay-recipients", { body: { addresses } })).status;
    assert.equal(await add("Ann@relay.test", "bob@relay.test"), 204);
    assert.equal(await add("x@example.test"), 400);
    assert.equal(await add("nobody"), 400);
    const listed = async () =>
      (await h.get("/relay-recipients")).body.items.map((item: { address: string }) => item.address);
    assert.deepEqual(await listed(), ["ann@relay.test", "bob@relay.test"]);
    assert.equal((await h.send("DELETE", "/relay-recipients?address=ann@relay.test", {})).status, 204);
    assert.deepEqual(await listed(), ["bob@relay.test"]);
  } finally {
    await h.close();
  }
});
