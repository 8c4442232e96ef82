/** Putting a copy back: all of it or nothing, and nothing that the lost server gave since is given again. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DataFolder } from "../../storage/data_folder.ts";
import { openWriterConnection } from "../../storage/database.ts";
import { DataLock } from "../../storage/lock.ts";
import { MIGRATIONS } from "../../storage/migrations/mod.ts";
import { validityAfterRestore } from "../../storage/uid_validity.ts";
import { copyData, copySync, inFolder, makeData, problemsOf, putBack, sumsOf } from "../lib/copied_data.ts";
import { fileMessage, storeMessage } from "../lib/stored_message.ts";
import { TestStore } from "../lib/test_store.ts";

const textOf = (i: number) => `From: a@b.test\r\nSubject: message ${i}\r\n\r\nbody ${i}\r\n`;
const LARGE = `Subject: large\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(8_000)}`;
const SECOND = 1_000, DAY = 86_400 * SECOND;

/** Mail in INBOX and Work of alice, a queue with two recipients; `place/copy` is the copy of it. */
async function copied(place: string, after: (t: TestStore) => Promise<void> = async () => {}): Promise<void> {
  const t = await TestStore.open({ path: `${place}/data` });
  const accountId = t.accountId("alice");
  await t.ok({ kind: "create-mailbox", accountId, name: "Work", specialUse: null });
  for (let i = 1; i <= 3; i++) await fileMessage(t.store, t.mailboxId("alice", "INBOX"), textOf(i));
  await fileMessage(t.store, t.mailboxId("alice", "Work"), LARGE);
  await queue(t, ["one@other.test", "two@other.test"]);
  await copyData(t.folder, `${place}/copy`);
  await after(t);
  await t.close({ keep: true });
}

async function queue(t: TestStore, recipients: readonly string[]): Promise<void> {
  const content = await storeMessage(t.store, textOf(9));
  const entry = {
    sender: "alice@example.test",
    accountId: null,
    envelopeId: "",
    ret: "",
    eightBit: false,
  } as const;
  await t.ok({
    ...{ kind: "deliver", content, targets: [] },
    queue: {
      ...entry,
      ...{ smtputf8: false, createdAt: 1, expiresAt: Date.now() + DAY, tls: "", priority: 0 },
      recipients: recipients.map((recipient) => ({
        ...{
          recipient,
          destination: "other.test",
          notify: "",
          originalRecipient: "",
          nextAttemptAt: 1,
          held: false,
        },
      })),
    },
  });
}

async function withBack(path: string, work: (t: TestStore) => Promise<void> | void): Promise<void> {
  const t = await TestStore.open({ path });
  try {
    await work(t);
  } finally {
    await t.close({ keep: true });
  }
}

function validityOf(t: TestStore, name: string): number {
  return t.store.mailboxes.byName(t.accountId("alice"), name)!.uidValidity;
}

Deno.test("every name has a larger UIDVALIDITY than it ever had, also one that was made again after the copy", () =>
  inFolder(async (place) => {
    const used = new Map<string, number>();
    await copied(place, async (t) => {
      const accountId = t.accountId("alice");
      for (let round = 0; round < 40; round++) { // more than one a second
        await t.ok({ kind: "delete-mailbox", accountId, name: "Work" });
        await t.ok({ kind: "create-mailbox", accountId, name: "Work", specialUse: null });
      }
      await t.ok({ kind: "create-mailbox", accountId, name: "New", specialUse: null });
      for (const { name, uidValidity } of t.store.mailboxes.list(accountId)) used.set(name, uidValidity);
      await fileMessage(t.store, t.mailboxId("alice", "INBOX"), textOf(5));
    });
    const report = await putBack(`${place}/copy`, `${place}/back`);
    assert.equal(report.mailboxes, 13);
    assert.deepEqual(await problemsOf(`${place}/back`), []);
    await withBack(`${place}/back`, async (t) => {
      const accountId = t.accountId("alice");
      assert.equal(t.store.mailboxes.byName(accountId, "New"), null);
      for (const { name, uidValidity } of t.store.mailboxes.list(accountId)) {
        assert.equal(uidValidity, report.uidValidity);
        assert.ok(uidValidity > used.get(name)!, name);
      }
      await t.ok({ kind: "create-mailbox", accountId, name: "New", specialUse: null });
      assert.ok(validityOf(t, "New") > Math.max(used.get("New")!, report.uidValidity));
      await t.ok({ kind: "delete-mailbox", accountId, name: "Work" });
      await t.ok({ kind: "create-mailbox", accountId, name: "Work", specialUse: null });
      assert.ok(validityOf(t, "Work") > report.uidValidity);
      // A name given up with the value that all have is not taken over with that value.
      await t.ok({ kind: "delete-mailbox", accountId, name: "Archive" });
      await t.ok({ kind: "rename-mailbox", accountId, from: "Drafts", to: "Archive" });
      assert.ok(validityOf(t, "Archive") > report.uidValidity);
    });
  }));

