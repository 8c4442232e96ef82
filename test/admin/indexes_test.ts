/** The full-text index of an account, by the API. */
import assert from "node:assert/strict";
import { Harness } from "./harness.ts";

Deno.test("an index is shown against the messages of its account, and made anew", async () => {
  const h = await Harness.open();
  await h.test.deliver("Subject: a\r\n\r\nb\r\n", [h.test.mailboxId("alice", "INBOX")]);
  h.indexed.set(h.test.accountId("alice"), { messages: 1, waiting: 1, octets: 4096 });
  const path = "/accounts/alice@example.test/index";
  assert.deepEqual((await h.get(path)).body, { messages: 1, total: 1, waiting: 1, octets: 4096 });
  const begun = await h.send("POST", `${path}/rebuild`);
  assert.deepEqual([begun.status, begun.body], [202, { messages: 0, total: 1, waiting: 0, octets: 0 }]);
  const none = await h.send("POST", "/accounts/nobody@example.test/index/rebuild");
  assert.deepEqual([none.status, none.body.fault], [404, "no-such-account"]);
  await h.close();
});

Deno.test("without indexes the API says which setting keeps them", async () => {
  const h = await Harness.open({ alone: true });
  const { status, body } = await h.get("/accounts/alice@example.test/index");
  assert.deepEqual([status, body.fault], [501, "no-index"]);
  assert.match(body.detail, /search\.index/);
  await h.close();
});
