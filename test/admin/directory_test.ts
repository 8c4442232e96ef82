/** Domains, accounts, aliases and tokens over the API: each success, each refusal. */
import assert from "node:assert/strict";
import { parseScram } from "../../protocols/sasl/scram.ts";
import { Harness, pages } from "./harness.ts";

async function withHarness(work: (h: Harness) => Promise<void>): Promise<void> {
  const harness = await Harness.open();
  try {
    await work(harness);
  } finally {
    await harness.close();
  }
}

Deno.test("domains are added, shown, changed and removed", () =>
  withHarness(async (h) => {
    const added = await h.send("POST", "/domains", { body: { name: "Bücher.Example" } });
    assert.equal(added.status, 201);
    assert.deepEqual(added.body, {
      name: "xn--bcher-kva.example",
      kind: "local",
      nextHop: "",
      catchAll: "",
      subaddressSeparators: "+",
      aliasOf: "",
      subaddressFolder: "inbox",
      quotaOctets: 0,
      quotaMessages: 0,
      accountQuotaOctets: 0,
      accountQuotaMessages: 0,
      quotaSoftPercent: 90,
      relayRecipients: "any",
      overQuota: "defer",
    });
    assert.deepEqual((await h.get("/domains/xn--bcher-kva.example")).body, {
      ...added.body,
      usedOctets: 0,
      usedMessages: 0,
    });
    const changed = await h.send("PATCH", "/domains/xn--bcher-kva.example", {
      body: { catchAll: "Alice@example.test", subaddressSeparators: "+-" },
    });
    assert.equal(changed.status, 200);
    assert.equal(changed.body.catchAll, "alice@example.test");
    const relay = await h.send("PATCH", "/domains/xn--bcher-kva.example", {
      body: { kind: "relay", nextHop: "lmtp:[::1]:24", catchAll: "" },
    });
    assert.equal(relay.body.nextHop, "lmtp:[::1]:24");
    const back = await h.send("PATCH", "/domains/xn--bcher-kva.example", { body: { kind: "local" } });
    assert.deepEqual([back.status, back.body.nextHop], [200, ""]);
    assert.equal((await h.send("DELETE", "/domains/xn--bcher-kva.example")).status, 204);
    assert.equal((await h.get("/domains/xn--bcher-kva.example")).status, 404);
  }));

const BAD_DOMAINS: [string, unknown, number, string][] = [
  ["a name that is none", { name: "a b" }, 400, "name"],
  ["no name", {}, 400, "name"],
  ["an unknown key", { name: "x.test", colour: "red" }, 400, "colour"],
  ["a next hop of a local domain", { name: "x.test", nextHop: "mx" }, 400, "nextHop"],
  ["a relay domain without a next hop", { name: "x.test", kind: "relay" }, 400, "nextHop"],
  [
    "a next hop with a port that is none",
    { name: "x.test", kind: "relay", nextHop: "h:99999" },
    400,
    "nextHop",
  ],
  [
    "a catch-all of a relay domain",
    { name: "x.test", kind: "relay", nextHop: "mx", catchAll: "a@b.test" },
    400,
    "catchAll",
  ],
  ["a catch-all that is no address", { name: "x.test", catchAll: "nobody" }, 400, "catchAll"],
  ["separators that are none", { name: "x.test", subaddressSeparators: "ab" }, 400, "subaddressSeparators"],
  ["one that exists", { name: "EXAMPLE.test" }, 409, "exists"],
];
for (const [what, body, status, word] of BAD_DOMAINS) {
  Deno.test(`a new domain with ${what} is refused`, () =>
    withHarness(async (h) => {
      const answer = await h.send("POST", "/domains", { body });
      assert.equal(answer.status, status);
      assert.equal(answer.headers.get("content-type"), "application/problem+json");
      assert.ok(answer.body.detail.includes(word), answer.body.detail);
      assert.equal((await h.get("/domains")).body.items.length, 1);
    }));
}