Deno.test("the same copy put back again gives larger values still, at once, and where the copy forgot it a second later", () =>
  inFolder(async (place) => {
    await copied(place);
    const now = Date.now() + DAY;
    const at = (ms: number) => ({ clock: () => ms });
    const first = await putBack(`${place}/copy`, `${place}/first`, at(now));
    let used = 0;
    await withBack(`${place}/first`, async (t) => {
      const accountId = t.accountId("alice");
      for (let i = 0; i < 100; i++) {
        const made = await t.ok({ kind: "create-mailbox", accountId, name: `N${i}`, specialUse: null });
        used = made.kind === "mailbox" ? made.uidValidity : 0;
      }
      await copyData(t.folder, `${place}/copy2`, at(now + 5 * SECOND));
    });
    assert.ok(used > first.uidValidity);
    const second = await putBack(`${place}/copy`, `${place}/second`, at(now));
    assert.equal(second.unnoted, null);
    assert.ok(second.uidValidity > used);
    // A copy of what was put back: its own counter is ahead of the clock.
    const third = await putBack(`${place}/copy2`, `${place}/third`, at(now + 10 * SECOND));
    assert.ok(third.uidValidity > used + 100);
    Deno.removeSync(`${place}/copy2/restored.json`);
    const fourth = await putBack(`${place}/copy2`, `${place}/fourth`, at(now + 11 * SECOND));
    assert.equal(fourth.uidValidity, third.uidValidity + 1);
    const fifth = await putBack(`${place}/copy2`, `${place}/fifth`, {
      ...at(now + 12 * SECOND),
      above: 3_000_000_000,
    });
    assert.ok(fifth.uidValidity > 3_000_000_000);
  }));

Deno.test("UIDVALIDITY after a restore lies above clock, copy and what is known, and stays within 32 bits", () => {
  const now = 1_800_000_000;
  const base = { largest: 1_790_000_000, asOf: 1_795_000_000, now, above: 0 };
  const value = validityAfterRestore(base)!;
  assert.ok(value > now + 4_000_000 && value < now + 5_000_000);
  assert.ok(validityAfterRestore({ ...base, now: now + 1 })! > value);
  const ahead = { ...base, largest: 2_000_000_000 };
  assert.ok(validityAfterRestore(ahead)! > 2_000_000_000 + now - base.asOf);
  assert.ok(validityAfterRestore({ ...ahead, now: now + 1 })! > validityAfterRestore(ahead)!);
  for (let largest = 0xffff0000; largest < 0xfffffffe;) {
    const next = validityAfterRestore({ ...base, largest })!;
    assert.ok(next > largest && next <= 0xffffffff);
    largest = next;
  }
  assert.equal(validityAfterRestore({ ...base, largest: 0xffffffff }), null);
});

