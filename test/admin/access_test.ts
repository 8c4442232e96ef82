/** Who may do what: tokens, scopes, throttling, and what a request may look like. */
import assert from "node:assert/strict";
import { MAX_BODY_OCTETS } from "../../admin/api/app.ts";
import { MAX_TOKEN_FAILURES } from "../../admin/api/access.ts";
import { newToken } from "../../admin/api/access.ts";
import { permits, SCOPES } from "../../admin/scopes.ts";
import { Harness } from "./harness.ts";

async function withTokens(
  work: (h: Harness, tokenOf: (...scopes: string[]) => Promise<string>) => Promise<void>,
  options: { openMetrics?: boolean } = {},
): Promise<void> {
  const harness = await Harness.open({ access: "tokens", ...options });
  let count = 0;
  try {
    await work(harness, async (...scopes) => {
      const { secret, hash } = newToken();
      const id = `t${count++}`;
      const token = { id, name: id, hash, scopes, createdAt: 0, expiresAt: 0 };
      await harness.test.ok({ kind: "put-token", token });
      return secret;
    });
  } finally {
    await harness.close();
  }
}

/** What each route needs; the list is compared with the API's own. */
const NEEDS: Record<string, string> = {
  "get /health": "health:read",
  "get /dns/query": "dns:read",
  "get /dns/records/{domain}": "dns:read",
  "get /dns/check/{domain}": "dns:read",
  "get /quarantine": "quarantine:read",
  "get /quarantine/{id}": "quarantine:read",
  "post /quarantine/control": "quarantine:write",
  "get /dkim/{domain}": "domains:read",
  "post /dkim/{domain}": "domains:write",
  "delete /dkim/{domain}/{selector}": "domains:write",
  "post /scripts/check": "accounts:read",
  "get /scripts/{scope}/{owner}": "accounts:read",
  "put /scripts/{scope}/{owner}": "accounts:write",
  "get /scripts/{scope}/{owner}/{name}": "accounts:read",
  "put /scripts/{scope}/{owner}/{name}": "accounts:write",
  "delete /scripts/{scope}/{owner}/{name}": "accounts:write",
  "get /scripts/{scope}/{owner}/{name}/rules": "accounts:read",
  "put /scripts/{scope}/{owner}/{name}/rules": "accounts:write",
  "post /scripts/{scope}/{owner}/{name}/run": "accounts:write",
  "get /reports": "domains:read",
  "get /domains": "domains:read",
  "post /domains": "domains:write",
  "get /domains/{name}": "domains:read",
  "patch /domains/{name}": "domains:write",
  "delete /domains/{name}": "domains:write",
  "get /accounts": "accounts:read",
  "post /accounts": "accounts:write",
  "get /accounts/{address}": "accounts:read",
  "post /accounts/{address}/import": "admin",
  "get /accounts/{address}/import": "accounts:read",
  "delete /accounts/{address}/import": "admin",
  "get /accounts/{address}/index": "accounts:read",
  "post /accounts/{address}/index/rebuild": "maintenance:write",
  "patch /accounts/{address}": "accounts:write",
  "delete /accounts/{address}": "accounts:write",
  "get /aliases": "aliases:read",
  "post /aliases": "aliases:write",
  "get /aliases/{address}": "aliases:read",
  "patch /aliases/{address}": "aliases:write",
  "delete /aliases/{address}": "aliases:write",
  "get /queue": "queue:read",
  "get /queue/{messageId}": "queue:read",
  "post /queue/control": "queue:write",
  "get /suppressed": "queue:read",
  "delete /suppressed": "queue:write",
  "get /relay-recipients": "domains:read",
  "post /relay-recipients": "domains:write",
  "delete /relay-recipients": "domains:write",
  "get /sessions": "sessions:read",
  "delete /sessions/{id}": "sessions:write",
  "get /accounts/{address}/certificates": "accounts:read",
  "post /accounts/{address}/certificates": "accounts:write",
  "delete /accounts/{address}/certificates/{fingerprint}": "accounts:write",
  "get /accounts/{address}/addresses": "accounts:read",
  "post /accounts/{address}/addresses": "accounts:write",
  "patch /accounts/{address}/addresses/{further}": "accounts:write",
  "delete /accounts/{address}/addresses/{further}": "accounts:write",
  "get /accounts/{address}/mailboxes": "accounts:read",
  "post /accounts/{address}/mailboxes": "accounts:write",
  "get /accounts/{address}/access": "accounts:read",
  "put /accounts/{address}/access": "accounts:write",
  "get /accounts/{address}/granted": "accounts:read",
  "get /spam/signals": "accounts:read",
  "post /spam/test": "accounts:read",
  "get /accounts/{address}/spam": "accounts:read",
  "put /accounts/{address}/spam/rules": "accounts:write",
  "post /accounts/{address}/spam/lessons": "accounts:write",
  "delete /accounts/{address}/spam/lessons": "accounts:write",
  "post /forwarding/rotate-key": "aliases:write",
  "get /groups": "aliases:read",
  "post /groups": "aliases:write",
  "get /groups/{address}": "aliases:read",
  "patch /groups/{address}": "aliases:write",
  "delete /groups/{address}": "aliases:write",
  "get /groups/{address}/members": "aliases:read",
  "post /groups/{address}/members": "aliases:write",
  "get /backup": "maintenance:read",
  "post /backup": "admin",
  "delete /backup": "admin",
  "get /tokens": "tokens:read",
  "post /tokens": "tokens:write",
  "get /tokens/{id}": "tokens:read",
  "delete /tokens/{id}": "tokens:write",
  "get /traces": "queue:read",
  "get /bans": "sessions:read",
  "post /bans": "sessions:write",
  "delete /bans": "sessions:write",
  "get /log-levels": "logs:read",
  "put /log-levels": "logs:write",
  "post /reload": "maintenance:write",
  "get /settings": "admin",
  "get /memory": "sessions:read",
  "delete /memory": "sessions:write",
};

