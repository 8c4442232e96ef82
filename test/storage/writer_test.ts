/** The writer in trouble: a full disk, a broken database, a log that grows; and what it tells of itself. */
import assert from "node:assert/strict";
import { FLAG_DELETED } from "../../storage/changes.ts";
import { openReaderConnection } from "../../storage/database.ts";
import { metricsAsJson } from "../../telemetry/metrics.ts";
import { fileMessage } from "../lib/stored_message.ts";
import { TestStore } from "../lib/test_store.ts";

const TEXT = `Subject: hello\r\n\r\n${"body\r\n".repeat(500)}`;

async function metric(name: string): Promise<{ values: { value: number; metricName?: string }[] }> {
  const found = (await metricsAsJson()).find((metric) => metric.name === name);
  assert.ok(found, `there is a metric ${name}`);
  return found as never;
}

Deno.test("on a full disk mail is refused and can still be removed, until there is room again", async () => {
  let room = false;
  const calls: string[] = [];
  const reserve = {
    release: () => {
      calls.push("release");
      // As a file that is cut: the database may grow a little.
      t.writer.connection.exec("PRAGMA max_page_count = 1000000");
    },
    fill: () => room && calls.push("fill") > 0,
  };
  const t: TestStore = await TestStore.open({ writer: { reserve } });
  const inbox = t.mailboxId("alice", "INBOX");
  for (let i = 0; i < 5; i++) await fileMessage(t.store, inbox, TEXT);
  const queueTarget = {
    ...{ sender: "", accountId: null, envelopeId: "", ret: "" as const, eightBit: false, smtputf8: false },
    ...{ createdAt: 0, expiresAt: 1 },
    recipients: [{ recipient: "x@y.test", destination: "y.test", notify: "", originalRecipient: "" }],
  };
  const content = await t.content(TEXT);
  await t.ok({ kind: "deliver", content, targets: [], queue: queueTarget });
  const [recipient] = t.store.queue.due(1, { limit: 1, busy: [] } as never);
  const [pages] = t.writer.connection.prepare("PRAGMA page_count").raw().get() as [number];
  t.writer.connection.exec(`PRAGMA max_page_count = ${pages}`);

  // Rows grow until no page is left; removals in the same group still happen.
  const many = Array.from({ length: 60 }, (_, i) => ({
    kind: "create-mailbox" as const,
    accountId: t.accountId("alice"),
    name: `${"long name ".repeat(90)}${i}`,
    specialUse: null,
  }));
  const [created, flagged] = await Promise.all([
    Promise.all(many.map((op) => t.write(op))),
    t.write({
      ...{ kind: "store-flags", mailboxId: inbox, uids: [[1, 2]], mode: "add", flags: FLAG_DELETED },
      ...{ keywords: [], unchangedSince: null },
    }),
  ]);
  assert.ok(created.some((result) => !result.ok && result.fault === "disk-full"), "mailboxes are refused");
  assert.ok(flagged.ok, "flags run again in the reserve");
  assert.deepEqual(calls, ["release"]);
  assert.equal(await fileMessage(t.store, inbox, TEXT), null);
  const gone = await t.ok({ kind: "expunge", mailboxId: inbox, uids: null, onlyDeleted: true });
  assert.deepEqual(gone.kind === "expunged" && gone.uids, [1, 2]);
  await t.ok({ kind: "queue-control", action: "remove", recipientIds: [recipient!.recipientId], at: 0 });
  assert.equal((await metric("veredus_disk_full")).values[0]!.value, 1);

  room = true;
  const deadline = Date.now() + 5_000;
  while (await fileMessage(t.store, inbox, TEXT) === null) {
    assert.ok(Date.now() < deadline, "mail is taken again");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.deepEqual(calls, ["release", "fill"]);
  assert.equal((await metric("veredus_disk_full")).values[0]!.value, 0);
  assert.deepEqual(t.fatal, []);
  await t.close();
});

Deno.test("the reserve of a data folder is given up and filled again", async () => {
  const t = await TestStore.open();
  assert.equal(t.folder.fillReserve(), true);
  assert.equal(Deno.statSync(t.folder.reserve).size, 8 * 1024 * 1024);
  t.folder.releaseReserve();
  assert.equal(Deno.statSync(t.folder.reserve).size, 0);
  assert.equal(t.folder.fillReserve(), true);
  await t.close();
});

Deno.test("a broken database is fatal: everybody is refused, and nothing touches it again", async () => {
  const t = await TestStore.open();
  const inbox = t.mailboxId("alice", "INBOX");
  await fileMessage(t.store, inbox, TEXT);
  // Behind the connection's back: the log is gone, and pages of the database are garbage.
  t.writer.connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
  t.writer.connection.exec("PRAGMA cache_size = 0; PRAGMA shrink_memory");
  const size = Deno.statSync(t.folder.database).size;
  {
    using file = Deno.openSync(t.folder.database, { write: true });
    file.seekSync(4096, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array(size - 4096).fill(0x55));
  }
  const results = await Promise.all(
    [1, 2, 3].map(() => t.write({ kind: "expunge", mailboxId: inbox, uids: null, onlyDeleted: false })),
  );
  assert.ok(results.every((result) => !result.ok && result.fault === "unavailable"), JSON.stringify(results));
  assert.equal(t.fatal.length, 1);
  assert.match(t.fatal[0]!.message, /the writer cannot go on/);
  const later = await t.write({ kind: "expunge", mailboxId: inbox, uids: null, onlyDeleted: false });
  assert.ok(!later.ok && later.fault === "unavailable");
  assert.equal(t.fatal.length, 1);
  await t.close();
});

Deno.test("a log that a reader holds back raises the alarm, and it ends with the reader", async () => {
  const t = await TestStore.open({ writer: { walAlarmOctets: 4 * 1024 * 1024 } });
  const inbox = t.mailboxId("alice", "INBOX");
  const reader = openReaderConnection(t.folder.database);
  reader.exec("BEGIN");
  reader.prepare("SELECT count(*) FROM messages").raw().get();
  const alarm = async () => (await metric("veredus_wal_alarm")).values[0]!.value;
  for (let i = 0; i < 400 && await alarm() === 0; i++) await t.deliver(TEXT, [inbox]);
  assert.equal(await alarm(), 1);
  assert.ok((await metric("veredus_wal_octets")).values[0]!.value > 4 * 1024 * 1024);
  reader.exec("COMMIT");
  reader.close();
  t.writer.connection.prepare("PRAGMA wal_checkpoint(TRUNCATE)").raw().all();
  for (let i = 0; i < 400 && await alarm() !== 0; i++) await t.deliver(TEXT, [inbox]);
  assert.equal(await alarm(), 0);
  await t.close();
});

Deno.test("groups, commits and checkpoints are measured", async () => {
  const t = await TestStore.open();
  const inbox = t.mailboxId("alice", "INBOX");
  const count = async (name: string) =>
    (await metric(name)).values.find(({ metricName }) => metricName === `${name}_count`)?.value ?? 0;
  const before = await count("veredus_checkpoint_seconds");
  const content = { ...await t.content(TEXT), imap: new Uint8Array(200_000) };
  const target = { mailboxId: inbox, flags: 0, keywords: "", internalDate: 0, prefix: new Uint8Array(0) };
  const op = { kind: "deliver" as const, content, targets: [target], queue: null };
  for (let i = 0; i < 30 && await count("veredus_checkpoint_seconds") === before; i++) {
    await Promise.all(Array.from({ length: 20 }, () => t.ok(op)));
  }
  assert.ok(await count("veredus_checkpoint_seconds") > before, "a checkpoint ran");
  assert.ok(await count("veredus_commit_group_size") > 0);
  assert.ok(await count("veredus_commit_seconds") > 0);
  await t.close();
});
