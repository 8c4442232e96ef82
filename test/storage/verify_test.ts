/** verify: silent on sound data, names each kind of damage, and mends what can be derived again, nothing else. */
import assert from "node:assert/strict";
import { FactsBuilder } from "../../message/facts.ts";
import { openReaderConnection, openWriterConnection } from "../../storage/database.ts";
import { segmentName } from "../../storage/segment.ts";
import { verify, type VerifyReport } from "../../storage/verify.ts";
import { fileMessage, storeMessage } from "../lib/stored_message.ts";
import { TestStore } from "../lib/test_store.ts";

const textOf = (i: number) => `From: a@b.test\r\nSubject: message ${i}\r\n\r\nbody ${i}\r\n`;

async function run(t: TestStore, fix = false): Promise<VerifyReport> {
  return await verify({ folder: t.folder, fix, newFacts: () => new FactsBuilder(), progress: () => {} });
}

/** A folder with mail, aliases and a queue, closed. */
async function closedStore(): Promise<TestStore> {
  const t = await TestStore.open();
  const inbox = t.mailboxId("alice", "INBOX");
  const prefix = new TextEncoder().encode("Delivered-To: alice@example.test\r\n");
  for (let i = 1; i <= 5; i++) await fileMessage(t.store, inbox, textOf(i), { prefix });
  await fileMessage(t.store, inbox, `Subject: large\r\n\r\n${"x".repeat(70)}\r\n`.repeat(8_000));
  await t.ok({ kind: "copy", from: inbox, to: t.mailboxId("alice", "Archive"), uids: [[1, 3]], move: false });
  await t.ok({ kind: "expunge", mailboxId: inbox, uids: [[2, 2]], onlyDeleted: false });
  await t.ok({ kind: "put-alias", address: "info@example.test", targets: ["alice@example.test"] });
  const trapped = await storeMessage(t.store, textOf(6));
  await t.ok({ kind: "deliver", content: trapped, targets: [], queue: null, trapped: true });
  await t.close({ keep: true });
  return t;
}

function damage(t: TestStore, sql: string): void {
  const connection = openWriterConnection(t.folder.database);
  connection.exec(sql);
  connection.close();
}

const FIXABLE: [string, string][] = [
  ["refs", "UPDATE contents SET refs = refs + 1 WHERE id = 1"],
  ["refs", "UPDATE contents SET refs = 0 WHERE id = 3"],
  ["counters", "UPDATE mailboxes SET messages = messages + 1 WHERE name = 'INBOX'"],
  ["counters", "UPDATE mailboxes SET unseen = 0, size_octets = 1 WHERE name = 'Archive'"],
  ["counters", "UPDATE mailboxes SET deleted = 7"],
  ["counters", "UPDATE mailboxes SET uid_next = 3 WHERE name = 'INBOX'"],
  ["counters", "UPDATE mailboxes SET highest_modseq = 2 WHERE name = 'INBOX'"],
  ["counters", "UPDATE mailboxes SET recent_uid = 100"],
  ["message-size", "UPDATE messages SET size_octets = size_octets - 1"],
  ["alias-targets", "DELETE FROM alias_targets"],
  [
    "alias-targets",
    "INSERT INTO alias_targets (target, address) VALUES ('bob@example.test', 'info@example.test')",
  ],
  ["uid-validity", "UPDATE counters SET value = 1 WHERE name = 'uid_validity'"],
  ["facts", "UPDATE contents SET preview = 'wrong' WHERE id = 2"],
  ["facts", "UPDATE contents SET imap = x'01', message_id = 'x' WHERE id = 1"],
  ["facts", "UPDATE contents SET header_octets = 3"],
  ["sharing-without-mailbox", "INSERT INTO acl VALUES (999, 'anyone', 'lr')"],
  ["sharing-without-mailbox", "INSERT INTO seen_by VALUES (999, 2, 1, '[[1,2]]')"],
  ["access-list", "INSERT INTO acl VALUES (1, 'gone@example.test', 'lr')"],
  ["access-list", "INSERT INTO acl VALUES (1, 'bob@example.test', 'lrz')"],
  ["reader", "INSERT INTO seen_by VALUES (1, 99, 1, '[]')"],
  ["reader", "INSERT INTO seen_by VALUES (1, 2, 1, 'not json')"],
];

