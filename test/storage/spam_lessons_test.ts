/** Lessons of the spam filter in the store: wishes commit with the change, each message counts once, folded rows go. */
import assert from "node:assert/strict";
import type { LessonKind, WriteOp } from "../../storage/ops.ts";
import { openReaderConnection } from "../../storage/database.ts";
import { until } from "../lib/program.ts";
import { TestStore } from "../lib/test_store.ts";

const MESSAGE = "From: a@b.test\r\nSubject: x\r\n\r\nhello\r\n";
const TOKENS = new Uint8Array([1, 0, 0, 0]);
const teach = (accountId: number, as: LessonKind | null, key = "k"): WriteOp => ({
  ...{ kind: "teach", accountId, key, as, tokens: TOKENS, wish: 0 },
});

async function withStore(use: (test: TestStore) => Promise<void>): Promise<void> {
  const test = await TestStore.open();
  try {
    await use(test);
  } finally {
    await test.close();
  }
}

Deno.test("MOVE, COPY, STORE and APPEND leave a wish in their own transaction; without a word they leave none", async () => {
  await withStore(async (test) => {
    const inbox = test.mailboxId("alice", "INBOX");
    const junk = test.mailboxId("alice", "Junk");
    const [uid = 0] = await test.deliver(MESSAGE, [inbox], {
      prefix: new TextEncoder().encode("Return-Path: <>\r\n"),
    });
    const uids = [[uid, uid]] as const;
    await test.ok({ kind: "copy", from: inbox, to: junk, uids, move: false });
    assert.deepEqual(test.store.spam.wishes(10), []);
    await test.ok({ kind: "copy", from: inbox, to: junk, uids, move: false, teaches: "spam" });
    const change = { mailboxId: inbox, uids, mode: "add", flags: 0, unchangedSince: null } as const;
    await test.ok({ kind: "store-flags", ...change, keywords: ["$NotJunk"], teaches: "ham" });
    await test.ok({ kind: "store-flags", ...change, keywords: ["$NotJunk"], teaches: "ham" }); // changes nothing
    await test.ok({
      kind: "deliver",
      content: await test.content(MESSAGE),
      targets: [{
        mailboxId: junk,
        flags: 0,
        keywords: "",
        internalDate: 0,
        prefix: new Uint8Array(0),
      }],
      queue: null,
      teaches: "spam",
    });
    const wishes = test.store.spam.wishes(10);
    assert.deepEqual(wishes.map(({ kind }) => kind), ["spam", "ham", "spam"]);
    assert.equal(wishes[0]!.blob?.length, MESSAGE.length);
    assert.equal(wishes[0]!.prefix.length, 17);
    assert.ok(wishes.every(({ accountId }) => accountId === test.accountId("alice")));
  });
});

Deno.test("each message counts once, a reversal takes back what it counted, an answer changes no reader's word", async () => {
  await withStore(async (test) => {
    const id = test.accountId("alice");
    const journal = () =>
      test.store.spam.journal(id, { after: 0, limit: 10 }).map(({ spam, ham }) => [spam, ham]);
    await test.ok(teach(id, "spam"));
    await test.ok(teach(id, "spam"));
    assert.deepEqual(journal(), [[1, 0]]);
    await test.ok(teach(id, "weak-ham"));
    await test.ok(teach(id, "ham"));
    assert.deepEqual(journal(), [[1, 0], [-1, 1]]);
    assert.equal(test.store.spam.lesson(id, "k"), "ham");
    await test.ok(teach(id, null));
    assert.deepEqual(journal(), [[1, 0], [-1, 1], [0, -1]]);
    assert.equal(test.store.spam.lesson(id, "k"), null);
    await test.ok(teach(id, "weak-ham", "other"));
    assert.deepEqual(test.store.spam.counts(id), { spam: 0, ham: 1, waiting: 0 });
  });
});

