/** Imports by the API: one at a time for an account, how far it is, and the way to stop it. */
import assert from "node:assert/strict";
import { Harness } from "./harness.ts";

Deno.test("an import is begun, looked at, and told apart from one that runs", async () => {
  const h = await Harness.open();
  const folder = Deno.makeTempDirSync({ prefix: "veredus-import-" });
  Deno.mkdirSync(`${folder}/cur`);
  for (let i = 0; i < 500; i++) Deno.writeTextFileSync(`${folder}/cur/${i}.m:2,`, `Subject: ${i}\n\nx\n`);
  const path = "/accounts/alice@example.test/import";
  const body = { source: { kind: "maildir", path: folder }, into: "Old" };
  assert.deepEqual((await h.get(path)).status, 404);
  const begun = await h.send("POST", path, { body });
  assert.deepEqual([begun.status, begun.body.state], [202, "running"]);
  const second = await h.send("POST", path, { body });
  assert.deepEqual([second.status, second.body.fault], [409, "import-runs"]);
  assert.equal((await h.send("DELETE", path)).status, 204);
  const stopped = (await h.get(path)).body;
  assert.deepEqual([stopped.state, stopped.reason], ["failed", "it was stopped"]);
  assert.equal((await h.send("DELETE", path)).status, 404);
  await h.send("POST", path, { body });
  let state = (await h.get(path)).body;
  while (state.state === "running") {
    await new Promise((resolve) => setTimeout(resolve, 10));
    state = (await h.get(path)).body;
  }
  assert.deepEqual([state.state, state.imported + state.skipped, state.failures], ["done", 500, []]);
  assert.equal(h.test.store.mailboxes.byName(h.test.accountId("alice"), "Old")?.messages, 500);
  const relative = await h.send("POST", path, { body: { source: { kind: "mbox", path: "box" } } });
  assert.equal(relative.status, 400);
  Deno.removeSync(folder, { recursive: true });
  await h.close();
});