Deno.test("every route of the API stands in its OpenAPI page and needs its scope", () =>
  withTokens(async (h, tokenOf) => {
    const { body: openapi } = await h.get("/openapi.json");
    const documented = Object.entries(openapi.paths as Record<string, object>).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path.replace("/api/v1", "")}`)
    );
    assert.deepEqual(documented.sort(), Object.keys(NEEDS).sort());
    for (const [route, scope] of Object.entries(NEEDS)) {
      const [method, template] = route.split(" ") as [string, string];
      const path = template.replace("{name}", "none.test").replace("{address}", "nobody@none.test")
        .replace("{further}", "other@none.test").replace("{messageId}", "1").replace("{id}", "none")
        .replace("{domain}", "none.test").replace("{selector}", "s1");
      const options = { ...(/post|put|patch/.test(method) && { body: {} }) };
      const none = await h.send(method.toUpperCase(), path, options);
      assert.deepEqual([none.status, none.body.fault], [401, "no-token"], route);
      const others = SCOPES.filter((other) => !permits([other], scope as "admin"));
      const wrong = await h.send(method.toUpperCase(), path, { ...options, token: await tokenOf(...others) });
      assert.deepEqual([wrong.status, wrong.body.fault], [403, "scope"], route);
      for (const enough of [scope, "admin"]) {
        const right = await h.send(method.toUpperCase(), path, { ...options, token: await tokenOf(enough) });
        assert.ok(right.status !== 401 && right.status !== 403, `${route} with ${enough}: ${right.status}`);
      }
    }
  }));

Deno.test("writing includes reading, reading no writing", () => {
  assert.equal(permits(["queue:write"], "queue:read"), true);
  assert.equal(permits(["queue:read"], "queue:write"), false);
  assert.equal(permits(["queue:write"], "tokens:read"), false);
  assert.equal(permits([], "health:read"), false);
});

Deno.test("a token makes no token that may do more than itself", () =>
  withTokens(async (h, tokenOf) => {
    const token = await tokenOf("tokens:write", "queue:read");
    const make = (scopes: string[]) => h.send("POST", "/tokens", { token, body: { name: "x", scopes } });
    assert.equal((await make(["queue:read"])).status, 201);
    assert.equal((await make(["tokens:read"])).status, 201);
    for (const scope of ["admin", "queue:write", "accounts:read"]) {
      const refused = await make([scope]);
      assert.deepEqual([refused.status, refused.body.fault], [403, "scope"], scope);
    }
  }));

Deno.test("an unknown token, a malformed one and one past its end are refused", () =>
  withTokens(async (h, tokenOf) => {
    const unknown = await h.get("/health", { token: newToken().secret });
    assert.deepEqual([unknown.status, unknown.body.fault], [401, "no-such-token"]);
    assert.match(unknown.headers.get("www-authenticate") ?? "", /invalid_token/);
    for (const authorization of ["Basic abc", "Bearer", "Bearer a b", `Bearer ${"x".repeat(600)}`]) {
      const answer = await h.send("GET", "/health", { headers: { authorization } });
      assert.deepEqual([answer.status, answer.body.fault], [401, "no-token"], authorization);
    }
    const { secret, hash } = newToken();
    const token = { id: "old", name: "old", hash, scopes: ["admin"], createdAt: 0, expiresAt: h.now + 1 };
    await h.test.ok({ kind: "put-token", token });
    assert.equal((await h.get("/health", { token: secret })).status, 200);
    h.now += 1;
    const ended = await h.get("/health", { token: secret });
    assert.deepEqual([ended.status, ended.body.fault], [401, "token-expired"]);
    assert.equal((await h.get("/health", { token: await tokenOf("admin") })).status, 200);
  }));

Deno.test("an address that guesses is told 429, others are not, and it may try again later", () =>
  withTokens(async (h, tokenOf) => {
    const good = await tokenOf("admin");
    const guess = (from: string) => h.send("GET", "/health", { token: newToken().secret, from });
    for (let i = 0; i < MAX_TOKEN_FAILURES; i++) assert.equal((await guess("2001:db8::1")).status, 401);
    // The whole /64 is one guesser.
    const throttled = await guess("2001:db8::2");
    assert.deepEqual([throttled.status, throttled.body.fault], [429, "throttled"]);
    const seconds = Number(throttled.headers.get("retry-after"));
    assert.ok(seconds > 0 && seconds <= 600, String(seconds));
    assert.equal((await h.send("GET", "/health", { token: good, from: "2001:db8::3" })).status, 429);
    assert.equal((await h.send("GET", "/health", { token: good, from: "2001:db8:0:1::1" })).status, 200);
    h.now += seconds * 1_000;
    assert.equal((await h.send("GET", "/health", { token: good, from: "2001:db8::3" })).status, 200);
  }));

Deno.test("/healthz asks for nothing and tells little; /metrics asks for a token unless it is opened", async () => {
  await withTokens(async (h, tokenOf) => {
    assert.deepEqual((await h.get("/healthz")).body, { status: "ok" });
    h.trouble = "no answer from writer";
    const ill = await h.get("/healthz");
    assert.deepEqual([ill.status, ill.body], [503, { status: "trouble" }]);
    assert.equal((await h.get("/metrics")).status, 401);
    assert.equal((await h.get("/metrics", { token: await tokenOf("queue:read") })).status, 403);
    const metrics = await h.get("/metrics", { token: await tokenOf("metrics:read") });
    assert.deepEqual([metrics.status, metrics.body], [200, "veredus_up 1\n"]);
    assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
  });
  await withTokens(async (h) => assert.equal((await h.get("/metrics")).status, 200), { openMetrics: true });
});

Deno.test("what is no JSON, no route, or too large is refused with a problem", async () => {
  const h = await Harness.open();
  try {
    const send = async (raw: string, type: string) => {
      const answer = await h.send("POST", "/domains", { raw, headers: { "content-type": type } });
      return `${answer.status} ${answer.body.fault}`;
    };
    assert.equal(await send("name=x.test", "application/x-www-form-urlencoded"), "415 not-json");
    assert.equal(await send('{"name":"x.test"}', "text/plain"), "415 not-json");
    assert.equal(await send('{"name":', "application/json"), "400 invalid");
    assert.equal(await send("[]", "application/json"), "400 invalid");
    assert.equal(await send(`"${"x".repeat(MAX_BODY_OCTETS)}"`, "application/json"), "413 limit");
    const nowhere = await h.get("/nowhere");
    assert.deepEqual([nowhere.status, nowhere.body.fault], [404, "no-such-route"]);
    const fine = await h.get("/domains");
    assert.equal(fine.headers.get("cache-control"), "no-store");
    assert.equal(fine.headers.get("x-content-type-options"), "nosniff");
  } finally {
    await h.close();
  }
});

Deno.test("a fault of ours is a 500 that reveals nothing", async () => {
  const h = await Harness.open();
  try {
    h.sessions.push(null as never); // a bug, played
    const answer = await h.get("/sessions");
    assert.deepEqual([answer.status, answer.body.fault], [500, "fault"]);
    assert.match(answer.body.detail, /^the log tells what went wrong, at [0-9a-f]{8}$/);
  } finally {
    await h.close();
  }
});