Deno.test("a domain in use cannot be removed nor made a relay domain", () =>
  withHarness(async (h) => {
    const removed = await h.send("DELETE", "/domains/example.test");
    assert.deepEqual([removed.status, removed.body.fault], [409, "domain-in-use"]);
    assert.match(removed.body.detail, /alice@example\.test/);
    const relay = await h.send("PATCH", "/domains/example.test", { body: { kind: "relay", nextHop: "mx" } });
    assert.deepEqual([relay.status, relay.body.fault], [409, "domain-in-use"]);
    assert.equal((await h.send("PATCH", "/domains/none.test", { body: {} })).status, 404);
    assert.equal((await h.send("DELETE", "/domains/none.test")).status, 404);
  }));

Deno.test("accounts are added with their mailboxes, shown, changed and removed", () =>
  withHarness(async (h) => {
    const added = await h.send("POST", "/accounts", {
      body: {
        address: "Ann@Example.test",
        password: "secret",
        displayName: "Ann",
        sendAs: ["team@Example.test"],
      },
    });
    assert.equal(added.status, 201);
    assert.equal(added.body.address, "ann@example.test");
    assert.deepEqual(added.body.sendAs, ["team@example.test"]);
    assert.equal(added.body.hasPassword, true);
    assert.ok(!JSON.stringify(added.body).includes("scrypt"), "a hash is never shown");
    await h.send("POST", "/aliases", { body: { address: "a@example.test", targets: ["ann@example.test"] } });
    await h.test.deliver("Subject: x\r\n\r\nbody\r\n", [h.test.mailboxId("ann", "INBOX")]);
    const shown = (await h.get("/accounts/ann@example.test")).body;
    assert.deepEqual([shown.aliases, shown.mailboxes, shown.messages], [["a@example.test"], 6, 1]);
    assert.ok(shown.sizeOctets > 0);
    const changed = await h.send("PATCH", "/accounts/ann@example.test", {
      body: { enabled: false, displayName: "", passwordHash: null },
    });
    assert.deepEqual([changed.body.enabled, changed.body.displayName, changed.body.hasPassword], [
      false,
      "",
      false,
    ]);
    assert.equal((await h.send("DELETE", "/accounts/ann@example.test")).status, 204);
    assert.equal((await h.get("/accounts/ann@example.test")).status, 404);
  }));

Deno.test("a password that is set brings its SCRAM verifier, a hash that is set takes it away", () =>
  withHarness(async (h) => {
    const { directory } = h.test.store;
    const scram = () => directory.account("ann@example.test")!.scram;
    const one = { address: "ann@example.test", password: "secret" };
    assert.equal((await h.send("POST", "/accounts", { body: one })).status, 201);
    const first = scram();
    assert.notEqual(parseScram(first!), null);
    const change = (body: unknown) => h.send("PATCH", "/accounts/ann@example.test", { body });
    await change({ displayName: "Ann" });
    assert.equal(scram(), first, "another change leaves it");
    await change({ password: "other" });
    assert.notEqual(scram(), first);
    assert.notEqual(parseScram(scram()!), null);
    assert.doesNotMatch(JSON.stringify((await h.get("/accounts/ann@example.test")).body), /SCRAM/);
    await change({ passwordHash: `$2b$10$${"a".repeat(53)}` });
    assert.equal(scram(), null);
    assert.equal(directory.allHaveScram(), false, "and SCRAM is no longer offered");
  }));

