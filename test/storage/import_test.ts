/** The `import` operation: what was brought once is not brought again, UIDs and unique ids can be kept. */
import assert from "node:assert/strict";
import type { ImportedMessage, WriteResult } from "../../storage/ops.ts";
import { copySync } from "../lib/copied_data.ts";
import { TestStore } from "../lib/test_store.ts";

async function withStore(body: (test: TestStore, mailboxId: number) => Promise<void>): Promise<void> {
  const test = await TestStore.open();
  try {
    await body(test, test.mailboxId("alice", "INBOX"));
  } finally {
    await test.close();
  }
}

async function importItems(
  test: TestStore,
  items: readonly (readonly [item: string, uid?: number, uidl?: string])[],
  source = "s",
): Promise<WriteResult> {
  const messages: ImportedMessage[] = [];
  for (const [item, uid = null, uidl = null] of items) {
    const content = await test.content(`Subject: ${item}\r\n\r\nx\r\n`);
    messages.push({ content, flags: 1, keywords: "", internalDate: 5, item, uid, uidl });
  }
  const mailboxId = test.mailboxId("alice", "INBOX");
  return await test.write({
    kind: "import",
    accountId: test.accountId("alice"),
    mailboxId,
    source,
    messages,
  });
}

function uids(test: TestStore, mailboxId: number): number[] {
  return test.store.messages.rows(mailboxId, [[1, 1e9]], { limit: 99, withImap: false }).map(({ uid }) =>
    uid
  );
}

Deno.test("an item comes once, however often it is brought", () =>
  withStore(async (test, mailboxId) => {
    assert.deepEqual(await importItems(test, [["a"], ["b"], ["a"]]), {
      ok: true,
      kind: "imported",
      messages: 2,
    });
    assert.deepEqual(await importItems(test, [["b"], ["c"]]), { ok: true, kind: "imported", messages: 1 });
    assert.deepEqual(await importItems(test, [["b"]], "other"), { ok: true, kind: "imported", messages: 1 });
    assert.deepEqual(uids(test, mailboxId), [1, 2, 3, 4]);
    const { messages } = test.store;
    const accountId = test.accountId("alice");
    assert.deepEqual(messages.importedItems(accountId, "s", { after: "", limit: 2 }), ["a", "b"]);
    assert.deepEqual(messages.importedItems(accountId, "s", { after: "b", limit: 2 }), ["c"]);
    assert.equal(test.store.directory.usage(accountId).messages, 4);
    await test.ok({ kind: "remove-account", address: "alice@example.test" });
    assert.deepEqual(messages.importedItems(accountId, "s", { after: "", limit: 2 }), []);
  }));

Deno.test("UIDs and UIDVALIDITY are kept where nothing was given out yet, whole batches or not at all", () =>
  withStore(async (test, mailboxId) => {
    const adopt = (uidValidity: number) => test.write({ kind: "adopt-uid-validity", mailboxId, uidValidity });
    assert.equal((await adopt(4_294_967_295)).ok, false);
    assert.equal((await adopt(3_000_000_000)).ok, true);
    assert.equal((await importItems(test, [["a", 7, "u-a"], ["b", 9], ["c"]])).ok, true);
    assert.deepEqual(uids(test, mailboxId), [7, 9, 10]);
    assert.deepEqual([...test.store.messages.keptUidls(mailboxId)], [[7, "u-a"]]);
    const again = await importItems(test, [["d", 11], ["e", 8]]);
    assert.match(again.ok ? "" : again.detail, /UID 8 cannot be kept/);
    assert.deepEqual(uids(test, mailboxId), [7, 9, 10]);
    assert.deepEqual((await adopt(3_000_000_001)).ok, false);
    assert.equal(test.store.mailboxes.byId(mailboxId)?.uidValidity, 3_000_000_000);
    // No name gets a smaller one afterwards.
    const made = await test.ok({
      kind: "create-mailbox",
      accountId: test.accountId("alice"),
      name: "New",
      specialUse: null,
    });
    assert.ok(made.kind === "mailbox" && made.uidValidity > 3_000_000_000);
    await test.ok({ kind: "expunge", mailboxId, uids: [[7, 7]], onlyDeleted: false });
    assert.equal(test.store.messages.keptUidls(mailboxId).size, 0);
  }));

Deno.test("a name that had a larger UIDVALIDITY does not get a smaller one back", () =>
  withStore(async (test) => {
    const accountId = test.accountId("alice");
    const create = () => test.ok({ kind: "create-mailbox", accountId, name: "Work", specialUse: null });
    const first = await create();
    await test.ok({ kind: "delete-mailbox", accountId, name: "Work" });
    const second = await create();
    if (first.kind !== "mailbox" || second.kind !== "mailbox") throw new Error("no mailbox");
    const adopt = (uidValidity: number) =>
      test.write({ kind: "adopt-uid-validity", mailboxId: second.mailboxId, uidValidity });
    assert.equal((await adopt(first.uidValidity)).ok, false);
    assert.equal((await adopt(first.uidValidity + 1)).ok, true);
  }));

Deno.test("after data was put back from a copy, a name that was made since gets a larger UIDVALIDITY", async () => {
  const copy = Deno.makeTempDirSync({ prefix: "veredus-copy-" });
  const made = async (test: TestStore) => {
    const accountId = test.accountId("alice");
    const result = await test.ok({ kind: "create-mailbox", accountId, name: "Work", specialUse: null });
    return result.kind === "mailbox" ? result.uidValidity : 0;
  };
  const first = await TestStore.open();
  const path = first.folder.path;
  await first.close({ keep: true });
  copySync(path, copy);
  const now = await TestStore.open({ path });
  const before = await made(now);
  await now.close();
  // Values are seconds of the clock where no more than one a second is given.
  const later = { clock: () => Date.now() + 60_000 };
  const back = await TestStore.open({ path: copy, writer: later });
  assert.ok(await made(back) > before);
  await back.close();
});
