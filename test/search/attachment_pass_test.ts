/** Attached files and the index: they are read behind the messages, once, and never hold them up. */
import assert from "node:assert/strict";
import { IndexFolder } from "../../search/index_folder.ts";
import { ExtractorFault } from "../../search/text_extractor.ts";
import { Connection } from "../../storage/libsql.ts";
import { until } from "../lib/program.ts";
import { Bed } from "./bed.ts";
import { FakeExtractor, mail, withFiles } from "./fake_extractor.ts";

async function onBed(work: (bed: Bed, extractor: FakeExtractor) => Promise<void>): Promise<void> {
  const bed = await Bed.open();
  try {
    await work(bed, new FakeExtractor());
  } finally {
    await bed.close();
  }
}

async function waiting(bed: Bed): Promise<number | undefined> {
  return (await bed.reader.state(bed.test.accountId("alice")))?.waiting;
}

function at(bed: Bed) {
  const accountId = bed.test.accountId("alice");
  const { id, uidNext } = bed.test.store.mailboxes.byName(accountId, "INBOX")!;
  return { accountId, mailboxId: id, uidNext };
}

Deno.test("the text of files is found beside that of their message; files without any change nothing", async () => {
  await onBed(async (bed, extractor) => {
    await bed.deliver(mail("kettle", "spoon and", "teapot"));
    await bed.deliver(mail("kettle", "!encrypted", "!damaged"));
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    await bed.index(withFiles(extractor));
    assert.deepEqual(await bed.uids("kettle"), [1, 2, 3]);
    assert.deepEqual(await bed.uids("teapot"), [1]);
    assert.equal(await bed.reader.attachedText(at(bed), 1), "spoon and\nteapot");
    assert.equal(await bed.reader.attachedText(at(bed), 2), "");
    assert.equal(await bed.reader.attachedText(at(bed), 99), null);
    assert.equal(await waiting(bed), 0);
    await bed.index(withFiles(extractor));
    assert.equal(extractor.files.length, 4); // each once
  });
});

Deno.test("turned on later, it reads the files of older mail", async () => {
  await onBed(async (bed, extractor) => {
    await bed.deliver(mail("kettle", "teapot"));
    await bed.index();
    assert.deepEqual([await bed.uids("teapot"), await waiting(bed)], [[], 1]);
    await bed.index(withFiles(extractor));
    assert.deepEqual([await bed.uids("teapot"), await waiting(bed)], [[1], 0]);
    await bed.index(); // off again: what was read stays
    assert.deepEqual(await bed.uids("teapot"), [1]);
  });
});

Deno.test("copies share what was read; it goes with the last of them", async () => {
  await onBed(async (bed, extractor) => {
    await bed.deliver(mail("kettle", "teapot"));
    await bed.index(withFiles(extractor));
    const mailboxId = bed.test.mailboxId("alice", "INBOX"), to = bed.test.mailboxId("alice", "Archive");
    await bed.test.ok({ kind: "copy", from: mailboxId, to, uids: [[1, 1]], move: false });
    await bed.test.ok({ kind: "expunge", mailboxId, uids: [[1, 1]], onlyDeleted: false });
    await bed.index(withFiles(extractor));
    assert.deepEqual([await bed.uids("teapot"), await bed.uids("teapot", "Archive")], [[], [1]]);
    await bed.test.ok({ kind: "expunge", mailboxId: to, uids: [[1, 1]], onlyDeleted: false });
    await bed.index(withFiles(extractor));
    assert.deepEqual(await bed.uids("teapot", "Archive"), []);
    assert.deepEqual(extractor.files, ["teapot"]);
  });
});

Deno.test("a file that takes long holds no message up; a rebuild meanwhile begins anew", async () => {
  await onBed(async (bed, extractor) => {
    let open = () => {};
    extractor.gate = new Promise((resolve) => open = resolve);
    await bed.deliver(mail("kettle", "teapot"));
    const indexer = bed.indexer(withFiles(extractor));
    indexer.start();
    await until("a file is read", () => extractor.files.length === 1);
    await bed.deliver("Subject: a\r\n\r\nlater kettle\r\n");
    await until("the messages", async () => (await bed.uids("kettle"))?.length === 2);
    indexer.rebuild(bed.test.accountId("alice"));
    await bed.deliver("Subject: a\r\n\r\nlast kettle\r\n");
    await until("the messages", async () => (await bed.uids("kettle"))?.length === 3);
    open();
    await indexer.settle();
    assert.deepEqual(await bed.uids("teapot"), [1]);
    assert.equal(await waiting(bed), 0);
    await indexer.stop();
  });
});

Deno.test("where there is no extractor the files wait for one", async () => {
  await onBed(async (bed, extractor) => {
    await bed.deliver(mail("kettle", "teapot"));
    extractor.fault = new ExtractorFault("none");
    const indexer = bed.indexer(withFiles(extractor));
    indexer.start();
    await indexer.settle();
    assert.deepEqual([await bed.uids("kettle"), await waiting(bed)], [[1], 1]);
    extractor.fault = null;
    await until("the files", async () => (await waiting(bed)) === 0);
    assert.deepEqual(await bed.uids("teapot"), [1]);
    await indexer.stop();
  });
});

Deno.test("a message has so many files, characters and so much time, and no more", async () => {
  await onBed(async (bed, extractor) => {
    await bed.deliver(mail("m1", ...Array.from({ length: 25 }, (_, i) => `n${i}`)));
    await bed.deliver(mail("m2", "a".repeat(90), "b".repeat(90), "never"));
    await bed.deliver(mail("m3", "before", "!time", "never"));
    await bed.deliver(mail("m4", "x".repeat(20_000), "small"));
    await bed.index(withFiles(extractor));
    assert.equal(
      await bed.reader.attachedText(at(bed), 1),
      Array.from({ length: 20 }, (_, i) => `n${i}`).join("\n"),
    );
    assert.equal(await bed.reader.attachedText(at(bed), 2), `${"a".repeat(90)}\n${"b".repeat(10)}`);
    assert.equal(await bed.reader.attachedText(at(bed), 3), "before");
    assert.equal(await bed.reader.attachedText(at(bed), 4), "small");
    assert.ok(!extractor.files.includes("never"));
  });
});

Deno.test("a text that cannot be unpacked is damage: the index is made again", async () => {
  await onBed(async (bed, extractor) => {
    await bed.deliver(mail("kettle", "teapot"));
    await bed.index(withFiles(extractor));
    const folder = new IndexFolder(bed.test.folder.indexes);
    const accountId = bed.test.accountId("alice");
    const connection = new Connection(folder.file(accountId));
    connection.exec("UPDATE attached SET text = x'ff00ff'");
    connection.close();
    assert.equal(await bed.reader.attachedText(at(bed), 1), null);
    assert.equal(folder.identity(accountId), null);
    await bed.index(withFiles(extractor));
    assert.equal(await bed.reader.attachedText(at(bed), 1), "teapot");
  });
});
