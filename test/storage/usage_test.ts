/** What accounts and domains hold is counted with every change, and hard limits are kept by COPY and APPEND. */
import { deepStrictEqual as equal } from "node:assert";
import { openWriterConnection } from "../../storage/database.ts";
import { verify } from "../../storage/verify.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { TestStore } from "../lib/test_store.ts";

const TEXT = "Subject: x\r\n\r\nbody\r\n";
const ALL = [[1, 2 ** 31]] as const;

async function withStore(body: (t: TestStore) => Promise<void>): Promise<void> {
  const t = await TestStore.open();
  try {
    await body(t);
  } finally {
    await t.close();
  }
}

/** Messages and octets of alice and of the domain. */
function held(t: TestStore): number[] {
  const { directory } = t.store;
  const account = directory.usage(t.accountId("alice"));
  const domain = directory.domainUsage("example.test");
  return [account.messages, account.octets, domain.messages, domain.octets];
}

Deno.test("deliveries, copies, moves, expunges, removed mailboxes and accounts move the counters", () =>
  withStore(async (t) => {
    const size = TEXT.length;
    const inbox = t.mailboxId("alice", "INBOX");
    const archive = t.mailboxId("alice", "Archive");
    await Promise.all([1, 2, 3].map(() => t.deliver(TEXT, [inbox, t.mailboxId("bob", "INBOX")])));
    equal(held(t), [3, 3 * size, 6, 6 * size]);
    await t.ok({ kind: "copy", from: inbox, to: archive, uids: ALL, move: false });
    equal(held(t), [6, 6 * size, 9, 9 * size]);
    await t.ok({ kind: "copy", from: inbox, to: archive, uids: [[1, 1]], move: true });
    equal(held(t), [6, 6 * size, 9, 9 * size]);
    await t.ok({ kind: "expunge", mailboxId: inbox, uids: [[2, 2]], onlyDeleted: false });
    equal(held(t), [5, 5 * size, 8, 8 * size]);
    await t.ok({ kind: "delete-mailbox", accountId: t.accountId("alice"), name: "Archive" });
    equal(held(t), [1, size, 4, 4 * size]);
    equal(t.store.messages.usage(t.accountId("alice")), { octets: size, messages: 1 });
    // In one group with a delivery: what came in leaves with the account.
    const content = await t.content(TEXT);
    const bob = { mailboxId: t.mailboxId("bob", "INBOX"), flags: 0, keywords: "", internalDate: 0 };
    await Promise.all([
      t.ok({ kind: "deliver", content, targets: [{ ...bob, prefix: new Uint8Array(0) }], queue: null }),
      t.ok({ kind: "remove-account", address: "bob@example.test" }),
    ]);
    equal(held(t), [1, size, 1, size]);
  }));

Deno.test("what is refused counts nothing, alone or in a batch", () =>
  withStore(async (t) => {
    const content = await t.content(TEXT);
    const target = { flags: 0, keywords: "", internalDate: 0, prefix: new Uint8Array(0) };
    const targets = [{ ...target, mailboxId: t.mailboxId("alice", "INBOX") }, {
      ...target,
      mailboxId: 9_999,
    }];
    const deliver = { kind: "deliver", content, targets, queue: null } as const;
    const good = { ...deliver, targets: targets.slice(0, 1) };
    const results = await Promise.all([
      t.write(deliver),
      t.write({ kind: "batch", ops: [good, { kind: "remove-alias", address: "none@example.test" }] }),
      t.write(good),
    ]);
    equal(results.map(({ ok }) => ok), [false, false, true]);
    equal(held(t), [1, TEXT.length, 1, TEXT.length]);
  }));

Deno.test("COPY and APPEND keep hard limits exactly, a MOVE does not need room", () =>
  withStore(async (t) => {
    const inbox = t.mailboxId("alice", "INBOX");
    const archive = t.mailboxId("alice", "Archive");
    await t.ok({ kind: "put-account", account: { address: "alice@example.test", quotaMessages: 3 } });
    await t.deliver(TEXT, [inbox]);
    await t.deliver(TEXT, [inbox]);
    const copy = { kind: "copy", from: inbox, to: archive, uids: ALL } as const;
    const refused = await t.write({ ...copy, move: false });
    equal(refused.ok ? "" : refused.fault, "over-quota");
    equal((await t.write({ ...copy, move: true })).ok, true);
    const content = await t.content(TEXT);
    const targets = [{
      mailboxId: inbox,
      flags: 0,
      keywords: "",
      internalDate: 0,
      prefix: new Uint8Array(0),
    }];
    const append = { kind: "deliver", content, targets, queue: null, enforceQuota: true } as const;
    const results = await Promise.all([1, 2, 3, 4].map(() => t.write(append)));
    equal(results.filter(({ ok }) => ok).length, 1);
    await t.ok({
      kind: "put-domain",
      domain: {
        name: "example.test",
        kind: "local",
        nextHop: "",
        catchAll: "",
        subaddressSeparators: "",
        quotaOctets: 4 * TEXT.length,
      },
    });
    const bob = [{ ...targets[0]!, mailboxId: t.mailboxId("bob", "INBOX") }];
    equal((await t.write({ ...append, targets: bob })).ok, true);
    equal((await t.write({ ...append, targets: bob })).ok, false);
  }));

Deno.test("a notice is noted once, whoever comes first", () =>
  withStore(async (t) => {
    const note = { kind: "note-quota", accountId: t.accountId("alice"), level: 1 } as const;
    const results = await Promise.all([t.write(note), t.write(note), t.write(note)]);
    equal(results.filter(({ ok }) => ok).length, 1);
  }));

Deno.test("counters that are wrong are found and mended", async () => {
  const t = await TestStore.open();
  await t.deliver(TEXT, [t.mailboxId("alice", "INBOX")]);
  await t.ok({
    kind: "put-group",
    group: { address: "team@example.test", displayName: "", posting: "anyone", owners: [] },
  });
  await t.close({ keep: true });
  const connection = openWriterConnection(t.folder.database);
  connection.exec("UPDATE accounts SET used_octets = 7");
  connection.exec("UPDATE domains SET used_messages = 9");
  connection.exec("UPDATE groups SET members = 3");
  connection.close();
  const options = { folder: t.folder, newFacts: () => new FactsBuilder(), progress: () => {} };
  const kinds = async (fix: boolean) =>
    (await verify({ ...options, fix })).problems.map(({ kind }) => kind).filter((kind) => kind !== "facts");
  equal((await kinds(false)).toSorted(), ["group-members", "usage", "usage", "usage"]);
  await kinds(true);
  equal(await kinds(false), []);
  const again = await TestStore.open({ path: t.folder.path });
  equal(held(again), [1, TEXT.length, 1, TEXT.length]);
  await again.close();
});