const BAD_ACCOUNTS: [string, unknown, number, string][] = [
  ["an address that is none", { address: "ann" }, 400, "invalid"],
  ["another domain", { address: "ann@elsewhere.test" }, 409, "no-such-domain"],
  ["an address that is taken", { address: "ALICE@example.test" }, 409, "already-exists"],
  ["an empty password", { address: "ann@example.test", password: "" }, 400, "invalid"],
  [
    "a password and a hash",
    { address: "ann@example.test", password: "x", passwordHash: null },
    400,
    "invalid",
  ],
  ["a hash nobody can verify", { address: "ann@example.test", passwordHash: "{SHA}x" }, 400, "invalid"],
  ["a name with a line end", { address: "ann@example.test", displayName: "a\nb" }, 400, "invalid"],
];
for (const [what, body, status, fault] of BAD_ACCOUNTS) {
  Deno.test(`a new account with ${what} is refused`, () =>
    withHarness(async (h) => {
      const answer = await h.send("POST", "/accounts", { body });
      assert.deepEqual([answer.status, answer.body.fault], [status, fault]);
      assert.equal((await h.get("/accounts")).body.items.length, 2);
    }));
}

Deno.test("an account of a relay domain is refused", () =>
  withHarness(async (h) => {
    await h.send("POST", "/domains", { body: { name: "relay.test", kind: "relay", nextHop: "mx" } });
    const answer = await h.send("POST", "/accounts", { body: { address: "a@relay.test" } });
    assert.deepEqual([answer.status, answer.body.fault], [409, "no-such-domain"]);
  }));

Deno.test("a new password, a closed account and a removed one end their sessions", () =>
  withHarness(async (h) => {
    const session = (id: string, account: string | null) =>
      ({
        id,
        protocol: "imap",
        address: "192.0.2.7",
        since: 0,
        tls: true,
        account,
        doing: "IDLE",
        thread: 1,
      }) as const;
    h.sessions.push(
      session("s1", "alice@example.test"),
      session("s2", "bob@example.test"),
      session("s3", null),
    );
    await h.send("PATCH", "/accounts/alice@example.test", { body: { displayName: "Alice" } });
    assert.deepEqual(h.ended, []);
    await h.send("PATCH", "/accounts/alice@example.test", { body: { password: "new" } });
    assert.deepEqual(h.ended, ["s1"]);
    await h.send("PATCH", "/accounts/bob@example.test", { body: { enabled: false } });
    assert.deepEqual(h.ended, ["s1", "s2"]);
    await h.send("DELETE", "/accounts/alice@example.test");
    assert.deepEqual(h.ended, ["s1", "s2", "s1"]);
  }));

Deno.test("aliases are added, shown, changed and removed", () =>
  withHarness(async (h) => {
    const body = {
      address: "Sales@example.test",
      targets: ["Alice@example.test", "Bob@Elsewhere.test", "alice@example.test"],
    };
    const added = await h.send("POST", "/aliases", { body });
    assert.equal(added.status, 201);
    assert.deepEqual(added.body, {
      address: "sales@example.test",
      targets: ["alice@example.test", "Bob@elsewhere.test"],
    });
    assert.deepEqual((await h.get("/aliases/sales@example.test")).body, added.body);
    const changed = await h.send("PATCH", "/aliases/sales@example.test", {
      body: { targets: ["bob@example.test"] },
    });
    assert.deepEqual(changed.body.targets, ["bob@example.test"]);
    assert.equal((await h.send("DELETE", "/aliases/sales@example.test")).status, 204);
    assert.equal((await h.send("DELETE", "/aliases/sales@example.test")).status, 404);
  }));

Deno.test("an alias that leads back to itself, takes an account's place, or leaves our domains is refused", () =>
  withHarness(async (h) => {
    const add = async (address: string, targets: string[]) => {
      const { status, body } = await h.send("POST", "/aliases", { body: { address, targets } });
      return `${status} ${body.fault ?? ""}`.trim();
    };
    assert.equal(await add("a@example.test", ["b@example.test"]), "201");
    assert.equal(await add("b@example.test", ["c@example.test"]), "201");
    assert.equal(await add("c@example.test", ["alice@example.test", "a@example.test"]), "409 loop");
    assert.equal(await add("d@example.test", ["d@example.test"]), "409 loop");
    assert.equal(await add("alice@example.test", ["bob@example.test"]), "409 already-exists");
    assert.equal(await add("a@example.test", ["bob@example.test"]), "409 already-exists");
    assert.equal(await add("x@elsewhere.test", ["bob@example.test"]), "409 no-such-domain");
    assert.equal(await add("x@example.test", []), "400 invalid");
    assert.equal(await add("x@example.test", ["nobody"]), "400 invalid");
  }));