Deno.test("POP3 ids stay for messages of the copy, MAILBOXIDs change, numbers of the queue go on above", () =>
  inFolder(async (place) => {
    let before = 0;
    const numbers: number[] = [];
    await copied(place, async (t) => {
      before = validityOf(t, "INBOX");
      await queue(t, ["later@other.test"]);
      numbers.push(
        ...t.store.queue.list({}, { afterRecipientId: 0, limit: 10 }).map(({ queueId }) => queueId),
      );
    });
    const report = await putBack(`${place}/copy`, `${place}/back`);
    await withBack(`${place}/back`, async (t) => {
      const inbox = t.mailboxId("alice", "INBOX");
      const kept = [1, 2, 3].map((uid): [number, string] => [uid, `${before}.${uid}`]);
      assert.deepEqual([...t.store.messages.keptUidls(inbox)], kept);
      assert.equal(t.store.messages.keptUidls(t.mailboxId("alice", "Work")).size, 0);
      assert.equal(t.store.mailboxes.restoredAs, report.uidValidity);
      await queue(t, ["new@other.test"]);
      const [newest] = t.store.queue.list({ recipient: "new@other.test" }, {
        afterRecipientId: 0,
        limit: 10,
      });
      assert.ok(newest!.queueId > Math.max(...numbers) && Number.isInteger(newest!.queueId));
      assert.ok(newest!.recipientId > 1_000_000);
    });
    await putBack(`${place}/copy`, `${place}/again`);
    await withBack(`${place}/again`, (t) => {
      assert.equal(t.store.messages.keptUidls(t.mailboxId("alice", "INBOX")).get(1), `${before}.1`);
      assert.ok(t.store.mailboxes.restoredAs > report.uidValidity);
    });
  }));

Deno.test("the queue is held with a word why, and goes on when it is released", () =>
  inFolder(async (place) => {
    await copied(place);
    const { held, copiedAt } = await putBack(`${place}/copy`, `${place}/back`);
    assert.equal(held, 2);
    await withBack(`${place}/back`, async (t) => {
      const now = Date.now();
      assert.deepEqual(t.store.queue.due(now, { limit: 10, busy: [] }), []);
      const rows = t.store.queue.list({}, { afterRecipientId: 0, limit: 10 });
      assert.deepEqual(rows.map(({ state }) => state), ["held", "held"]);
      assert.equal(rows[0]!.lastReply, `held: from a copy of ${copiedAt}, it may have been sent since`);
      const recipientIds = rows.map(({ recipientId }) => recipientId);
      await t.ok({ kind: "queue-control", action: "release", recipientIds, at: now });
      assert.equal(t.store.queue.due(now, { limit: 10, busy: [] }).length, 2);
    });
  }));

Deno.test("data goes into an empty folder only, and the clock must not lie before the copy", () =>
  inFolder(async (place) => {
    await copied(place);
    const before = sumsOf(`${place}/data`);
    await assert.rejects(
      putBack(`${place}/copy`, `${place}/data`),
      /is not empty: move it away .*--in-place/,
    );
    assert.deepEqual(sumsOf(`${place}/data`), before);
    await assert.rejects(
      putBack(`${place}/data`, `${place}/x`),
      /manifest.jsonl is not there: this is no copy/,
    );
    await assert.rejects(putBack(`${place}/copy`, `${place}/x`, { clock: () => 1_000 }), /set the clock/);
    Deno.mkdirSync(`${place}/empty`);
    await putBack(`${place}/copy`, `${place}/empty`);
    await withBack(
      `${place}/empty`,
      (t) => assert.equal(t.store.messages.usage(t.accountId("alice")).messages, 4),
    );
  }));

/** The manifest with some of its lines changed, whole again. */
function rewrite(path: string, change: (lines: Record<string, unknown>[]) => void): void {
  const lines = Deno.readTextFileSync(path).trim().split("\n").map((line) => JSON.parse(line));
  const end = lines.pop();
  change(lines);
  const text = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  end.sha256 = createHash("sha256").update(text).digest("hex");
  Deno.writeTextFileSync(path, `${text}${JSON.stringify(end)}\n`);
}

const SEGMENT = "segments/00000001.seg";

function flip(path: string, at: number): void {
  const octets = Deno.readFileSync(path);
  octets[at]! ^= 1;
  Deno.writeFileSync(path, octets);
}