Deno.test("rows of the journal go when both knowledges have them; an older fold changes nothing", async () => {
  await withStore(async (test) => {
    const id = test.accountId("alice");
    for (const key of ["a", "b", "c"]) await test.ok(teach(id, "spam", key));
    const rows = () => test.store.spam.journal(0, { after: 0, limit: 10 }).map((row) => row.id);
    const [first = 0, second = 0] = rows();
    assert.deepEqual(test.store.spam.unfolded(), [{ accountId: id, rows: 3 }]);
    await test.ok({ kind: "put-knowledge", accountId: id, upTo: second, octets: new Uint8Array([1]) });
    assert.equal(rows().length, 3);
    await test.ok({ kind: "put-knowledge", accountId: 0, upTo: first, octets: new Uint8Array([2]) });
    assert.equal(rows().length, 2);
    await test.ok({ kind: "put-knowledge", accountId: id, upTo: first, octets: new Uint8Array([3]) });
    assert.deepEqual([...test.store.spam.knowledge(id)!.octets], [1]);
    assert.deepEqual(test.store.spam.unfolded(), [{ accountId: id, rows: 1 }]);
  });
});

Deno.test("what came to a trap is held until it is learnt, with a copy or without, and no longer", async () => {
  await withStore(async (test) => {
    const inbox = test.mailboxId("alice", "INBOX");
    const reader = openReaderConnection(test.folder.database);
    const contents = () => (reader.prepare("SELECT count(*) FROM contents").raw().get() as [number])[0];
    const target = { mailboxId: inbox, flags: 0, keywords: "", internalDate: 0, prefix: new Uint8Array(0) };
    for (const targets of [[target], []]) {
      const content = await test.content(MESSAGE);
      await test.ok({ kind: "deliver", content, targets, queue: null, trapped: true });
    }
    await test.ok({ kind: "expunge", mailboxId: inbox, uids: [[1, 1]], onlyDeleted: false });
    await new Promise((resolve) => setTimeout(resolve, 100)); // longer than reapers wait
    const [first, second] = test.store.spam.wishes(10);
    assert.deepEqual([first?.blob?.length, second?.blob?.length], [MESSAGE.length, MESSAGE.length]);
    await test.ok({ kind: "teach", accountId: 0, key: "k", as: "spam", tokens: TOKENS, wish: first!.id });
    await until("the one that is learnt is gone", () => contents() === 1 || null);
    assert.equal(test.store.spam.wishes(10)[0]?.blob?.length, MESSAGE.length);
    await test.ok({ kind: "drop-wishes", ids: [second!.id] });
    await until("the other too", () => contents() === 0 || null);
    const refused = await test.write({
      ...{ kind: "deliver", content: await test.content(MESSAGE), targets: [], queue: null },
    });
    assert.equal(refused.ok, false);
    reader.close();
  });
});

Deno.test("wishes for messages that are gone go with them; an account's lessons go with the account", async () => {
  await withStore(async (test) => {
    const id = test.accountId("alice");
    const inbox = test.mailboxId("alice", "INBOX");
    const [uid = 0] = await test.deliver(MESSAGE, [inbox]);
    const uids = [[uid, uid]] as const;
    await test.ok({
      kind: "store-flags",
      mailboxId: inbox,
      uids,
      mode: "add",
      flags: 0,
      keywords: ["$Junk"],
      unchangedSince: null,
      teaches: "spam",
    });
    await test.ok({ kind: "expunge", mailboxId: inbox, uids, onlyDeleted: false });
    while (test.store.spam.wishes(10).length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await test.ok(teach(id, "spam"));
    await test.ok({ kind: "put-knowledge", accountId: id, upTo: 1, octets: new Uint8Array([1]) });
    await test.ok({ kind: "remove-account", address: "alice@example.test" });
    assert.equal(test.store.spam.knowledge(id), null);
    assert.deepEqual(test.store.spam.counts(id), { spam: 0, ham: 0, waiting: 0 });
  });
});

Deno.test("old lessons are swept; an account can be made to forget", async () => {
  await withStore(async (test) => {
    const id = test.accountId("alice");
    await test.ok(teach(id, "spam"));
    await test.ok({ kind: "sweep-lessons", before: 1 });
    assert.equal(test.store.spam.lesson(id, "k"), "spam");
    await test.ok({ kind: "sweep-lessons", before: Date.now() + 1_000 });
    assert.equal(test.store.spam.lesson(id, "k"), null);
    await test.ok({ kind: "forget-lessons", accountId: id });
    assert.deepEqual(test.store.spam.journal(id, { after: 0, limit: 10 }), []);
  });
});
