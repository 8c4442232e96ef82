/** The indexer: catches up by itself, whatever happened before. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { IndexFile } from "../../search/index_file.ts";
import { IndexFolder } from "../../search/index_folder.ts";
import { IndexReader } from "../../search/index_reader.ts";
import { Indexer, MAX_INDEXED_CHARACTERS } from "../../search/indexer.ts";
import { ALONE } from "../../search/pace.ts";
import { substringQuery } from "../../search/query.ts";
import { Bed } from "./bed.ts";
import { message, needleOf, Random } from "./messages.ts";

const MORTAL = fileURLToPath(new URL("mortal_indexer.ts", import.meta.url));

Deno.test("what came and went while no indexer ran is caught up", async () => {
  const bed = await Bed.open();
  try {
    assert.equal(await bed.uids("kettle"), null);
    for (const word of ["kettle", "teapot", "kettle"]) {
      await bed.deliver(`Subject: a\r\n\r\none ${word} more\r\n`);
    }
    await bed.index();
    assert.deepEqual(await bed.uids("kettle"), [1, 3]);
    assert.deepEqual(await bed.uids("subject: a"), [1, 2, 3]);
    const mailboxId = bed.test.mailboxId("alice", "INBOX");
    const to = bed.test.mailboxId("alice", "Archive");
    await bed.test.ok({ kind: "expunge", mailboxId, uids: [[1, 1]], onlyDeleted: false });
    await bed.test.ok({ kind: "copy", from: mailboxId, to, uids: [[3, 3]], move: true });
    await bed.deliver("Subject: b\r\n\r\nkettles\r\n");
    assert.deepEqual((await bed.candidates("kettle"))?.through, 3); // behind, and says so
    await bed.index();
    assert.deepEqual(await bed.uids("kettle"), [4]);
    assert.deepEqual(await bed.uids("kettle", "Archive"), [1]);
    assert.deepEqual((await bed.reader.state(bed.test.accountId("alice")))?.messages, 3);
  } finally {
    await bed.close();
  }
});

Deno.test("a running indexer follows the changes; a copy is not read again", async () => {
  const bed = await Bed.open();
  try {
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    const indexer = bed.indexer();
    indexer.start();
    await indexer.settle();
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    await indexer.settle();
    assert.deepEqual(await bed.uids("kettle"), [1, 2]);
    const { blobs } = bed.test.store;
    const { readSync } = blobs;
    blobs.readSync = () => {
      throw new Error("read again");
    };
    const from = bed.test.mailboxId("alice", "INBOX"), to = bed.test.mailboxId("alice", "Archive");
    await bed.test.ok({ kind: "copy", from, to, uids: [[1, 2]], move: true });
    await indexer.settle();
    blobs.readSync = readSync;
    assert.deepEqual(await bed.uids("kettle"), []);
    assert.deepEqual(await bed.uids("kettle", "Archive"), [1, 2]);
    await indexer.stop();
  } finally {
    await bed.close();
  }
});

Deno.test("an indexer waits out a rush of new mail", async () => {
  const bed = await Bed.open();
  try {
    for (let i = 0; i < 120; i++) await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    const { store } = bed.test;
    const pace = { ...ALONE, rushMs: 60_000 };
    const indexer = new Indexer({ store, folder: bed.folder, pace, attachments: null, settleMs: 5 });
    indexer.start();
    await indexer.settle();
    const from = bed.test.mailboxId("alice", "INBOX"), to = bed.test.mailboxId("alice", "Archive");
    const begun = performance.now();
    await bed.test.ok({ kind: "copy", from, to, uids: [[1, 120]], move: false }); // so many at once are a rush
    await indexer.settle();
    assert.ok(performance.now() - begun >= 500);
    assert.equal((await bed.uids("kettle", "Archive"))?.length, 120);
    await indexer.stop();
  } finally {
    await bed.close();
  }
});

Deno.test("messages that come between the look at a mailbox and its rows are in once", async () => {
  const bed = await Bed.open();
  try {
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    await bed.deliver("Subject: b\r\n\r\nkettle\r\n");
    const { mailboxes } = bed.test.store;
    const { list } = mailboxes;
    let looks = 0;
    mailboxes.list = (accountId) => {
      const all = list.call(mailboxes, accountId);
      // The first look was before the second delivery.
      return looks++ > 0 ? all : all.map((one) => one.name === "INBOX" ? { ...one, uidNext: 2 } : one);
    };
    await bed.index();
    await bed.index();
    assert.ok(looks > 1);
    assert.deepEqual(await bed.uids("kettle"), [1, 2]);
    assert.deepEqual((await bed.reader.state(bed.test.accountId("alice")))?.messages, 2);
    const files = [...Deno.readDirSync(bed.test.folder.indexes)].map(({ name }) => name);
    assert.deepEqual(files.filter((name) => name.endsWith(".bad")), [], "nothing was damaged");
  } finally {
    await bed.close();
  }
});

Deno.test("mailboxes and accounts that are gone leave nothing behind", async () => {
  const bed = await Bed.open();
  try {
    const accountId = bed.test.accountId("alice");
    await bed.test.ok({ kind: "create-mailbox", accountId, name: "Work", specialUse: null });
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n", "Work");
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    await bed.index();
    assert.equal((await bed.reader.state(accountId))?.messages, 2);
    await bed.test.ok({ kind: "delete-mailbox", accountId, name: "Work" });
    await bed.index();
    assert.equal((await bed.reader.state(accountId))?.messages, 1);
    await bed.test.ok({ kind: "remove-account", address: "alice@example.test" });
    await bed.index();
    assert.deepEqual(
      [...Deno.readDirSync(bed.folder.path)].filter(({ name }) => name.startsWith(`${accountId}.`)),
      [],
    );
  } finally {
    await bed.close();
  }
});

/** Runs an indexer that is killed at the message of that place, or after some milliseconds. */
async function runMortal(
  bed: Bed,
  place: number | "some time" = 0,
): Promise<{ signal: string | null; text: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--no-check",
      "--unstable-net",
      MORTAL,
      bed.test.folder.path,
      ...typeof place === "number" ? [String(place)] : [],
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let text = "";
  for await (const part of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (place !== "some time" || !text.includes("started")) continue;
    await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill("SIGKILL");
    break;
  }
  return { signal: (await child.status).signal, text };
}