const DAMAGE: readonly [string, (copy: string) => void, RegExp][] = [
  [
    "a segment that was cut",
    (copy) => Deno.truncateSync(`${copy}/${SEGMENT}`, 100),
    /00000001.seg is damaged: it has 100/,
  ],
  [
    "an octet of a segment",
    (copy) => flip(`${copy}/${SEGMENT}`, 200),
    /00000001.seg is damaged: its SHA-256/,
  ],
  ["an octet of the database", (copy) => flip(`${copy}/veredus.db`, 5_000), /veredus.db is damaged/],
  ["a missing file", (copy) => Deno.removeSync(`${copy}/${SEGMENT}`), /00000001.seg is missing in the copy/],
  [
    "no manifest",
    (copy) => Deno.removeSync(`${copy}/manifest.jsonl`),
    /this is no copy made by .*, or half of one/,
  ],
  [
    "a manifest that was cut",
    (copy) => Deno.truncateSync(`${copy}/manifest.jsonl`, Deno.statSync(`${copy}/manifest.jsonl`).size - 10),
    /manifest.jsonl is damaged: it was cut off/,
  ],
  [
    "a manifest of another kind",
    (copy) => Deno.writeTextFileSync(`${copy}/manifest.jsonl`, "{}\n"),
    /does not begin/,
  ],
  ["a changed line", (copy) => flip(`${copy}/manifest.jsonl`, 60), /manifest.jsonl is damaged/],
  [
    "a newer schema",
    (copy) => rewrite(`${copy}/manifest.jsonl`, ([head]) => head!.schema = MIGRATIONS.length + 1),
    /the copy has schema \d+, this Veredus knows \d+: use version 1\.2\.3 or a newer one/,
  ],
  [
    "a newer format",
    (copy) => rewrite(`${copy}/manifest.jsonl`, ([head]) => head!.format = 2),
    /which is newer/,
  ],
  [
    "a path out of the folder",
    (copy) => rewrite(`${copy}/manifest.jsonl`, (lines) => lines[1]!.path = "../../etc/passwd"),
    /a line of it names no file/,
  ],
];

for (const [name, damage, words] of DAMAGE) {
  Deno.test(`${name}: refused, and no server starts on what there is`, () =>
    inFolder(async (place) => {
      await copied(place);
      damage(`${place}/copy`);
      await assert.rejects(putBack(`${place}/copy`, `${place}/back`), words);
      const folder = new DataFolder(`${place}/back`);
      const begun = [...Deno.readDirSync(place)].some(({ name }) => name === "back");
      if (begun) assert.throws(() => folder.create(), /cut off; run `veredus restore` again/);
      // Without its manifest it is a folder like any other.
      if (name !== "no manifest") await assert.rejects(makeData(`${place}/copy`), words);
    }));
}

Deno.test("a copy of an older schema is put back into the newest one", () =>
  inFolder(async (place) => {
    const folder = new DataFolder(`${place}/data`);
    folder.create();
    const connection = openWriterConnection(folder.database);
    for (const { statements } of MIGRATIONS.slice(0, 3)) for (const sql of statements) connection.exec(sql);
    connection.exec("PRAGMA user_version = 3");
    connection.exec(
      "INSERT INTO mailboxes VALUES (1, 1, 'INBOX', 7, 1, 1, 0, 0, 0, 0, 1, NULL, 1); " +
        "INSERT INTO accounts (id, address, domain, display_name, enabled, send_as, created_at) VALUES (1, 'alice@example.test', 'example.test', '', 1, '', 0)",
    );
    connection.close();
    await copyData(folder, `${place}/copy`);
    await putBack(`${place}/copy`, `${place}/back`);
    await withBack(`${place}/back`, (t) => assert.ok(validityOf(t, "INBOX") > Date.now() / 1_000));
  }));

Deno.test("a restore that was cut off at any place is begun again by the same command", () =>
  inFolder(async (place) => {
    await copied(place);
    for (let stopAt = 0; stopAt < 2; stopAt++) {
      const stop = new AbortController();
      let pieces = 0;
      const progress = () => pieces++ === stopAt && stop.abort(new Error("killed"));
      await assert.rejects(
        putBack(`${place}/copy`, `${place}/back`, { signal: stop.signal, progress }),
        /killed/,
      );
      assert.throws(() => new DataFolder(`${place}/back`).create(), /cut off/);
    }
    const { uidValidity } = await putBack(`${place}/copy`, `${place}/back`);
    // All was done but the last step.
    Deno.writeTextFileSync(new DataFolder(`${place}/back`).restoring, "");
    await assert.rejects(makeData(`${place}/back`), /half a restore: run `veredus restore DIR` again/);
    assert.ok((await putBack(`${place}/copy`, `${place}/back`)).uidValidity > uidValidity);
    await withBack(
      `${place}/back`,
      (t) => assert.equal(t.store.messages.usage(t.accountId("alice")).messages, 4),
    );
    assert.deepEqual(await problemsOf(`${place}/back`), []);
  }));

