/** Rows of greylisting, which each thread keeps in memory: what is written from elsewhere is seen there. */
import assert from "node:assert/strict";
import { openStore } from "../../storage/open_store.ts";
import type { PolicyRow } from "../../storage/ops.ts";
import { TestStore } from "../lib/test_store.ts";

const row = (key: string, facts: Partial<PolicyRow> = {}): PolicyRow => ({
  ...{ kind: "greylist", key, firstAt: 1, lastAt: 1, count: 0, expiresAt: 1_000, note: "" },
  ...facts,
});

async function withStore(ported: boolean, use: (test: TestStore) => Promise<void>): Promise<void> {
  const test = await TestStore.open({ ported });
  try {
    await use(test);
  } finally {
    await test.close();
  }
}

for (const ported of [false, true]) {
  Deno.test(`greylisting sees what others write and remove${ported ? ", across a port" : ""}`, async () => {
    await withStore(ported, async (test) => {
      const other = openStore({ folder: test.folder, writer: test.writer });
      const get = (key: string, now = 10) => test.store.policy.get("greylist", key, now);
      const seen = async (want: PolicyRow | null, key: string) => {
        for (let tries = 0; tries < 100 && get(key)?.count !== want?.count; tries++) {
          await new Promise((resolve) => setTimeout(resolve, 10));
        }
        assert.deepEqual(get(key), want);
      };
      assert.equal(get("a"), null);
      assert.equal(get("b"), null);
      await other.write({ kind: "put-state", rows: [row("a"), row("b")], add: false });
      await seen(row("a"), "a");
      await seen(row("b"), "b");
      await other.write({ kind: "put-state", rows: [row("a", { lastAt: 7, count: 2 })], add: true });
      await seen(row("a", { lastAt: 7, count: 2 }), "a");
      assert.equal(get("a", 1_000), null, "its time is over");
      await other.write({ kind: "remove-state", of: "greylist", keys: ["a"] });
      await seen(null, "a");
      assert.deepEqual(get("b"), row("b"));
      await other.close();
    });
  });
}

Deno.test("a thread knows of its own row of greylisting when the write of it is done", async () => {
  await withStore(true, async ({ store }) => {
    assert.equal(store.policy.get("greylist", "a", 10), null);
    await store.write({ kind: "put-state", rows: [row("a")], add: false });
    assert.deepEqual(store.policy.get("greylist", "a", 10), row("a"));
  });
});

Deno.test("rows of greylisting beyond those kept in memory are read again", async () => {
  await withStore(false, async ({ store }) => {
    await store.write({ kind: "put-state", rows: [row("kept")], add: false });
    for (let at = 0; at < 12_000; at++) store.policy.get("greylist", `none ${at}`, 10);
    assert.deepEqual(store.policy.get("greylist", "kept", 10), row("kept"));
  });
});