Deno.test("a token is shown once, kept as a hash, and removed", () =>
  withHarness(async (h) => {
    const made = await h.send("POST", "/tokens", {
      body: { name: "monitor", scopes: ["metrics:read", "metrics:read"], expiresInDays: 1 },
    });
    assert.equal(made.status, 201);
    assert.match(made.body.secret, /^vrd_[\w-]{43}$/);
    assert.deepEqual(made.body.scopes, ["metrics:read"]);
    assert.equal(made.body.expiresAt, new Date(h.now + 86_400_000).toISOString());
    const shown = (await h.get(`/tokens/${made.body.id}`)).body;
    assert.equal(shown.name, "monitor");
    assert.equal("secret" in shown, false);
    const [row] = h.test.store.directory.tokens({ after: "", limit: 1 });
    assert.match(row!.hash, /^[0-9a-f]{64}$/);
    assert.ok(!JSON.stringify(row).includes(made.body.secret));
    assert.equal((await h.send("DELETE", `/tokens/${made.body.id}`)).status, 204);
    assert.equal((await h.send("DELETE", `/tokens/${made.body.id}`)).status, 404);
    assert.equal((await h.get(`/tokens/${made.body.id}`)).status, 404);
    assert.equal(
      (await h.send("POST", "/tokens", { body: { name: "x", scopes: ["everything"] } })).status,
      400,
    );
    assert.equal((await h.send("POST", "/tokens", { body: { name: "x", scopes: [] } })).status, 400);
  }));

Deno.test("every list is paged, and the pages together are the list", () =>
  withHarness(async (h) => {
    for (let i = 0; i < 7; i++) await h.send("POST", "/domains", { body: { name: `d${i}.test` } });
    for (let i = 0; i < 7; i++) {
      await h.send("POST", "/accounts", { body: { address: `u${i}@d1.test` } });
      await h.send("POST", "/aliases", {
        body: { address: `a${i}@d1.test`, targets: ["alice@example.test"] },
      });
      await h.send("POST", "/tokens", { body: { name: `t${i}`, scopes: ["health:read"] } });
      await h.queue("alice@example.test", [`x${i}@elsewhere.test`]);
      h.sessions.push({
        id: `s${i}`,
        protocol: "imap",
        address: "192.0.2.7",
        since: 0,
        tls: false,
        account: null,
        doing: "",
        thread: 1,
      });
    }
    const lists: [string, number][] = [
      ["/domains", 8],
      ["/accounts", 9],
      ["/accounts?domain=d1.test", 7],
      ["/aliases", 7],
      ["/aliases?domain=example.test", 0],
      ["/tokens", 7],
      ["/queue", 7],
      ["/sessions", 7],
    ];
    for (const [path, count] of lists) {
      const all = await pages(h, path, 500);
      assert.equal(all.items.length, count, path);
      assert.equal(all.pages, 1, path);
      for (const limit of [1, 3, 7]) {
        const some = await pages(h, path, limit);
        assert.deepEqual(some.items, all.items, path);
        assert.equal(some.pages, Math.max(1, Math.ceil(count / limit)), `${path} by ${limit}`);
      }
      for (const query of ["limit=0", "limit=501", "limit=x", "cursor=zzz", "cursor=!"]) {
        const wrong = await h.get(`${path}${path.includes("?") ? "&" : "?"}${query}`);
        assert.deepEqual([wrong.status, wrong.body.fault], [400, "invalid"], `${path} ${query}`);
      }
    }
  }));
