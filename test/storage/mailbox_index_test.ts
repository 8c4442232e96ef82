/** The shared index against a plain model, and its memory. */
import assert from "node:assert/strict";
import type { Change, FlagState } from "../../storage/changes.ts";
import { SharedMailboxIndex } from "../../storage/mailbox_index.ts";
import { SqlMailboxes } from "../../storage/mailboxes.ts";
import { Random } from "../crash/random.ts";
import { TestStore } from "../lib/test_store.ts";

const ids = { accountId: 1, mailboxId: 1 };

function emptyIndex(): SharedMailboxIndex {
  const facts = { mailboxId: 1, uidNext: 1, uidValidity: 1, highestModSeq: 1 };
  return new SharedMailboxIndex(facts, () => {});
}

const noRows = { get: () => undefined } as never;

Deno.test("any sequence of changes leaves what a plain list of messages has", async () => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = new Random(seed);
    const index = emptyIndex();
    await index.load(noRows, 0);
    let model: FlagState[] = [];
    let uid = 0;
    const keywords = () => random.chance(0.6) ? "" : random.pick(["a", "a b", `k${random.between(1, 50)}`]);
    for (let modSeq = 2; modSeq < 120; modSeq++) {
      const chosen = model.filter(() => random.chance(0.2));
      let change: Change;
      const kind = random.between(0, 2);
      if (kind === 0 || chosen.length === 0) {
        const messages = [1, 2, 3].map(() => ({
          uid: ++uid,
          flags: random.between(0, 31),
          keywords: keywords(),
        }));
        model.push(...messages);
        change = { kind: "added", ...ids, modSeq, messages };
      } else if (kind === 1) {
        const messages = chosen.map((m) => ({
          uid: m.uid,
          flags: random.between(0, 31),
          keywords: keywords(),
        }));
        model = model.map((m) => messages.find((other) => other.uid === m.uid) ?? m);
        change = { kind: "flags", ...ids, modSeq, messages };
      } else {
        model = model.filter((m) => !chosen.includes(m));
        change = { kind: "expunged", ...ids, modSeq, uids: chosen.map((m) => m.uid) };
      }
      index.apply(change);
      const shown = Array.from({ length: index.count }, (_, i) => ({
        uid: index.uidAt(i),
        flags: index.flagsAt(i),
        keywords: index.keywordsAt(i),
      }));
      assert.deepEqual(shown, model, `seed ${seed}, change ${modSeq}`);
      assert.equal(index.uidNext, uid + 1);
      const since = random.between(1, modSeq);
      const later = model.filter((_, i) => index.modSeqAt(i) > since).map((message) => message.uid);
      assert.deepEqual(index.changedSince(since), later);
      const mask = random.between(0, 31), value = random.between(0, 31) & mask;
      const count = random.between(0, model.length), found: number[] = [];
      index.eachWithFlags({ mask, value }, count, (position) => found.push(position));
      const expected = [...model.keys()].slice(0, count).filter((at) => (model[at]!.flags & mask) === value);
      assert.deepEqual(found, expected, `seed ${seed}, change ${modSeq}`);
    }
  }
});

Deno.test("keywords that come and go do not pile up, and stay right", async () => {
  const index = emptyIndex();
  await index.load(noRows, 0);
  const messages = [1, 2, 3].map((uid) => ({ uid, flags: 0, keywords: "stays" }));
  index.apply({ kind: "added", ...ids, modSeq: 2, messages });
  for (let i = 0; i < 5_000; i++) {
    const message = { uid: 1 + i % 2, flags: 0, keywords: `k${i}` };
    index.apply({ kind: "flags", ...ids, modSeq: 3 + i, messages: [message] });
    const other = i === 0 ? "stays" : `k${i - 1}`;
    const expected = i % 2 === 0 ? [`k${i}`, other, "stays"] : [other, `k${i}`, "stays"];
    assert.deepEqual([0, 1, 2].map((at) => index.keywordsAt(at)), expected);
  }
});

