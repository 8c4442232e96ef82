/** Every write operation and its faults, in the direct form and through a message port. */
import assert from "node:assert/strict";
import type { Change } from "../../storage/changes.ts";
import { FLAG_DELETED, FLAG_FLAGGED, FLAG_SEEN } from "../../storage/changes.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { TestStore } from "../lib/test_store.ts";

const MESSAGE = "Subject: hello\r\n\r\nbody\r\n";

for (const ported of [false, true]) {
  const form = ported ? "through a port" : "direct";
  const test = (name: string, body: (store: TestStore) => Promise<void>) =>
    Deno.test(`${name} (${form})`, async () => {
      const store = await TestStore.open({ ported });
      try {
        await body(store);
        assert.deepEqual(store.fatal, []);
      } finally {
        await store.close();
      }
    });

  test("a new account has the standard mailboxes, subscribed", async (t) => {
    const id = t.accountId("alice");
    const names = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"];
    assert.deepEqual(t.store.mailboxes.list(id).map(({ name }) => name), names);
    assert.deepEqual(t.store.mailboxes.subscriptions(id), names);
    assert.equal(t.store.mailboxes.byName(id, "Sent")?.specialUse, "\\Sent");
  });

  test("a delivery to two mailboxes shares its octets and counts in both", async (t) => {
    const [alice, bob] = [t.mailboxId("alice", "INBOX"), t.mailboxId("bob", "inbox")];
    const prefix = new TextEncoder().encode("Delivered-To: x\r\n");
    assert.deepEqual(await t.deliver(MESSAGE, [alice, bob], { prefix }), [1, 1]);
    const [row] = t.store.messages.rows(alice, [[1, 0xffffffff]], { limit: 10, withImap: true });
    const other = t.store.messages.row(bob, 1, { withImap: false });
    assert.deepEqual(row?.blob, other?.blob);
    assert.equal(row?.sizeOctets, prefix.length + MESSAGE.length);
    assert.equal(new TextDecoder().decode(t.store.blobs.readSync(row!.blob, 0, row!.blob.length)), MESSAGE);
    assert.equal(new TextDecoder().decode(await t.store.blobs.read(row!.blob, 9, 14)), "hello");
    const mailbox = t.store.mailboxes.byId(alice)!;
    assert.deepEqual([mailbox.messages, mailbox.unseen, mailbox.uidNext, mailbox.sizeOctets], [
      1,
      1,
      2,
      row!.sizeOctets,
    ]);
    assert.deepEqual(t.store.messages.usage(t.accountId("bob")), { octets: row!.sizeOctets, messages: 1 });
  });

  test("a delivery with one missing mailbox files nothing anywhere", async (t) => {
    const alice = t.mailboxId("alice", "INBOX");
    const content = await t.content(MESSAGE);
    const target = { flags: 0, keywords: "", internalDate: 0, prefix: new Uint8Array(0) };
    const targets = [{ mailboxId: alice, ...target }, { mailboxId: 9999, ...target }];
    const [refused, accepted] = await Promise.all([
      t.write({ kind: "deliver", content, targets, queue: null }),
      t.write({ kind: "deliver", content, targets: targets.slice(0, 1), queue: null }),
    ]);
    assert.equal(refused.ok, false);
    assert.equal(accepted.ok, true);
    assert.equal(t.store.mailboxes.byId(alice)?.messages, 1);
  });

  test("STORE adds, removes and replaces flags and keywords, and announces only what changed", async (t) => {
    const inbox = t.mailboxId("alice", "INBOX");
    for (let i = 0; i < 3; i++) await t.deliver(MESSAGE, [inbox]);
    const changes: Change[] = [];
    t.store.onChange((change) => changes.push(change));
    const base = { kind: "store-flags", mailboxId: inbox, unchangedSince: null } as const;
    const add = await t.ok({ ...base, uids: [[1, 2]], mode: "add", flags: FLAG_SEEN, keywords: ["b", "a"] });
    assert.deepEqual(add.kind === "flags" && add.changed, [1, 2]);
    const again = await t.ok({
      ...base,
      uids: [[1, 1], [2, 3]],
      mode: "add",
      flags: FLAG_SEEN,
      keywords: [],
    });
    assert.deepEqual(again.kind === "flags" && again.changed, [3]);
    await t.ok({ ...base, uids: [[1, 1]], mode: "remove", flags: FLAG_SEEN, keywords: ["a"] });
    await t.ok({
      ...base,
      uids: [[2, 2]],
      mode: "replace",
      flags: FLAG_FLAGGED | FLAG_DELETED,
      keywords: ["z"],
    });
    assert.deepEqual(
      changes.flatMap((change) => change.kind === "flags" ? change.messages : []),
      [
        { uid: 1, flags: FLAG_SEEN, keywords: "a b" },
        { uid: 2, flags: FLAG_SEEN, keywords: "a b" },
        { uid: 3, flags: FLAG_SEEN, keywords: "" },
        { uid: 1, flags: 0, keywords: "b" },
        { uid: 2, flags: FLAG_FLAGGED | FLAG_DELETED, keywords: "z" },
      ],
    );
    const mailbox = t.store.mailboxes.byId(inbox)!;
    assert.deepEqual([mailbox.unseen, mailbox.deleted], [2, 1]);
    const index = (await t.store.mailboxes.open(inbox))!;
    assert.deepEqual([0, 1, 2].map((i) => [index.uidAt(i), index.flagsAt(i), index.keywordsAt(i)]), [
      [1, 0, "b"],
      [2, FLAG_FLAGGED | FLAG_DELETED, "z"],
      [3, FLAG_SEEN, ""],
    ]);
    index.release();
  });

  test("STORE with UNCHANGEDSINCE refuses what changed later", async (t) => {
    const inbox = t.mailboxId("alice", "INBOX");
    await t.deliver(MESSAGE, [inbox]);
    const since = t.store.mailboxes.byId(inbox)!.highestModSeq;
    await t.deliver(MESSAGE, [inbox]);
    const result = await t.ok({
      ...{
        kind: "store-flags",
        mailboxId: inbox,
        uids: [[1, 2]],
        mode: "add",
        flags: FLAG_SEEN,
        keywords: [],
      },
      unchangedSince: since,
    });
    assert.ok(result.kind === "flags");
    assert.deepEqual([result.changed, result.modified], [[1], [2]]);
  });

  test("COPY and MOVE give new UIDs in order and share octets; EXPUNGE removes what is \\Deleted", async (t) => {
    const [inbox, archive] = [t.mailboxId("alice", "INBOX"), t.mailboxId("alice", "Archive")];
    for (let i = 0; i < 4; i++) await t.deliver(MESSAGE, [inbox], { flags: i === 3 ? FLAG_DELETED : 0 });
    const copied = await t.ok({
      kind: "copy",
      from: inbox,
      to: archive,
      uids: [[1, 1], [3, 3]],
      move: false,
    });
    assert.ok(copied.kind === "copied");
    assert.deepEqual([copied.from, copied.to], [[1, 3], [1, 2]]);
    const moved = await t.ok({ kind: "copy", from: inbox, to: archive, uids: [[2, 2]], move: true });
    assert.ok(moved.kind === "copied");
    assert.deepEqual([moved.from, moved.to], [[2], [3]]);
    const gone = await t.ok({ kind: "expunge", mailboxId: inbox, uids: null, onlyDeleted: true });
    assert.ok(gone.kind === "expunged");
    assert.deepEqual(gone.uids, [4]);
    assert.deepEqual(t.store.messages.maildrop(inbox, { after: 0, limit: 1_000 }).uids, [1, 3]);
    assert.deepEqual(t.store.messages.maildrop(archive, { after: 0, limit: 1_000 }).uids, [1, 2, 3]);
    await t.deliver(MESSAGE, [inbox]);
    assert.equal(t.store.mailboxes.byId(inbox)?.uidNext, 6);
  });

  test("mailboxes: parents are made, names and INBOX are folded, deleted ones free their octets", async (t) => {
    const accountId = t.accountId("alice");
    const create = (name: string): WriteOp => ({ kind: "create-mailbox", accountId, name, specialUse: null });
    await t.ok(create("inbox/lists/deno"));
    assert.ok(t.store.mailboxes.byName(accountId, "INBOX/lists"));
    const again = await t.write(create("INBOX/lists/deno"));
    assert.equal(!again.ok && again.fault, "already-exists");
    for (const name of ["", "a//b", "a\tb", "x".repeat(1_025), Array(33).fill("a").join("/")]) {
      const refused = await t.write(create(name));
      assert.equal(!refused.ok && refused.fault, "not-permitted", JSON.stringify(name));
    }
    const old = t.store.mailboxes.byName(accountId, "INBOX/lists/deno")!;
    await t.ok({ kind: "rename-mailbox", accountId, from: "INBOX/lists", to: "Lists" });
    const renamed = t.store.mailboxes.byName(accountId, "Lists/deno")!;
    assert.deepEqual([renamed.id, renamed.uidValidity], [old.id, old.uidValidity]);
    await t.deliver(MESSAGE, [renamed.id]);
    await t.ok({ kind: "delete-mailbox", accountId, name: "Lists/deno" });
    await t.ok(create("Lists/deno"));
    assert.ok(t.store.mailboxes.byName(accountId, "Lists/deno")!.uidValidity > old.uidValidity);
    const inbox = await t.write({ kind: "delete-mailbox", accountId, name: "Inbox" });
    assert.equal(!inbox.ok && inbox.fault, "not-permitted");
    await t.ok({ kind: "delete-mailbox", accountId, name: "Lists" });
    assert.equal(t.store.mailboxes.byName(accountId, "Lists")?.selectable, false);
    const parent = await t.write({ kind: "delete-mailbox", accountId, name: "Lists" });
    assert.equal(!parent.ok && parent.fault, "has-children");
  });

  test("RENAME of INBOX moves its messages and leaves it empty", async (t) => {
    const accountId = t.accountId("alice");
    await t.deliver(MESSAGE, [t.mailboxId("alice", "INBOX")]);
    await t.ok({ kind: "rename-mailbox", accountId, from: "INBOX", to: "old" });
    assert.equal(t.store.mailboxes.byName(accountId, "old")?.messages, 1);
    assert.equal(t.store.mailboxes.byName(accountId, "INBOX")?.messages, 0);
  });

  test("a name that comes back by RENAME never has a smaller UIDVALIDITY", async (t) => {
    const accountId = t.accountId("alice");
    const create = (name: string): WriteOp => ({ kind: "create-mailbox", accountId, name, specialUse: null });
    await t.ok(create("old"));
    await t.ok(create("new"));
    const last = t.store.mailboxes.byName(accountId, "new")!.uidValidity;
    await t.ok({ kind: "delete-mailbox", accountId, name: "new" });
    await t.ok({ kind: "rename-mailbox", accountId, from: "old", to: "new" });
    assert.ok(t.store.mailboxes.byName(accountId, "new")!.uidValidity > last);
  });

  test("\\Recent is given to one session only", async (t) => {
    const inbox = t.mailboxId("alice", "INBOX");
    await t.deliver(MESSAGE, [inbox]);
    const first = await t.ok({ kind: "claim-recent", mailboxId: inbox });
    const second = await t.ok({ kind: "claim-recent", mailboxId: inbox });
    assert.deepEqual([first, second].map((result) => result.kind === "recent" && result.firstRecentUid), [
      1,
      2,
    ]);
  });

  test("the queue: due, deferred, held, final", async (t) => {
    const content = await t.content(MESSAGE);
    const recipient = { destination: "b.test", notify: "", originalRecipient: "" };
    await t.ok({
      kind: "deliver",
      content,
      targets: [],
      queue: {
        sender: "alice@example.test",
        accountId: t.accountId("alice"),
        envelopeId: "",
        ret: "",
        eightBit: false,
        smtputf8: false,
        createdAt: 1000,
        expiresAt: 9000,
        recipients: [{ recipient: "x@b.test", ...recipient }, { recipient: "y@b.test", ...recipient }],
      },
    });
    const { queue } = t.store;
    const due = queue.due(1000, { limit: 10, busy: [] });
    assert.deepEqual(due.map((r) => r.recipient), ["x@b.test", "y@b.test"]);
    assert.deepEqual(queue.due(1000, { limit: 10, busy: ["b.test"] }), []);
    const [x, y] = due.map((r) => r.recipientId) as [number, number];
    const outcome = { reply: "4.0.0 later", remote: "mx", nextAttemptAt: 5000, delayNotified: false };
    await t.ok({
      kind: "queue-outcomes",
      at: 1000,
      outcomes: [{ recipientId: x, outcome: "deferred", ...outcome }],
    });
    assert.deepEqual(queue.due(4999, { limit: 10, busy: [] }).map((r) => r.recipientId), [y]);
    await t.ok({ kind: "queue-control", action: "hold", recipientIds: [y], at: 0 });
    assert.deepEqual(queue.counts(), { queued: 1, held: 1, oldestCreatedAt: 1000 });
    assert.equal(queue.nextDueAt(0), 5000);
    assert.equal(
      queue.list({ state: "queued" }, { afterRecipientId: 0, limit: 10 })[0]?.lastReply,
      "4.0.0 later",
    );
    await t.ok({
      kind: "queue-outcomes",
      at: 2000,
      outcomes: [{ recipientId: x, outcome: "failed", ...outcome }, {
        recipientId: y,
        outcome: "delivered",
        ...outcome,
      }],
    });
    assert.equal(queue.message(due[0]!.queueId), null);
    assert.deepEqual(queue.counts(), { queued: 0, held: 0, oldestCreatedAt: null });
  });

  test("an account that goes takes its mailboxes and messages along", async (t) => {
    const id = t.accountId("bob");
    await t.deliver(MESSAGE, [t.mailboxId("bob", "INBOX")]);
    await t.ok({ kind: "remove-account", address: "bob@example.test" });
    assert.equal(t.store.directory.account("bob@example.test"), null);
    assert.deepEqual(t.store.mailboxes.list(id), []);
    const domain = await t.write({ kind: "remove-domain", name: "example.test" });
    assert.equal(!domain.ok && domain.fault, "domain-in-use");
  });

  test("aliases and tokens", async (t) => {
    await t.ok({
      kind: "put-alias",
      address: "info@example.test",
      targets: ["alice@example.test", "x@other.test"],
    });
    assert.deepEqual(t.store.directory.alias("info@example.test")?.targets, [
      "alice@example.test",
      "x@other.test",
    ]);
    assert.deepEqual(t.store.directory.aliasesOf("alice@example.test"), ["info@example.test"]);
    const clash = await t.write({ kind: "put-alias", address: "bob@example.test", targets: [] });
    assert.equal(!clash.ok && clash.fault, "already-exists");
    await t.ok({ kind: "remove-alias", address: "info@example.test" });
    assert.equal(t.store.directory.alias("info@example.test"), null);
    const token = { id: "t1", name: "n", hash: "h", scopes: ["read"], createdAt: 1, expiresAt: 0 };
    await t.ok({ kind: "put-token", token });
    assert.deepEqual(t.store.directory.tokenByHash("h"), token);
    await t.ok({ kind: "remove-token", id: "t1" });
    assert.equal(t.store.directory.tokenByHash("h"), null);
  });

  test("a batch is all or nothing", async (t) => {
    const accountId = t.accountId("alice");
    const create = { kind: "create-mailbox", accountId, name: "x", specialUse: null } as const;
    const result = await t.write({
      kind: "batch",
      ops: [create, { kind: "remove-alias", address: "no@example.test" }],
    });
    assert.equal(!result.ok && result.fault, "no-such-alias");
    assert.equal(t.store.mailboxes.byName(accountId, "x"), null);
  });

  test("a large message is streamed into a segment of its own and reads back", async (t) => {
    const text = "Subject: big\r\n\r\n" + "0123456789abcdef\r\n".repeat(60_000);
    const [uid] = await t.deliver(text, [t.mailboxId("alice", "INBOX")]);
    const row = t.store.messages.row(t.mailboxId("alice", "INBOX"), uid!, { withImap: false })!;
    assert.equal(new TextDecoder().decode(await t.store.blobs.read(row.blob, 0, row.blob.length)), text);
  });
}