Deno.test("what was copied by other means is made the data in place: new UIDVALIDITYs, no index, the queue held", () =>
  inFolder(async (place) => {
    await copied(place);
    copySync(`${place}/data`, `${place}/snapshot`);
    Deno.mkdirSync(`${place}/snapshot/search`);
    Deno.writeTextFileSync(`${place}/snapshot/search/1.db`, "");
    let used = 0;
    await withBack(`${place}/data`, async (t) => {
      for (let i = 0; i < 30; i++) {
        const op = { accountId: t.accountId("alice"), name: "Again", specialUse: null };
        await t.ok({ kind: "create-mailbox", ...op });
        used = validityOf(t, "Again");
        await t.ok({ kind: "delete-mailbox", ...op });
      }
    });
    const report = await makeData(`${place}/snapshot`);
    assert.deepEqual([report.copiedAt, report.files, report.held], [null, 0, 2]);
    assert.ok(report.uidValidity > used);
    assert.throws(() => Deno.statSync(`${place}/snapshot/search`), Deno.errors.NotFound);
    assert.deepEqual(await problemsOf(`${place}/snapshot`), []);
    await withBack(`${place}/snapshot`, (t) => assert.equal(validityOf(t, "INBOX"), report.uidValidity));
    await assert.rejects(makeData(`${place}/nothing`), /holds no data/);
  }));

Deno.test("a copy with its manifest that was put there by hand is checked and made the data in place", () =>
  inFolder(async (place) => {
    await copied(place);
    copySync(`${place}/copy`, `${place}/hand`);
    await assert.rejects(TestStore.open({ path: `${place}/hand` }), /is a copy/);
    const report = await makeData(`${place}/hand`);
    assert.ok(report.files >= 2 && report.copiedAt !== null);
    await withBack(`${place}/hand`, (t) => assert.equal(validityOf(t, "Work"), report.uidValidity));
    const lock = DataLock.take(new DataFolder(`${place}/data`).lock, "a server");
    await assert.rejects(makeData(`${place}/data`), /in use by process .*: stop the server first/);
    lock.release();
  }));

Deno.test("making a copy the data in place goes on where it was cut off, and nothing else is put there meanwhile", () =>
  inFolder(async (place) => {
    await copied(place);
    copySync(`${place}/copy`, `${place}/hand`);
    await assert.rejects(makeData(`${place}/hand`, { clock: () => 1_000 }), /set the clock/);
    assert.throws(
      () => new DataFolder(`${place}/hand`).create(),
      /cut off; run `veredus restore --in-place` again/,
    );
    await assert.rejects(putBack(`${place}/copy`, `${place}/hand`), /is not empty/);
    const report = await makeData(`${place}/hand`);
    assert.ok(report.files >= 2 && report.copiedAt !== null);
    await withBack(`${place}/hand`, (t) => assert.equal(validityOf(t, "Work"), report.uidValidity));
    assert.deepEqual(await problemsOf(`${place}/hand`), []);
  }));

Deno.test("a copy that lies in the folder it is to be put into stays", () =>
  inFolder(async (place) => {
    await copied(place);
    const folder = new DataFolder(`${place}/back`);
    copySync(`${place}/copy`, `${folder.path}/copy`);
    Deno.writeTextFileSync(folder.restoring, "");
    Deno.symlinkSync(`${folder.path}/copy`, `${place}/link`);
    const before = sumsOf(folder.path);
    for (const from of [`${folder.path}/copy`, `${place}/link`]) {
      await assert.rejects(putBack(from, folder.path), /lies in .*back: move it elsewhere/);
    }
    assert.deepEqual(sumsOf(folder.path), before);
  }));
