/** Further and masked addresses, groups, quotas and names of domains, through the API. */
import { strict as assert } from "node:assert";
import { withHarness } from "./harness.ts";

Deno.test("further addresses: given, listed, disabled, taken away; one address has one owner", () =>
  withHarness(async (h) => {
    const path = "/accounts/alice@example.test/addresses";
    const added = await h.send("POST", path, { body: { address: "Al@Example.test", note: "short" } });
    assert.deepEqual([added.status, added.body.address, added.body.kind, added.body.enabled], [
      201,
      "al@example.test",
      "own",
      true,
    ]);
    for (const address of ["al@example.test", "bob@example.test", "x@elsewhere.example"]) {
      const refused = await h.send("POST", "/accounts/bob@example.test/addresses", { body: { address } });
      assert.ok(refused.status >= 400 && refused.status < 500, `${address}: ${refused.status}`);
    }
    const taken = await h.send("POST", "/accounts", { body: { address: "al@example.test" } });
    assert.equal(taken.status, 409);
    const off = await h.send("PATCH", `${path}/al@example.test`, { body: { enabled: false } });
    assert.deepEqual([off.body.enabled, off.body.note], [false, "short"]);
    assert.equal((await h.get(path)).body.items.length, 1);
    assert.equal(
      (await h.send("DELETE", "/accounts/bob@example.test/addresses/al@example.test")).status,
      404,
    );
    assert.equal((await h.send("DELETE", `${path}/al@example.test`)).status, 204);
    assert.equal((await h.get(path)).body.items.length, 0);
  }));

Deno.test("masked addresses are made up, say nothing of their owner, and are never alike", () =>
  withHarness(async (h) => {
    const path = "/accounts/alice@example.test/addresses";
    const made = new Set<string>();
    for (let at = 0; at < 20; at++) {
      const { status, body } = await h.send("POST", path, { body: { kind: "masked", note: `shop ${at}` } });
      assert.equal(status, 201);
      assert.match(body.address, /^[a-z2-9]{12}@example\.test$/);
      assert.equal(body.lastUsedAt, null);
      made.add(body.address);
    }
    assert.equal(made.size, 20);
    const own = await h.send("POST", path, { body: { kind: "own" } });
    assert.deepEqual([own.status, own.body.fault], [400, "invalid"]);
  }));

Deno.test("groups: members anywhere, in pages; owners and posting are changed", () =>
  withHarness(async (h) => {
    const added = await h.send("POST", "/groups", {
      body: { address: "team@example.test", displayName: "The team", owners: ["Alice@Example.test"] },
    });
    assert.deepEqual([added.status, added.body.posting, added.body.owners, added.body.members], [
      201,
      "members",
      ["alice@example.test"],
      0,
    ]);
    const path = "/groups/team@example.test";
    const add = ["Bob@Example.test", "Fred@Elsewhere.example", "bob@example.test", "jürgen@bücher.example"];
    const joined = await h.send("POST", `${path}/members`, { body: { add } });
    assert.equal(joined.body.members, 3);
    const first = await h.get(`${path}/members?limit=2`);
    assert.deepEqual(first.body.items.map(({ address }: { address: string }) => address), [
      "Fred@elsewhere.example",
      "bob@example.test",
    ]);
    const rest = await h.get(`${path}/members?limit=2&cursor=${first.body.nextCursor}`);
    assert.deepEqual(rest.body.items, [{ address: "jürgen@xn--bcher-kva.example" }]);
    const left = await h.send("POST", `${path}/members`, {
      body: { remove: ["bob@example.test", "nobody@x.test"] },
    });
    assert.equal(left.body.members, 2);
    assert.equal((await h.send("POST", `${path}/members`, { body: { add: ["nobody"] } })).status, 400);
    assert.equal((await h.send("PATCH", path, { body: { posting: "owners" } })).body.posting, "owners");
    assert.equal((await h.send("DELETE", "/domains/example.test")).status, 409);
    assert.equal((await h.send("DELETE", path)).status, 204);
    assert.equal((await h.get(path)).status, 404);
  }));

