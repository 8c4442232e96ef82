/** What checks remember, over the API: listed by kind, and forgotten. */
import assert from "node:assert/strict";
import type { PolicyKind } from "../../storage/ops.ts";
import { Harness } from "./harness.ts";

Deno.test("what is remembered is listed by kind and forgotten one by one; lists with calls of their own are not in it", async () => {
  const h = await Harness.open({});
  try {
    const row = (kind: PolicyKind, key: string) => ({
      ...{ kind, key, count: 2, note: "" },
      ...{ firstAt: h.now - 1_000, lastAt: h.now, expiresAt: Date.now() + 1e9 },
    });
    const rows = [
      row("greylist", "192.0.2.0/24"),
      row("sent", "ann@example.test 20000"),
      row("ban", "192.0.2.1"),
    ];
    await h.test.ok({ kind: "put-state", rows, add: false });
    const keys = async (kind: string) =>
      (await h.get(`/memory?kind=${kind}`)).body.items.map(({ key, count }: { key: string; count: number }) =>
        `${key}: ${count}`
      );
    assert.deepEqual(await keys("greylist"), ["192.0.2.0/24: 2"]);
    assert.deepEqual(await keys("sent"), ["ann@example.test 20000: 2"]);
    const query = new URLSearchParams({ kind: "sent", key: "ann@example.test 20000" });
    assert.equal((await h.send("DELETE", `/memory?${query}`)).status, 204);
    assert.equal((await h.send("DELETE", `/memory?${query}`)).status, 404);
    assert.deepEqual(await keys("sent"), []);
    assert.equal((await h.get("/memory?kind=ban")).status, 400);
    assert.equal((await h.get("/memory")).status, 400);
  } finally {
    await h.close();
  }
});