Deno.test("sound data has no problem, beside a server too", async () => {
  const t = await TestStore.open();
  await fileMessage(t.store, t.mailboxId("alice", "INBOX"), textOf(1));
  const report = await run(t);
  assert.deepEqual(report.problems, []);
  assert.deepEqual([report.checked.contents, report.checked.messages, report.checked.segments], [1, 1, 1]);
  await t.close();
});

for (const [kind, sql] of FIXABLE) {
  Deno.test(`found and mended: ${sql}`, async () => {
    const t = await closedStore();
    assert.deepEqual((await run(t)).problems, []);
    damage(t, sql);
    const found = await run(t);
    assert.ok(found.problems.length > 0, "found");
    assert.ok(found.problems.some((problem) => problem.kind === kind), JSON.stringify(found.problems));
    assert.ok(found.problems.every(({ fixed }) => !fixed));
    const mended = await run(t, true);
    assert.ok(mended.problems.every(({ fixed }) => fixed), JSON.stringify(mended.problems));
    assert.deepEqual((await run(t)).problems, []);
    Deno.removeSync(t.folder.path, { recursive: true });
  });
}

const LOST: [string, string][] = [
  ["message-without-content", "DELETE FROM contents WHERE id = 1"],
  ["message-without-mailbox", "DELETE FROM mailboxes WHERE name = 'Archive'"],
  ["mailbox-without-account", "DELETE FROM accounts WHERE address LIKE 'bob%'"],
  ["account-without-inbox", "UPDATE mailboxes SET name = 'outbox' WHERE name = 'INBOX'"],
  ["account-without-domain", "DELETE FROM domains"],
  ["alias-without-domain", "UPDATE domains SET kind = 'relay'"],
  ["address-twice", "UPDATE aliases SET address = 'bob@example.test'"],
  [
    "queue-without-content",
    "INSERT INTO queue_messages VALUES (1, 999, '', NULL, '', '', 0, 0, 0, 0, '', 0); " +
    "INSERT INTO queue_recipients VALUES (1, 1, 'x@y.test', 'y.test', '', '', 0, 0, 0, 0, '', '')",
  ],
  [
    "queue-without-recipients",
    "INSERT INTO queue_messages VALUES (1, 1, '', NULL, '', '', 0, 0, 0, 0, '', 0)",
  ],
  [
    "recipient-without-message",
    "INSERT INTO queue_recipients VALUES (1, 1, 'x@y.test', 'y.test', '', '', 0, 0, 0, 0, '', '')",
  ],
  ["record-missing", "UPDATE contents SET segment = 99 WHERE id = 1"],
  ["record-missing", "UPDATE contents SET offset = offset + 8 WHERE id = 1"],
  ["record-length", "UPDATE contents SET length = length - 1 WHERE id = 1"],
];

for (const [kind, sql] of LOST) {
  Deno.test(`found and left alone: ${kind} after ${sql.slice(0, 50)}`, async () => {
    const t = await closedStore();
    damage(t, sql);
    const found = await run(t, true);
    const problems = found.problems.filter((problem) => problem.kind === kind);
    assert.ok(problems.length > 0, JSON.stringify(found.problems));
    assert.ok(problems.every(({ fixed }) => !fixed));
    Deno.removeSync(t.folder.path, { recursive: true });
  });
}

Deno.test("damaged octets and damaged files are named", async () => {
  const t = await closedStore();
  const reader = openReaderConnection(t.folder.database);
  const [segment, offset] = reader.prepare("SELECT segment, offset FROM contents WHERE id = 3").raw()
    .get() as number[];
  reader.close();
  const path = `${t.folder.segments}/${segmentName(segment!)}`;
  {
    using file = Deno.openSync(path, { write: true });
    file.seekSync(offset! + 5, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array([7]));
    file.seekSync(0, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array([7]));
  }
  const report = await run(t);
  assert.deepEqual(report.problems.map(({ kind }) => kind).sort(), ["record-checksum", "segment"]);
  Deno.removeSync(path);
  const gone = await run(t);
  assert.deepEqual([...new Set(gone.problems.map(({ kind }) => kind))], ["record-missing"]);
  Deno.removeSync(t.folder.path, { recursive: true });
});
