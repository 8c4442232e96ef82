/** Mailboxes and access lists through the API; shared accounts. */
import { strict as assert } from "node:assert";
import { Harness } from "./harness.ts";

Deno.test("mailboxes are listed and added; access lists are set, shown and ended", async () => {
  const h = await Harness.open();
  try {
    const mailboxes = "/accounts/alice@example.test/mailboxes",
      access = "/accounts/alice@example.test/access";
    assert.deepEqual((await h.get(mailboxes)).body.items[2], {
      ...{ name: "INBOX", messages: 0, unseen: 0, sizeOctets: 0, specialUse: null },
    });
    assert.equal((await h.send("POST", mailboxes, { body: { name: "Work/Now" } })).status, 201);
    assert.equal((await h.send("POST", mailboxes, { body: { name: "Work/Now" } })).status, 409);
    assert.equal((await h.send("POST", mailboxes, { body: { name: "Work//Now" } })).status, 400);
    const share = { mailbox: "Work", identifier: "BOB@Example.test", rights: "lrs", subtree: true };
    const shared = await h.send("PUT", access, { body: share });
    assert.deepEqual([shared.status, shared.body.items], [200, [
      { mailbox: "Work", identifier: "bob@example.test", rights: "lrs" },
    ]]);
    assert.equal((await h.get(access)).body.items.length, 2);
    assert.equal((await h.get(`${access}?mailbox=Work`)).body.items.length, 1);
    assert.equal((await h.get(`${access}?mailbox=Nowhere`)).status, 404);
    assert.deepEqual((await h.get("/accounts/bob@example.test/granted")).body.items, [
      { owner: "alice@example.test", mailbox: "Work", rights: "lrs" },
      { owner: "alice@example.test", mailbox: "Work/Now", rights: "lrs" },
    ]);
    for (
      const wrong of [
        { rights: "lrz" },
        { identifier: "nobody@example.test" },
        { identifier: "@elsewhere.test" },
        { identifier: "alice@example.test" },
        { identifier: "--anyone" },
      ]
    ) {
      assert.equal((await h.send("PUT", access, { body: { ...share, ...wrong } })).status, 400);
    }
    const ended = await h.send("PUT", access, { body: { ...share, rights: "" } });
    assert.deepEqual([ended.body.items, (await h.get(access)).body.items], [[], []]);
  } finally {
    await h.close();
  }
});

Deno.test("a shared account: INBOX alone, anyone may send there, no password ever", async () => {
  const h = await Harness.open();
  try {
    const added = await h.send("POST", "/accounts", { body: { address: "desk@example.test", shared: true } });
    assert.deepEqual([added.status, added.body.shared, added.body.hasPassword], [201, true, false]);
    const path = "/accounts/desk@example.test";
    assert.deepEqual((await h.get(`${path}/access`)).body.items, [
      { mailbox: "INBOX", identifier: "anyone", rights: "p" },
    ]);
    const folder = await h.send("POST", `${path}/mailboxes`, { body: { name: "orders" } });
    assert.equal(folder.status, 201);
    assert.deepEqual((await h.get(`${path}/access?mailbox=orders`)).body.items, [
      { mailbox: "orders", identifier: "anyone", rights: "p" },
    ]);
    assert.equal((await h.send("PATCH", path, { body: { password: "secret" } })).status, 400);
    const both = { address: "x@example.test", shared: true, password: "secret" };
    assert.equal((await h.send("POST", "/accounts", { body: both })).status, 400);
  } finally {
    await h.close();
  }
});
