/** Trouble below storage: whatever fails, and when, what was acknowledged is there and nothing else is half there. */
import assert from "node:assert/strict";
import { until } from "../lib/program.ts";
import { FactsBuilder } from "../../message/facts.ts";
import { recoverSegments } from "../../storage/data_folder.ts";
import { segmentName } from "../../storage/segment.ts";
import { StorageError } from "../../storage/store.ts";
import { verify } from "../../storage/verify.ts";
import type { NewContent, WriteOp } from "../../storage/ops.ts";
import { type Fault, FaultyFiles, type FileCall } from "../lib/faulty_files.ts";
import { fileMessage, storeMessage } from "../lib/stored_message.ts";
import { TestStore } from "../lib/test_store.ts";

const SEGMENT = { maxOctets: 16 * 1024, preallocateOctets: 2 * 1024 };
const LARGE = 300_000;

/** Every fifth is large enough for a segment of its own. */
function textOf(i: number): string {
  return `Subject: message ${i}\r\n\r\n${`line ${i}\r\n`.repeat(i % 5 === 0 ? LARGE / 8 : 40 + i)}`;
}

/** Delivers with the fault in force; returns what was acknowledged, and how many were refused. */
async function deliverWith(
  fault: Fault,
  count: number,
): Promise<{ t: TestStore; acknowledged: Map<number, string>; refused: number; hits: number }> {
  const files = new FaultyFiles();
  const t = await TestStore.open({ files, segment: SEGMENT });
  const inbox = t.mailboxId("alice", "INBOX");
  const acknowledged = new Map<number, string>();
  let refused = 0;
  files.set(fault);
  for (let group = 0; group < count; group += 4) {
    // Four at a time share a sync.
    await Promise.all([1, 2, 3, 4].map(async (j) => {
      const text = textOf(group + j);
      try {
        const uid = await fileMessage(t.store, inbox, text);
        if (uid === null) refused++;
        else acknowledged.set(uid, text);
      } catch (error) {
        assert.ok(error instanceof StorageError, String(error));
        assert.equal(error.full, fault.error === "ENOSPC" && !/given up/.test(error.message));
        refused++;
      }
    }));
  }
  const { hits } = files;
  files.set(null);
  return { t, acknowledged, refused, hits };
}

/** As after a crash: the folder is opened again, and everything acknowledged is read back. */
async function checkAfterRestart(t: TestStore, acknowledged: ReadonlyMap<number, string>): Promise<void> {
  await t.close({ keep: true });
  const again = await TestStore.open({ path: t.folder.path });
  const inbox = again.mailboxId("alice", "INBOX");
  assert.deepEqual(
    again.store.messages.maildrop(inbox, { after: 0, limit: 1_000 }).uids,
    [...acknowledged.keys()].sort((a, b) => a - b),
  );
  for (const [uid, text] of acknowledged) {
    const { blob } = again.store.messages.row(inbox, uid, { withImap: false })!;
    assert.equal(new TextDecoder().decode(await again.store.blobs.read(blob, 0, blob.length)), text);
  }
  const newFacts = () => new FactsBuilder();
  const { problems } = await verify({ folder: again.folder, fix: false, newFacts, progress: () => {} });
  assert.deepEqual(problems, []);
  await again.close();
}

const TABLE: { calls: FileCall[]; error: Fault["error"]; written?: number; upTo: number }[] = [
  { calls: ["write"], error: "EIO", written: 0, upTo: 30 },
  { calls: ["write"], error: "ENOSPC", written: 0.5, upTo: 30 },
  { calls: ["sync"], error: "EIO", upTo: 20 },
  { calls: ["directory"], error: "EIO", upTo: 5 },
  { calls: ["create"], error: "ENOSPC", upTo: 5 },
  { calls: ["truncate"], error: "EIO", upTo: 5 },
];

