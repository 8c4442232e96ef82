/** What the writer's part throws away by itself. */
import assert from "node:assert/strict";
import { WriterPart } from "../../server/writer_part.ts";
import { openReadOnlyStore } from "../../storage/open_store.ts";
import { TestStore } from "../lib/test_store.ts";

const DAY_MS = 86_400_000;

Deno.test("lessons of more than a year ago and state that has ended are swept; younger ones stay", async () => {
  const path = Deno.makeTempDirSync({ prefix: "veredus-test-" });
  let age = 0;
  const test = await TestStore.open({ path, writer: { clock: () => Date.now() - age } });
  const id = test.accountId("alice");
  const tokens = new Uint8Array([1, 0, 0, 0]);
  for (const [key, days] of [["old", 367], ["young", 360]] as const) {
    age = days * DAY_MS;
    await test.ok({ kind: "teach", accountId: id, key, as: "spam", tokens, wish: 0 });
  }
  const row = { firstAt: 0, lastAt: 0, count: 1, note: "" };
  await test.ok({
    kind: "put-state",
    add: false,
    rows: [
      { kind: "known", key: "ended", ...row, expiresAt: Date.now() - DAY_MS },
      { kind: "known", key: "lasts", ...row, expiresAt: Date.now() + DAY_MS },
    ],
  });
  await test.store.close();
  await test.writer.close();
  const part = new WriterPart(path, (reason) => assert.fail(reason), { sweepMs: 5 });
  const store = openReadOnlyStore(test.folder);
  try {
    const there = () => [
      ...["old", "young"].filter((key) => store.spam.lesson(id, key) !== null),
      ...["ended", "lasts"].filter((key) => store.policy.get("known", key, 0) !== null),
    ];
    const end = performance.now() + 60_000;
    while (there().length > 2 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    assert.deepEqual(there(), ["young", "lasts"]);
  } finally {
    await store.close();
    await part.drain();
    Deno.removeSync(path, { recursive: true });
  }
});
