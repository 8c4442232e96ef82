/** Compaction: what lives stays readable under every address that a session may hold, what is dead gives its space back. */
import assert from "node:assert/strict";
import { Compactor } from "../../storage/compaction.ts";
import { DENO_FILES, type Files } from "../../storage/files.ts";
import { segmentName } from "../../storage/segment.ts";
import { FaultyFiles, type FileCall } from "../lib/faulty_files.ts";
import { fileMessage, storeMessage } from "../lib/stored_message.ts";
import { TestStore } from "../lib/test_store.ts";

const textOf = (i: number) => `Subject: message ${i}\r\n\r\n${`line ${i}\r\n`.repeat(300)}`;
const HOUR = 3_600_000;

class Bench {
  now = Date.now() + HOUR;
  readonly inbox: number;
  readonly t: TestStore;
  readonly compactor: Compactor;

  constructor(t: TestStore, files: Files) {
    this.t = t;
    this.inbox = t.mailboxId("alice", "INBOX");
    this.compactor = new Compactor({
      folder: t.folder,
      writer: t.writer,
      clock: () => this.now,
      files,
      options: { pauseMs: 0 },
    });
  }

  /** Files `count` messages in segments of about ten each. */
  static async open(count: number, files: Files = DENO_FILES): Promise<Bench> {
    const segment = { maxOctets: 32 * 1024, preallocateOctets: 0 };
    const bench = new Bench(await TestStore.open({ segment }), files);
    for (let i = 1; i <= count; i++) {
      assert.equal(await fileMessage(bench.t.store, bench.inbox, textOf(i)), i);
    }
    return bench;
  }