for (const { upTo, ...fault } of TABLE) {
  const what = `${fault.calls.join()} ${fault.error}${fault.written ? " after a part" : ""}`;
  Deno.test(`the n-th ${what} fails once: what was acknowledged stays, the rest is refused`, async () => {
    let hit = 0;
    for (let nth = 1; nth <= upTo; nth++) {
      const { t, acknowledged, refused, hits } = await deliverWith({ ...fault, nth }, 20);
      assert.equal(acknowledged.size + refused, 20);
      assert.ok(acknowledged.size >= 8, `n = ${nth}: deliveries go on afterwards, ${acknowledged.size} did`);
      hit += hits;
      await checkAfterRestart(t, acknowledged);
    }
    assert.ok(hit >= Math.min(upTo, 3), `${hit} faults happened`);
  });
}

for (const calls of [["write"], ["sync"], ["create"], ["directory"]] as FileCall[][]) {
  Deno.test(`every ${calls} fails from some moment on: refused until it is better, then taken again`, async () => {
    const fault = { calls, nth: 3, stays: true, error: "ENOSPC" } as const;
    const { t, acknowledged } = await deliverWith(fault, 20);
    const text = textOf(99);
    const uid = await fileMessage(t.store, t.mailboxId("alice", "INBOX"), text);
    assert.notEqual(uid, null);
    acknowledged.set(uid!, text);
    await checkAfterRestart(t, acknowledged);
  });
}

Deno.test("a sync that failed is never taken as done by a later one", async () => {
  const files = new FaultyFiles();
  const t = await TestStore.open({ files, segment: SEGMENT });
  const inbox = t.mailboxId("alice", "INBOX");
  await fileMessage(t.store, inbox, textOf(1));
  const { segment } = t.store.messages.row(inbox, 1, { withImap: false })!.blob;
  files.set({ calls: ["sync"], nth: 1, error: "EIO" });
  const stored = await storeMessage(t.store, textOf(2));
  const filed = await t.store.write(deliverTo(inbox, stored));
  assert.ok(!filed.ok && filed.fault === "unsynced");
  assert.equal(files.hits, 1);
  const again = await t.store.write(deliverTo(inbox, stored));
  assert.ok(!again.ok && again.fault === "unsynced", "nor is it when it is asked for again");
  assert.equal(await fileMessage(t.store, inbox, textOf(3)), 2);
  const after = t.store.messages.row(inbox, 2, { withImap: false })!.blob;
  assert.notEqual(after.segment, segment, "the segment whose sync failed takes nothing more");
  await checkAfterRestart(t, new Map([[1, textOf(1)], [2, textOf(3)]]));
});

function deliverTo(mailboxId: number, content: NewContent): WriteOp {
  const target = { mailboxId, flags: 0, keywords: "", internalDate: 0, prefix: new Uint8Array(0) };
  return { kind: "deliver", content, targets: [target], queue: null };
}

/** For what runs on the event loop, and for what runs beside it. */
const HANDLES_OF_A_FILE = 2;

/** Files of that folder that this process has open. */
function segmentHandles(folder: string): number {
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(folder);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      return false; // closed meanwhile
    }
  }).length;
}

Deno.test("a large message that cannot be stored leaves no file and no open handle", async () => {
  for (const calls of [["write"], ["sync"], ["truncate"], ["directory"]] as FileCall[][]) {
    for (let nth = 1; nth <= 3; nth++) {
      const files = new FaultyFiles();
      const t = await TestStore.open({ files, segment: SEGMENT });
      const count = () => [...Deno.readDirSync(t.folder.segments)].length;
      const handles = () => segmentHandles(t.folder.segments);
      await fileMessage(t.store, t.mailboxId("alice", "INBOX"), textOf(1));
      await until("the writer to let go of the segment", () => handles() === HANDLES_OF_A_FILE, 2_000);
      const before = [count(), handles()];
      files.set({ calls, nth, error: "EIO" });
      const stored = await storeMessage(t.store, textOf(5)).then(() => true, () => false);
      try {
        if (!stored) {
          const asBefore = () => count() === before[0] && handles() === before[1];
          await until(`${calls} ${nth} to leave nothing`, asBefore, 2_000);
        }
      } finally {
        files.set(null);
        await t.close();
      }
    }
  }
});

