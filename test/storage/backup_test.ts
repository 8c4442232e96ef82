/** Copies of the data: whole whatever goes on meanwhile, or not there at all, and never at the cost of the data. */
import assert from "node:assert/strict";
import { Compactor } from "../../storage/compaction.ts";
import { lastBackup } from "../../storage/backup/backup.ts";
import { DataFolder } from "../../storage/data_folder.ts";
import { DENO_FILES } from "../../storage/files.ts";
import { DataLock } from "../../storage/lock.ts";
import { segmentName } from "../../storage/segment.ts";
import { copyData, inFolder, makeData, problemsOf, putBack, sumsOf } from "../lib/copied_data.ts";
import { fileMessage } from "../lib/stored_message.ts";
import { TestStore } from "../lib/test_store.ts";

const textOf = (i: number) => `From: a@b.test\r\nSubject: message ${i}\r\n\r\n${`body ${i}\r\n`.repeat(400)}`;
const LARGE = `Subject: large\r\n\r\n${`${"x".repeat(70)}\r\n`.repeat(8_000)}`;
const SMALL_SEGMENTS = { segment: { maxOctets: 64 * 1024, preallocateOctets: 16 * 1024 } };

async function withStore(
  work: (t: TestStore, place: string) => Promise<void>,
  options: Parameters<typeof TestStore.open>[0] = {},
): Promise<void> {
  await inFolder(async (place) => {
    const t = await TestStore.open({ path: `${place}/data`, ...options });
    try {
      await work(t, place);
    } finally {
      await t.close();
    }
  });
}

/** Octets of every message of a mailbox, by UID. */
function textsOf(t: TestStore, mailboxId: number): Map<number, string> {
  const rows = t.writer.connection.prepare(
    "SELECT m.uid, c.segment, c.offset, c.length FROM messages AS m JOIN contents AS c ON c.id = m.content_id WHERE m.mailbox_id = ?",
  ).raw().all(mailboxId) as [number, number, number, number][];
  return new Map(rows.map(([uid, segment, offset, length]) => {
    const octets = t.store.blobs.readSync({ segment, offset, length }, 0, length);
    return [uid, new TextDecoder().decode(octets)];
  }));
}

Deno.test("a copy made while mail comes in and goes has all that was acknowledged before, octet by octet", () =>
  withStore(async (t, place) => {
    const inbox = t.mailboxId("alice", "INBOX");
    const known = new Map<number, string>();
    for (let i = 1; i <= 100; i++) known.set((await fileMessage(t.store, inbox, textOf(i)))!, textOf(i));
    known.set((await fileMessage(t.store, inbox, LARGE))!, LARGE);
    const work = { goesOn: true, filed: 0 };
    const traffic = (async () => {
      const box = t.mailboxId("bob", "INBOX");
      for (let i = 0; work.goesOn; i++) {
        const text = i % 50 === 49 ? LARGE : textOf(i);
        const uid = await fileMessage(t.store, box, text);
        assert.ok(uid !== null);
        work.filed++;
        if (i % 3 === 0) {
          await t.ok({ kind: "expunge", mailboxId: box, uids: [[uid, uid]], onlyDeleted: false });
        }
      }
    })();
    const progress: number[] = [];
    try {
      for (let round = 1; round <= 5; round++) {
        const before = work.filed;
        const to = `${place}/copy${round}`;
        const report = await copyData(t.folder, to, {
          progress: ({ done, total }) => progress.push(total === 0 ? 0 : done / total),
        });
        assert.deepEqual(report.missing, []);
        assert.deepEqual(await problemsOf(to), []);
        assert.equal(progress.at(-1), 1);
        await new Promise((resolve) => setTimeout(resolve, 20));
        assert.ok(work.filed > before, "mail comes in meanwhile");
      }
    } finally {
      work.goesOn = false;
      await traffic;
    }
    await putBack(`${place}/copy5`, `${place}/back`);
    const back = await TestStore.open({ path: `${place}/back` });
    assert.deepEqual(textsOf(back, inbox), known);
    await back.close();
    const note = lastBackup(t.folder);
    assert.ok(note !== null && Date.now() - note.at < 60_000 && note.octets > 1_000_000);
  }, SMALL_SEGMENTS));

