/** The quarantine by API, and the page behind a digest's link: looking changes nothing, a POST lets go. */
import assert from "node:assert/strict";
import { newToken } from "../../admin/api/access.ts";
import { freshLinkKey, linkToken } from "../../delivery/quarantine/link.ts";
import { Harness } from "./harness.ts";

const ALICE = "alice@example.test";

async function held(harness: Harness, more: { to?: string[]; dangerous?: boolean } = {}): Promise<void> {
  const { to = [ALICE], dangerous = false } = more;
  const message =
    'Subject: <b>"hello"</b>\r\nFrom: <eve@remote.example>\r\n\r\n</pre><script>alert(1)</script>\r\n';
  await harness.test.ok({
    ...{
      kind: "deliver",
      content: { ...await harness.test.content(message), subject: "hello" },
      targets: [],
    },
    queue: {
      ...{ sender: "eve@remote.example", accountId: null, envelopeId: "", ret: "", eightBit: false },
      ...{ smtputf8: false, createdAt: harness.now, expiresAt: harness.now + 1 },
      quarantine: { reason: "odd: looks odd", dangerous, expiresAt: harness.now + 86_400_000 },
      recipients: to.map((recipient) => ({
        ...{ recipient, destination: "local:held", notify: "", originalRecipient: "" },
      })),
    },
  });
}

Deno.test("list, look, release and remove, with what a token may", async () => {
  const harness = await Harness.open({ access: "tokens" });
  try {
    await held(harness, { to: [ALICE, "bob@example.test"] });
    const token = async (scope: string) => {
      const { secret, hash } = newToken();
      const row = { id: scope, name: scope, hash, scopes: [scope], createdAt: 0, expiresAt: 0 };
      await harness.test.ok({ kind: "put-token", token: row });
      return secret;
    };
    const [reader, writer, other] = await Promise.all(
      ["quarantine:read", "quarantine:write", "queue:write"].map(token),
    );
    assert.equal((await harness.get("/quarantine", { token: other! })).status, 403);
    const { body: { items } } = await harness.get("/quarantine", { token: reader! });
    assert.deepEqual(
      items.map(({ recipient, reason, subject }: Record<string, string>) => [recipient, reason, subject]),
      [
        [ALICE, "odd: looks odd", "hello"],
        ["bob@example.test", "odd: looks odd", "hello"],
      ],
    );
    const filtered = await harness.get("/quarantine?recipient=bob@example.test", { token: reader! });
    assert.equal(filtered.body.items.length, 1);
    const { body: view } = await harness.get(`/quarantine/${items[0].id}`, { token: reader! });
    assert.deepEqual(view.header[0], { name: "subject", value: '<b>"hello"</b>' });
    assert.match(view.text, /alert\(1\)/);
    const control = (body: unknown, by = writer!) =>
      harness.send("POST", "/quarantine/control", { body, token: by });
    assert.equal((await control({ action: "release", recipients: [items[0].id] }, reader!)).status, 403);
    assert.equal((await control({ action: "release" })).status, 400);
    assert.deepEqual((await control({ action: "release", recipients: [items[0].id], train: true })).body, {
      recipients: 1,
    });
    const [wish, ...more] = harness.test.store.spam.wishes(10);
    assert.deepEqual([wish!.accountId, wish!.kind, more], [harness.test.accountId("alice"), "ham", []]);
    assert.equal((await control({ action: "release", recipients: [items[0].id] })).status, 404);
    assert.deepEqual((await control({ action: "remove", messages: [items[1].messageId] })).body, {
      recipients: 1,
    });
    assert.equal((await harness.get("/quarantine", { token: reader! })).body.items.length, 0);
    assert.equal(harness.test.store.queue.counts().queued, 1);
  } finally {
    await harness.close();
  }
});

Deno.test("the page of a link: opening it changes nothing, its button delivers once, markup stays text", async () => {
  const harness = await Harness.open({ access: "tokens" });
  try {
    const { store } = harness.test;
    await held(harness);
    await freshLinkKey(store, harness.now);
    const [row] = store.quarantine.list({}, { after: 0, limit: 1 });
    const path = `/quarantine/${linkToken(store, row!)}`;
    for (let times = 0; times < 3; times++) {
      const page = await harness.send("GET", path);
      assert.equal(page.status, 200);
      assert.match(page.body, /&#60;\/pre&#62;&#60;script&#62;alert/);
      assert.doesNotMatch(page.body, /<script|<b>/);
      assert.match(page.headers.get("content-security-policy") ?? "", /^default-src 'none'/);
    }
    const form = { headers: { "content-type": "application/x-www-form-urlencoded" } };
    assert.equal((await harness.send("POST", path, { ...form, raw: "x=1" })).status, 400);
    assert.equal(store.queue.counts().queued, 0);
    assert.equal((await harness.send("POST", `${path}x`, { ...form, raw: "action=release" })).status, 404);
    assert.equal((await harness.send("POST", path, { ...form, raw: "action=train" })).status, 200);
    assert.equal(store.spam.wishes(10).length, 1);
    assert.equal(store.queue.counts().queued, 1);
    assert.equal((await harness.send("POST", path, { ...form, raw: "action=release" })).status, 404);
    assert.equal((await harness.send("GET", path)).status, 404);
    await held(harness, { dangerous: true });
    const [bad] = store.quarantine.list({}, { after: 0, limit: 1 });
    const harm = `/quarantine/${linkToken(store, bad!)}`;
    assert.equal((await harness.send("GET", harm)).status, 404);
    assert.equal((await harness.send("POST", harm, { ...form, raw: "action=release" })).status, 404);
    assert.equal(store.queue.counts().queued, 1);
  } finally {
    await harness.close();
  }
});