Deno.test("killed in the middle, again and again, it ends where one run ends", async () => {
  const bed = await Bed.open();
  try {
    const random = new Random(3);
    for (let i = 0; i < 600; i++) await bed.deliver(message(random)); // more than one page
    for (const place of [1, "some time", 500, 520, 50] as const) {
      const { signal, text } = await runMortal(bed, place);
      assert.equal(signal, "SIGKILL", `${place}: ${text}`);
    }
    assert.match((await runMortal(bed)).text, /done/);
    const fresh = new IndexFolder(`${bed.test.folder.path}/fresh`);
    const indexer = new Indexer({ store: bed.test.store, folder: fresh, pace: ALONE, attachments: null });
    indexer.start();
    await indexer.settle();
    await indexer.stop();
    const reader = new IndexReader(fresh);
    for (let i = 0; i < 100; i++) {
      const needle = needleOf(random);
      if (substringQuery(needle) === null) continue;
      assert.deepEqual(await bed.uids(needle), await bed.uids(needle, "INBOX", reader), needle);
    }
    reader.close();
  } finally {
    await bed.close();
  }
});

Deno.test("an index of a database that was put back is done again", async () => {
  const bed = await Bed.open();
  try {
    for (let i = 0; i < 3; i++) await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    await bed.index();
    const accountId = bed.test.accountId("alice"), mailboxId = bed.test.mailboxId("alice", "INBOX");
    const file = new IndexFile(bed.folder.file(accountId));
    const { modSeq } = file.progress(mailboxId);
    file.begin();
    file.setProgress(mailboxId, { through: 99, modSeq });
    file.commit();
    file.close();
    assert.equal(await bed.candidates("kettle"), null); // it speaks of messages that there never were
    await bed.deliver("Subject: a\r\n\r\nteapot\r\n");
    await bed.index();
    assert.deepEqual([await bed.uids("kettle"), await bed.uids("teapot")], [[1, 2, 3], [4]]);
    assert.equal((await bed.reader.state(accountId))?.messages, 4);
  } finally {
    await bed.close();
  }
});

Deno.test("a text that is too large is left to be looked at by every search", async () => {
  const bed = await Bed.open();
  try {
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    await bed.deliver(`Subject: a\r\n\r\n${"teapot ".repeat(MAX_INDEXED_CHARACTERS / 7 + 1)}\r\n`);
    const huge = "teapot ".repeat(MAX_INDEXED_CHARACTERS); // too large by its structure: it is not even read
    await bed.deliver(`Subject: a\r\n\r\n${huge}\r\n`);
    await bed.index();
    assert.deepEqual(await bed.uids("kettle"), [1, 2, 3]);
    assert.deepEqual(await bed.uids("nothing"), [2, 3]);
    const mailboxId = bed.test.mailboxId("alice", "INBOX");
    await bed.test.ok({ kind: "expunge", mailboxId, uids: [[2, 3]], onlyDeleted: false });
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    await bed.index();
    await bed.deliver("Subject: b\r\n\r\nkettle\r\n"); // its document has the number of one that is gone
    await bed.index();
    assert.deepEqual([await bed.uids("kettle"), await bed.uids("nothing")], [[1, 4, 5], []]);
  } finally {
    await bed.close();
  }
});

Deno.test("rebuild makes it anew; a file of another version too", async () => {
  const bed = await Bed.open();
  try {
    await bed.deliver("Subject: a\r\n\r\nkettle\r\n");
    await bed.index();
    const accountId = bed.test.accountId("alice");
    const before = bed.folder.identity(accountId);
    const indexer = bed.indexer();
    indexer.start();
    await indexer.settle();
    assert.equal(bed.folder.identity(accountId), before);
    indexer.rebuild(accountId);
    assert.equal(bed.folder.identity(accountId), null);
    assert.equal(await bed.uids("kettle"), null); // as without one
    await indexer.settle();
    assert.deepEqual(await bed.uids("kettle"), [1]);
    await indexer.stop();
    bed.reader.close(); // or it would keep the log, which hides what is written below
    await bed.index();
    using file = Deno.openSync(bed.folder.file(accountId), { write: true });
    file.seekSync(60, Deno.SeekMode.Start); // user_version
    file.writeSync(new Uint8Array([0, 0, 0, 9]));
    assert.equal(await new IndexReader(bed.folder).state(accountId), null);
    await bed.index();
    assert.deepEqual(await bed.uids("kettle"), [1]);
  } finally {
    await bed.close();
  }
});