Deno.test("making a copy changes nothing of the data, and what can be made anew is left out", () =>
  withStore(async (t, place) => {
    await fileMessage(t.store, t.mailboxId("alice", "INBOX"), textOf(1));
    Deno.mkdirSync(`${t.folder.path}/trace`);
    Deno.writeTextFileSync(`${t.folder.path}/trace/2026-01-01.main.jsonl`, "{}\n");
    Deno.writeTextFileSync(`${t.folder.tls}/key.pem`, "key");
    Deno.mkdirSync(t.folder.indexes);
    Deno.writeTextFileSync(`${t.folder.indexes}/1.db`, "index");
    t.folder.fillReserve();
    const { "veredus.db-shm": _, ...before } = sumsOf(t.folder.path); // locks
    const { files } = await copyData(t.folder, `${place}/copy`);
    const { "backup.json": note, "backup.lock": lock, "veredus.db-shm": __, ...after } = sumsOf(
      t.folder.path,
    );
    assert.ok(note !== undefined && lock !== undefined);
    assert.deepEqual(after, before);
    const copied = Object.keys(sumsOf(`${place}/copy`)).sort();
    const wanted = ["manifest.jsonl", "segments/00000001.seg", "tls/key.pem", "trace/2026-01-01.main.jsonl"];
    assert.deepEqual(copied, [...wanted, "veredus.db"]);
    assert.equal(files, 4);
    for (const path of copied) {
      assert.equal(Deno.statSync(`${place}/copy/${path}`).mode! & 0o777, 0o600, path);
    }
    assert.equal(Deno.statSync(`${place}/copy`).mode! & 0o777, 0o700);
  }));

Deno.test("an open segment is copied as far as rows point into it, and says so in its header", () =>
  withStore(async (t, place) => {
    const inbox = t.mailboxId("alice", "INBOX");
    await fileMessage(t.store, inbox, textOf(1));
    await copyData(t.folder, `${place}/copy`);
    const open = Deno.statSync(`${t.folder.segments}/${segmentName(1)}`).size;
    const path = `${place}/copy/segments/${segmentName(1)}`;
    const { size } = Deno.statSync(path);
    assert.ok(size < open && size > textOf(1).length, `${size} of ${open}`);
    assert.equal(Number(new DataView(Deno.readFileSync(path).buffer).getBigUint64(8)), size);
  }));

Deno.test("compaction removes no file while a copy is made", () =>
  withStore(async (t) => {
    const inbox = t.mailboxId("alice", "INBOX");
    const uid = (await fileMessage(t.store, inbox, LARGE))!;
    await fileMessage(t.store, inbox, LARGE);
    await t.ok({ kind: "expunge", mailboxId: inbox, uids: [[uid, uid]], onlyDeleted: false });
    await new Promise((resolve) => setTimeout(resolve, 100)); // the reaper
    const options = { graceMs: 0, settledMs: 0, pauseMs: 0 };
    const compactor = new Compactor({ folder: t.folder, writer: t.writer, clock: Date.now, options });
    await compactor.run(); // sees for the first time that nothing points at it
    const lock = DataLock.take(t.folder.backupLock, "a test");
    assert.deepEqual((await compactor.run()).removedSegments, []);
    lock.release();
    assert.equal((await compactor.run()).removedSegments.length, 1);
    await compactor.stop();
  }));

Deno.test("a copy goes into an empty folder outside of the data, one at a time", () =>
  withStore(async (t, place) => {
    await fileMessage(t.store, t.mailboxId("alice", "INBOX"), textOf(1));
    await assert.rejects(copyData(t.folder, `${t.folder.path}/copy`), /lies in the data folder/);
    Deno.symlinkSync(t.folder.path, `${place}/link`);
    await assert.rejects(copyData(t.folder, `${place}/link/copy`), /lies in the data folder/);
    Deno.mkdirSync(`${place}/other`);
    Deno.writeTextFileSync(`${place}/other/file`, "kept");
    await assert.rejects(copyData(t.folder, `${place}/other`), /is not empty: name another/);
    assert.equal(Deno.readTextFileSync(`${place}/other/file`), "kept");
    Deno.mkdirSync(`${place}/empty`);
    await copyData(t.folder, `${place}/empty`);
    await assert.rejects(copyData(t.folder, `${place}/empty`), /holds a copy already/);
    assert.deepEqual(await problemsOf(`${place}/empty`), []);
    const lock = DataLock.take(t.folder.backupLock, "a test");
    await assert.rejects(
      copyData(t.folder, `${place}/second`),
      /a copy is being made already: .* process \d+/,
    );
    lock.release();
    assert.throws(() => Deno.statSync(`${place}/second`), Deno.errors.NotFound);
  }));