Deno.test("quotas of accounts and domains are set, shown beside what is used, and taken back", () =>
  withHarness(async (h) => {
    const domain = await h.send("PATCH", "/domains/example.test", {
      body: { accountQuotaOctets: 1_000, quotaMessages: 10, overQuota: "refuse", quotaSoftPercent: 50 },
    });
    assert.deepEqual([domain.body.accountQuotaOctets, domain.body.overQuota], [1_000, "refuse"]);
    const path = "/accounts/alice@example.test";
    assert.equal((await h.send("PATCH", path, { body: { quotaOctets: 5_000 } })).body.quotaOctets, 5_000);
    await h.test.deliver("Subject: x\r\n\r\nbody\r\n", [h.test.mailboxId("alice", "INBOX")]);
    const shown = (await h.get(path)).body;
    assert.deepEqual([shown.messages, shown.sizeOctets > 0, shown.quotaMessages], [1, true, null]);
    const used = (await h.get("/domains/example.test")).body;
    assert.deepEqual([used.usedMessages, used.usedOctets], [1, shown.sizeOctets]);
    assert.equal((await h.send("PATCH", path, { body: { quotaOctets: null } })).body.quotaOctets, null);
    assert.equal((await h.send("PATCH", path, { body: { quotaOctets: -1 } })).status, 400);
  }));

Deno.test("another name of a domain has nothing of its own", () =>
  withHarness(async (h) => {
    const other = await h.send("POST", "/domains", {
      body: { name: "example.net", aliasOf: "example.test" },
    });
    assert.deepEqual([other.status, other.body.aliasOf], [201, "example.test"]);
    const inIt = await h.send("POST", "/accounts", { body: { address: "carol@example.net" } });
    assert.ok(inIt.status >= 400 && inIt.status < 500);
    for (const aliasOf of ["example.net", "nowhere.example"]) {
      const chain = await h.send("POST", "/domains", { body: { name: "example.org", aliasOf } });
      assert.equal(chain.status, 404, aliasOf);
    }
    const used = await h.send("PATCH", "/domains/example.test", { body: { aliasOf: "example.net" } });
    assert.ok(used.status >= 400);
    assert.equal((await h.send("DELETE", "/domains/example.test")).status, 409);
  }));

Deno.test("an alias may lead to a command or a hook, by its name and no other way", () =>
  withHarness(async (h) => {
    const targets = ["command:ticket", "hook:crm", "alice@example.test"];
    const added = await h.send("POST", "/aliases", { body: { address: "help@example.test", targets } });
    assert.deepEqual([added.status, added.body.targets], [201, targets]);
    for (
      const target of ["command:/bin/sh", "command:a b", "hook:https://x.example", "|/bin/sh", "command:"]
    ) {
      const refused = await h.send("POST", "/aliases", {
        body: { address: "bad@example.test", targets: [target] },
      });
      assert.equal(refused.status, 400, target);
    }
  }));

Deno.test("the key of return addresses is made anew, and old ones stay for a while", () =>
  withHarness(async (h) => {
    for (let at = 0; at < 5; at++) {
      assert.equal((await h.send("POST", "/forwarding/rotate-key")).status, 204);
    }
    const keys = h.test.store.directory.secrets("srs");
    assert.equal(keys.length, 3);
    assert.equal(new Set(keys.map(({ value }) => value)).size, 3);
  }));

Deno.test("capabilities are hidden from an account, and told again", () =>
  withHarness(async (h) => {
    const path = "/accounts/alice@example.test";
    const hidden = async (hiddenCapabilities: string[]) =>
      await h.send("PATCH", path, { body: { hiddenCapabilities } });
    assert.deepEqual((await hidden(["QRESYNC", "COMPRESS=DEFLATE"])).body.hiddenCapabilities, [
      "QRESYNC",
      "COMPRESS=DEFLATE",
    ]);
    assert.equal((await hidden(["two words"])).status, 400);
    assert.equal(
      (await h.send("PATCH", path, { body: { displayName: "Alice" } })).body.hiddenCapabilities.length,
      2,
    );
    assert.deepEqual((await hidden([])).body.hiddenCapabilities, []);
  }));
