/** Annotations of mailboxes and accounts: kept, replaced, limited, gone with what they belong to. */
import assert from "node:assert/strict";
import { encode, utf8 } from "../../bytes/decode.ts";
import { MAX_ANNOTATIONS } from "../../storage/operations/annotations.ts";
import { TestStore } from "../lib/test_store.ts";

Deno.test("annotations are kept, replaced, removed, limited, and follow their mailbox", async () => {
  const test = await TestStore.open();
  try {
    const accountId = test.store.directory.account("alice@example.test")!.id;
    const put = (mailboxId: number, ...entries: [string, string | null][]) =>
      test.store.write({
        kind: "put-annotations",
        accountId,
        mailboxId,
        annotations: entries.map(([entry, value]) => ({
          entry,
          value: value === null ? null : encode(value),
        })),
      });
    const kept = (mailboxId: number) =>
      test.store.mailboxes.annotations(accountId, mailboxId).map(({ entry, value }) => [entry, utf8(value)]);
    const made = await test.ok({ kind: "create-mailbox", accountId, name: "notes", specialUse: null });
    assert.ok(made.kind === "mailbox");
    const box = made.mailboxId;
    await put(box, ["/private/comment", "one"], ["/shared/comment", "two"]);
    await put(box, ["/private/comment", "three"], ["/private/other", null]);
    await put(0, ["/shared/vendor/x", ""]);
    assert.deepEqual(kept(box), [["/private/comment", "three"], ["/shared/comment", "two"]]);
    assert.deepEqual(kept(0), [["/shared/vendor/x", ""]]);
    await test.ok({ kind: "rename-mailbox", accountId, from: "notes", to: "papers" });
    assert.equal(kept(box).length, 2);
    const many = Array.from(
      { length: MAX_ANNOTATIONS },
      (_, at): [string, string] => [`/private/n${at}`, "x"],
    );
    const refused = await put(box, ...many);
    assert.ok(!refused.ok && refused.fault === "limit");
    assert.equal(kept(box).length, 2);
    const nowhere = await put(999_999, ["/private/comment", "no"]);
    assert.ok(!nowhere.ok && nowhere.fault === "no-such-mailbox");
    await test.ok({ kind: "delete-mailbox", accountId, name: "papers" });
    assert.deepEqual(kept(box), []);
    await test.ok({ kind: "remove-account", address: "alice@example.test" });
    assert.deepEqual(kept(0), []);
  } finally {
    await test.close();
  }
});