Deno.test("a copy that is stopped is removed, and the next one is made", () =>
  withStore(async (t, place) => {
    const inbox = t.mailboxId("alice", "INBOX");
    for (let i = 0; i < 20; i++) await fileMessage(t.store, inbox, LARGE);
    const stop = new AbortController();
    const progress = ({ done }: { done: number }) => done > 1_000_000 && stop.abort(new Error("enough"));
    await assert.rejects(
      copyData(t.folder, `${place}/new/copy`, { signal: stop.signal, progress }),
      /enough/,
    );
    assert.throws(() => Deno.statSync(`${place}/new/copy`), Deno.errors.NotFound);
    await copyData(t.folder, `${place}/new/copy`);
    assert.deepEqual(await problemsOf(`${place}/new/copy`), []);
  }));

Deno.test("a segment that was lost before is named, and everything else is copied", () =>
  withStore(async (t, place) => {
    const inbox = t.mailboxId("alice", "INBOX");
    await fileMessage(t.store, inbox, textOf(1));
    await fileMessage(t.store, inbox, LARGE);
    Deno.removeSync(`${t.folder.segments}/${segmentName(2)}`);
    assert.deepEqual((await copyData(t.folder, `${place}/copy`)).missing, [2]);
    assert.deepEqual((await problemsOf(`${place}/copy`)).map(({ kind }) => kind), ["record-missing"]);
  }));

Deno.test("a copy is no data folder: nothing works on it before it is put back", () =>
  withStore(async (t, place) => {
    await copyData(t.folder, `${place}/copy`);
    const before = sumsOf(`${place}/copy`);
    assert.throws(
      () => new DataFolder(`${place}/copy`).create(),
      /is a copy: .*veredus restore .*--in-place/,
    );
    assert.deepEqual(sumsOf(`${place}/copy`), before);
    await makeData(`${place}/copy`);
    new DataFolder(`${place}/copy`).create();
  }));

Deno.test("no copy is made of a copy, nor of half a restore: neither could be put back", () =>
  withStore(async (t, place) => {
    await copyData(t.folder, `${place}/copy`);
    const before = sumsOf(`${place}/copy`);
    await assert.rejects(copyData(new DataFolder(`${place}/copy`), `${place}/again`), /is a copy/);
    assert.deepEqual(sumsOf(`${place}/copy`), before);
    await putBack(`${place}/copy`, `${place}/half`);
    Deno.writeTextFileSync(`${place}/half/restoring`, "");
    await assert.rejects(copyData(new DataFolder(`${place}/half`), `${place}/again`), /cut off/);
    assert.throws(() => Deno.statSync(`${place}/again`), Deno.errors.NotFound);
  }));

Deno.test("names of new folders above a copy are durable too", () =>
  withStore(async (t, place) => {
    const synced = new Set<string>();
    const { syncDirectory } = DENO_FILES;
    DENO_FILES.syncDirectory = (path) => {
      synced.add(path);
      syncDirectory(path);
    };
    try {
      await copyData(t.folder, `${place}/2026/12/01`);
      await putBack(`${place}/2026/12/01`, `${place}/a/b/back`);
    } finally {
      DENO_FILES.syncDirectory = syncDirectory;
    }
    for (const path of ["", "/2026", "/2026/12", "/2026/12/01", "/a", "/a/b", "/a/b/back"]) {
      assert.ok(synced.has(`${place}${path}`), path);
    }
  }));