Deno.test("a sync of a large message while it comes in fails: it is refused, though all later syncs work", async () => {
  const files = new FaultyFiles();
  const t = await TestStore.open({ files, segment: SEGMENT });
  await fileMessage(t.store, t.mailboxId("alice", "INBOX"), textOf(1));
  const before = [...Deno.readDirSync(t.folder.segments)].length;
  const spool = t.store.spool();
  const piece = new Uint8Array(1024 * 1024).fill(0x61);
  files.set({ calls: ["sync"], nth: 1, error: "EIO" });
  const finished = async () => {
    for (let i = 0; i < 10; i++) await spool.write(piece, 0, piece.length);
    await spool.store({
      ...{ accounts: [], mailbox: "", internalDate: 0, traceId: "", sender: "", recipients: [] },
    });
  };
  await assert.rejects(finished, StorageError);
  assert.equal(files.hits, 1);
  files.set(null);
  spool.discard();
  const gone = () => [...Deno.readDirSync(t.folder.segments)].length === before;
  await until("its file is gone", gone, 2_000);
  await checkAfterRestart(t, new Map([[1, textOf(1)]]));
});

Deno.test("a segment cut at every octet of its last record keeps all records before", async () => {
  const t = await TestStore.open({ segment: { maxOctets: 1024 * 1024, preallocateOctets: 0 } });
  const inbox = t.mailboxId("alice", "INBOX");
  const texts = ["one", "two", "three"].map((word) => `Subject: ${word}\r\n\r\n${word}\r\n`);
  for (const text of texts) await fileMessage(t.store, inbox, text);
  const blobs = [1, 2, 3].map((uid) => t.store.messages.row(inbox, uid, { withImap: false })!.blob);
  const path = `${t.folder.segments}/${segmentName(blobs[0]!.segment)}`;
  const whole = Deno.readFileSync(path); // not sealed: as a crash leaves it
  await t.close({ keep: true });
  const lastStart = blobs[2]!.offset - 32;
  const lastEnd = whole.findLastIndex((octet) => octet !== 0) + 1;
  for (let length = lastStart; length <= whole.length; length++) {
    for (const fill of length < whole.length ? ["missing", "zeros"] : ["missing"]) {
      const torn = fill === "missing" ? whole.slice(0, length) : whole.slice();
      if (fill === "zeros") torn.fill(0, length);
      Deno.writeFileSync(path, torn);
      recoverSegments(t.folder);
      const recovered = Deno.readFileSync(path);
      // Padding behind the record does not matter to it.
      const intact = torn.length >= lastEnd && same(torn.subarray(0, lastEnd), whole.subarray(0, lastEnd));
      assert.equal(recovered.length > lastStart, intact, `${fill} from ${length}`);
      assert.deepEqual(recovered.subarray(64, lastStart), whole.subarray(64, lastStart), `cut at ${length}`);
    }
  }
  assert.deepEqual(Deno.readFileSync(path).subarray(64), whole.subarray(64));
  Deno.removeSync(t.folder.path, { recursive: true });
});

Deno.test("damage in the middle of a segment that was not sealed takes nothing behind it along", async () => {
  const t = await TestStore.open({ segment: { maxOctets: 1024 * 1024, preallocateOctets: 4096 } });
  const inbox = t.mailboxId("alice", "INBOX");
  for (let i = 1; i <= 4; i++) await fileMessage(t.store, inbox, textOf(i));
  const blobs = [1, 2, 3, 4].map((uid) => t.store.messages.row(inbox, uid, { withImap: false })!.blob);
  const path = `${t.folder.segments}/${segmentName(blobs[0]!.segment)}`;
  const whole = Deno.readFileSync(path);
  await t.close({ keep: true });
  for (const at of [0, blobs[1]!.offset - 30, blobs[1]!.offset + 5]) {
    const harmed = whole.slice();
    harmed[at]! ^= 0xff;
    Deno.writeFileSync(path, harmed);
    recoverSegments(t.folder);
    const recovered = Deno.readFileSync(path);
    const { offset, length } = blobs[3]!;
    assert.deepEqual(
      recovered.subarray(offset, offset + length),
      whole.subarray(offset, offset + length),
      `at ${at}`,
    );
  }
  Deno.removeSync(t.folder.path, { recursive: true });
});

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((octet, i) => octet === b[i]);
}