Deno.test("what is loaded from rows is what the rows say, keywords included", async () => {
  const t = await TestStore.open();
  const inbox = t.mailboxId("alice", "INBOX");
  for (const keywords of ["", "a", "a b", "", "a"]) {
    await t.deliver("Subject: x\r\n\r\n", [inbox], { keywords });
  }
  const index = (await t.store.mailboxes.open(inbox))!;
  assert.deepEqual([0, 1, 2, 3, 4].map((i) => index.keywordsAt(i)), ["", "a", "a b", "", "a"]);
  index.release();
  await t.close();
});

Deno.test("sessions share an index; one that nobody has open any more hears of changes, and goes with its mailbox or for others", async () => {
  const t = await TestStore.open();
  const { mailboxes } = t.store;
  const inbox = t.mailboxId("alice", "INBOX");
  await t.deliver("Subject: x\r\n\r\n", [inbox]);
  const first = (await mailboxes.open(inbox))!;
  const beside = (await mailboxes.open(inbox))!;
  assert.equal(beside, first);
  for (const index of [first, beside]) index.release();
  await t.deliver("Subject: x\r\n\r\n", [inbox], { keywords: "a" });
  const again = (await mailboxes.open(inbox))!;
  assert.equal(again, first);
  assert.deepEqual([again.count, again.keywordsAt(1), again.uidNext], [2, "a", 3]);
  again.release();

  const accountId = t.accountId("alice");
  await t.ok({ kind: "create-mailbox", accountId, name: "Other", specialUse: null });
  const other = t.mailboxId("alice", "Other");
  (await mailboxes.open(other))!.release();
  await t.ok({ kind: "delete-mailbox", accountId, name: "Other" });
  assert.equal(await mailboxes.open(other), null);
  await t.close();
});

Deno.test("of indexes that nobody has open the one released longest ago makes room", async () => {
  const count = 60_000;
  const statements = {
    rows: (sql: string) => ({
      get(id: number, after: number, limit: number) {
        if (!sql.includes("json_group_array(uid)")) {
          return [id, 1, "x", 1, count + 1, 1, count, 0, 0, 0, 1, null, 1];
        }
        const uids = Array.from({ length: Math.min(limit, count - after) }, (_, i) => after + i + 1);
        return [uids, uids.map(() => 1), uids, {}].map((column) => JSON.stringify(column));
      },
    }),
  };
  const mailboxes = new SqlMailboxes(statements as never, { seen: () => [] } as never);
  const one = (await mailboxes.open(1))!;
  one.release();
  assert.equal(await mailboxes.open(1), one);
  one.release();
  const two = (await mailboxes.open(2))!;
  two.release();
  assert.equal(await mailboxes.open(2), two, "the last one stays");
  assert.notEqual(await mailboxes.open(1), one);
});

Deno.test("a million messages, each with a keyword, take under 40 octets each and are loaded in slices between which others have their turn", async () => {
  const rows = 1_000_000;
  const chunk = {
    get(_mailbox: number, after: number, limit: number) {
      const uids = Array.from({ length: Math.min(limit, rows - after) }, (_, i) => after + i + 1);
      const keywords = Object.fromEntries(uids.map((uid) => [uid, uid % 2 ? "NonJunk" : "$Junk other"]));
      const columns = [uids, uids.map(() => 1), uids, keywords];
      return columns.map((column) => JSON.stringify(column));
    },
  };
  const before = Deno.memoryUsage();
  const index = emptyIndex();
  let loading = true, turns = 0;
  const loaded = index.load(chunk as never, rows).finally(() => loading = false);
  while (loading) {
    await new Promise((resolve) => setImmediate(resolve));
    turns++;
  }
  await loaded;
  const after = Deno.memoryUsage();
  assert.ok(turns >= 100, `others had ${turns} turns while it was loaded`);
  assert.equal(index.count, rows);
  assert.deepEqual([0, 1, rows - 1].map((i) => index.keywordsAt(i)), [
    "NonJunk",
    "$Junk other",
    "$Junk other",
  ]);
  const octets = (after.external - before.external) / rows;
  // Arrays are counted as external memory, some of it allocated lazily.
  assert.ok(octets > 12 && octets < 40, `${octets} octets of arrays a message`);
});