Deno.test("a path may hold what means something in a URL", () =>
  inFolder(async (place) => {
    const odd = `${place}/100% #1?mode=rw&x/dätä`;
    const t = await TestStore.open({ path: odd });
    await fileMessage(t.store, t.mailboxId("alice", "INBOX"), textOf(1));
    await copyData(t.folder, `${odd} copy`);
    await t.close({ keep: true });
    assert.deepEqual(await problemsOf(`${odd} copy`), []);
    await putBack(`${odd} copy`, `${odd} back`);
    assert.deepEqual(await problemsOf(`${odd} back`), []);
  }));

/** Writes each permission that the file has, from when it is there until the process is ended. */
const WATCH =
  "const seen = new Set(); for (;;) { try { const mode = Deno.statSync(Deno.args[0]).mode & 0o777; " +
  "if (!seen.has(mode)) { seen.add(mode); Deno.stdout.writeSync(new TextEncoder().encode(`${mode.toString(8)}\\n`)); } } catch {} }";

Deno.test("nobody else can read the database of a copy while it is written", () =>
  withStore(async (t, place) => {
    t.writer.connection.exec("CREATE TABLE filler (octets BLOB)");
    const fill = t.writer.connection.prepare("INSERT INTO filler VALUES (randomblob(1000000))");
    for (let i = 0; i < 60; i++) fill.run();
    Deno.mkdirSync(`${place}/copy`, { mode: 0o755 });
    const watch = new Deno.Command(Deno.execPath(), {
      args: ["eval", WATCH, `${place}/copy/veredus.db`],
      stdout: "piped",
    }).spawn();
    await new Promise((resolve) => setTimeout(resolve, 500)); // it looks
    await copyData(t.folder, `${place}/copy`);
    await new Promise((resolve) => setTimeout(resolve, 200));
    watch.kill("SIGKILL");
    assert.equal(new TextDecoder().decode((await watch.output()).stdout), "600\n");
  }));

/** Takes nearly every octet that is left. */
function fill(path: string): void {
  try {
    for (;;) Deno.writeFileSync(path, new Uint8Array(64 * 1024), { append: true });
  } catch (error) {
    assert.match(String(error), /No space left/);
  }
}

function run(command: string, ...args: string[]): boolean {
  return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
}

const small = Deno.makeTempDirSync({ prefix: "veredus-full-" });
const mounted = Deno.uid() === 0 && run("mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", small);
if (!mounted) Deno.removeSync(small);

Deno.test({
  name: "where the disk of the copy is full that is said, nothing is left there, and the data is unharmed",
  ignore: !mounted,
  fn: () =>
    withStore(async (t, place) => {
      try {
        const inbox = t.mailboxId("alice", "INBOX");
        for (let i = 0; i < 8; i++) await fileMessage(t.store, inbox, LARGE);
        const before = sumsOf(t.folder.segments);
        await assert.rejects(copyData(t.folder, small), /is full: \d+ octets are wanted, \d+ are free/);
        assert.deepEqual([...Deno.readDirSync(small)], []);
        // Somebody else takes the room meanwhile.
        await t.ok({ kind: "expunge", mailboxId: inbox, uids: [[3, 8]], onlyDeleted: false });
        await new Promise((resolve) => setTimeout(resolve, 100)); // the reaper
        const filler = `${small}/lost+found`;
        const progress = ({ total }: { total: number }) => {
          if (total > 0) Deno.writeFileSync(filler, new Uint8Array(1024 * 1024), { append: true });
        };
        await assert.rejects(copyData(t.folder, small, { progress }), /is full|No space left/);
        assert.deepEqual([...Deno.readDirSync(small)].map(({ name }) => name), ["lost+found"]);
        fill(filler);
        await assert.rejects(copyData(t.folder, small), /is full/); // the database
        assert.deepEqual([...Deno.readDirSync(small)].map(({ name }) => name), ["lost+found"]);
        assert.deepEqual(sumsOf(t.folder.segments), before);
        assert.ok(await fileMessage(t.store, inbox, textOf(1)) !== null);
        assert.deepEqual(await problemsOf(t.folder.path), []);
        await copyData(t.folder, `${place}/copy`);
      } finally {
        run("umount", "-l", small); // a closed connection keeps its file for a while
        Deno.removeSync(small);
      }
    }),
});