  async expunge(keep: (uid: number) => boolean): Promise<void> {
    const uids = this.t.store.messages.maildrop(this.inbox, { after: 0, limit: 1_000 }).uids.filter((uid) =>
      !keep(uid)
    );
    const ranges = uids.map((uid) => [uid, uid] as const);
    await this.t.ok({ kind: "expunge", mailboxId: this.inbox, uids: ranges, onlyDeleted: false });
    const rows = this.t.writer.connection.prepare("SELECT count(*) FROM contents WHERE refs = 0").raw();
    for (let i = 0; Number(rows.get()![0]) > 0; i++) {
      assert.ok(i < 100, "the reaper frees contents");
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  text(uid: number): string {
    const { blob } = this.t.store.messages.row(this.inbox, uid, { withImap: false })!;
    return new TextDecoder().decode(this.t.store.blobs.readSync(blob, 0, blob.length));
  }

  async close(): Promise<void> {
    await this.compactor.stop();
    await this.t.close();
  }

  segments(): number {
    return [...Deno.readDirSync(this.t.folder.segments)].length;
  }
}

Deno.test("live records of mostly dead segments move, and their old place stays readable for the grace", async () => {
  const bench = await Bench.open(60);
  await bench.expunge((uid) => uid % 10 === 0);
  const before = bench.segments();
  const held = bench.t.store.messages.row(bench.inbox, 10, { withImap: false })!.blob;
  const report = await bench.compactor.run();
  assert.ok(report.moved >= 5, `${report.moved} moved`);
  const now = bench.t.store.messages.row(bench.inbox, 10, { withImap: false })!.blob;
  assert.notEqual(now.segment, held.segment);
  for (const uid of [10, 20, 30, 40, 50, 60]) assert.equal(bench.text(uid), textOf(uid));
  assert.equal((await bench.compactor.run()).removedSegments.length, 0);
  bench.now += HOUR;
  assert.equal((await bench.compactor.run()).removedSegments.length, 0);
  assert.equal(new TextDecoder().decode(bench.t.store.blobs.readSync(held, 0, held.length)), textOf(10));
  bench.now += 2 * HOUR;
  const last = await bench.compactor.run();
  assert.ok(last.removedSegments.includes(held.segment));
  assert.ok(bench.segments() < before);
  assert.throws(() => Deno.statSync(`${bench.t.folder.segments}/${segmentName(held.segment)}`));
  for (const uid of [10, 20, 30, 40, 50, 60]) assert.equal(bench.text(uid), textOf(uid));
  await bench.close();
});

Deno.test("segments that mostly live are left alone", async () => {
  const bench = await Bench.open(40);
  await bench.expunge((uid) => uid % 10 !== 0);
  const report = await bench.compactor.run();
  assert.deepEqual([report.moved, report.removedSegments], [0, []]);
  await bench.close();
});

Deno.test("what was written to lately is not moved", async () => {
  const bench = await Bench.open(40);
  await bench.expunge((uid) => uid % 10 === 0);
  bench.now = Date.now();
  assert.equal((await bench.compactor.run()).moved, 0);
  await bench.close();
});

Deno.test("a message that is stored but not yet filed keeps its file", async () => {
  const bench = await Bench.open(5);
  const large = "Subject: large\r\n\r\n" + "x".repeat(600_000);
  const content = await storeMessage(bench.t.store, large);
  await fileMessage(bench.t.store, bench.inbox, large + "y"); // a newer segment than that one
  assert.equal((await bench.compactor.run()).waiting > 0, true);
  const target = {
    mailboxId: bench.inbox,
    flags: 0,
    keywords: "",
    internalDate: 0,
    prefix: new Uint8Array(0),
  };
  await bench.t.ok({ kind: "deliver", content, targets: [target], queue: null });
  bench.now += 3 * HOUR;
  await bench.compactor.run();
  bench.now += 3 * HOUR;
  await bench.compactor.run();
  const { blob } = bench.t.store.messages.row(bench.inbox, 7, { withImap: false })!;
  assert.equal(new TextDecoder().decode(await bench.t.store.blobs.read(blob, 0, blob.length)), large);
  await bench.close();
});

Deno.test("a message that is expunged while it is copied stays gone, and its copy counts as dead", async () => {
  const bench = await Bench.open(30);
  await bench.expunge((uid) => uid % 10 === 0);
  const { blob } = bench.t.store.messages.row(bench.inbox, 10, { withImap: false })!;
  const [id] = bench.t.writer.connection.prepare("SELECT id FROM contents WHERE segment = ? AND offset = ?")
    .raw()
    .get(blob.segment, blob.offset) as [number];
  await bench.expunge((uid) => uid !== 10);
  const to = { segment: 9_999, offset: 96, length: blob.length };
  const result = await bench.t.ok({ kind: "relocate", moves: [{ contentId: id, from: blob, to }] });
  assert.deepEqual(result, { ok: true, kind: "relocated", moved: 0 });
  const dead = bench.t.writer.connection.prepare("SELECT octets FROM segment_dead WHERE segment = 9999")
    .raw();
  assert.deepEqual(dead.get(), [blob.length]);
  await bench.close();
});

Deno.test("a damaged record stays where it is and the rest moves", async () => {
  const bench = await Bench.open(30);
  await bench.expunge((uid) => uid % 5 === 0);
  const { blob } = bench.t.store.messages.row(bench.inbox, 5, { withImap: false })!;
  {
    using file = Deno.openSync(`${bench.t.folder.segments}/${segmentName(blob.segment)}`, { write: true });
    file.seekSync(blob.offset + 10, Deno.SeekMode.Start);
    file.writeSync(new Uint8Array([0, 0, 0]));
  }
  const report = await bench.compactor.run();
  assert.equal(report.broken, 1);
  assert.deepEqual(bench.t.store.messages.row(bench.inbox, 5, { withImap: false })!.blob, blob);
  for (const uid of [10, 15, 20]) assert.equal(bench.text(uid), textOf(uid));
  await bench.close();
});

Deno.test("whatever fails while records are copied, nothing is lost and the next pass goes on", async () => {
  const files = new FaultyFiles();
  let hits = 0;
  for (const call of ["create", "directory", "write", "sync", "truncate"] as FileCall[]) {
    for (const nth of [1, 2]) {
      const bench = await Bench.open(30, files);
      try {
        await bench.expunge((uid) => uid % 10 === 0);
        files.set({ calls: [call], nth, error: "EIO" });
        await bench.compactor.run().catch((error) => assert.equal(error.name, "StorageError"));
        hits += files.hits;
        files.set(null);
        for (const uid of [10, 20, 30]) assert.equal(bench.text(uid), textOf(uid), `${call} ${nth}`);
        const removed: number[] = [];
        for (let pass = 1; pass <= 3; pass++) {
          bench.now += 3 * HOUR;
          removed.push(...(await bench.compactor.run()).removedSegments);
        }
        assert.ok(removed.length > 0, `${call} ${nth}: space comes back`);
        for (const uid of [10, 20, 30]) assert.equal(bench.text(uid), textOf(uid), `${call} ${nth}`);
      } finally {
        await bench.close();
      }
    }
  }
  assert.ok(hits >= 6, `${hits} faults happened`);
});
