/** The spam filter by the API: a message judged, taught and taken back; rules and counts of an account. */
import assert from "node:assert/strict";
import { Harness } from "./harness.ts";

const ALICE = "/accounts/alice@example.test/spam";
const MESSAGE = btoa("Subject: x\r\n\r\nhello\r\n");

Deno.test("a message is judged with what an account has taught", async () => {
  const h = await Harness.open();
  const judged = await h.send("POST", "/spam/test", {
    body: { message: MESSAGE, account: "alice@example.test" },
  });
  assert.equal(judged.status, 200);
  assert.deepEqual(judged.body.hits.map(({ explain }: { explain: string }) => explain), [
    `21 octets for ${h.test.accountId("alice")}`,
  ]);
  assert.equal(
    (await h.send("POST", "/spam/test", { body: { message: MESSAGE, account: "no@example.test" } })).status,
    404,
  );
  assert.equal((await h.send("POST", "/spam/test", { body: { message: "not base64!" } })).status, 400);
  assert.equal((await h.get("/spam/signals")).body.items[0].name, "html-only");
  await h.close();
});

Deno.test("a message is taught once, taken back, and everything is forgotten", async () => {
  const h = await Harness.open();
  const teach = (as: string) => h.send("POST", `${ALICE}/lessons`, { body: { as, message: MESSAGE } });
  for (let i = 0; i < 2; i++) {
    assert.deepEqual((await teach("spam")).body, { spam: 1, ham: 0, waiting: 0, rules: "" });
  }
  assert.equal((await teach("ham")).body.ham, 1);
  assert.deepEqual((await teach("nothing")).body, { spam: 0, ham: 0, waiting: 0, rules: "" });
  await teach("spam");
  assert.equal((await h.send("DELETE", `${ALICE}/lessons`)).status, 204);
  assert.equal((await h.get(ALICE)).body.spam, 0);
  await h.close();
});

Deno.test("rules of an account are set, checked and taken back", async () => {
  const h = await Harness.open();
  const put = (rules: string) => h.send("PUT", `${ALICE}/rules`, { body: { rules } });
  assert.equal((await put("junk 4, refuse off")).body.rules, "junk 4 refuse off");
  assert.equal((await put("junk soon")).status, 400);
  assert.equal((await h.get(ALICE)).body.rules, "junk 4 refuse off");
  assert.equal((await put("")).body.rules, "");
  await h.close();
});

Deno.test("without a server nothing is judged, and the answer says so", async () => {
  const h = await Harness.open({ alone: true });
  const { status, body } = await h.send("POST", "/spam/test", { body: { message: MESSAGE } });
  assert.deepEqual([status, body.fault], [501, "no-server"]);
  await h.close();
});
