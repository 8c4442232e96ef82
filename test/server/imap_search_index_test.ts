/**
 * SEARCH beside the full-text index: with it, without it, with half of it and with a broken one, the answers are the
 * same. A model test: random messages, random changes, random searches by two servers on one store.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { IndexFolder } from "../../search/index_folder.ts";
import { IndexReader } from "../../search/index_reader.ts";
import { Indexer, type IndexerOptions, MAX_INDEXED_CHARACTERS } from "../../search/indexer.ts";
import { ALONE } from "../../search/pace.ts";
import { ExtractorFault } from "../../search/text_extractor.ts";
import { FakeExtractor, mail, withFiles } from "../search/fake_extractor.ts";
import { message, needleOf, Random } from "../search/messages.ts";
import { Harness, type TestClient } from "./imap_harness.ts";

const SEEDS = Number(Deno.env.get("VEREDUS_MODEL_SEEDS") ?? 6);

function literal(text: string): string {
  const octets = latin1(new TextEncoder().encode(text));
  return `{${octets.length}+}\r\n${octets}`;
}

function key(random: Random, depth = 0): string {
  const needle = literal(needleOf(random));
  switch (random.below(depth > 2 ? 7 : 12)) {
    case 0:
      return `SUBJECT ${needle}`;
    case 1:
      return `BODY ${needle}`;
    case 2:
      return `HEADER X-Word ${needle}`;
    case 3:
    case 4:
      return `TEXT ${needle}`;
    case 5:
      return `FUZZY TEXT ${needle}`;
    case 6:
      return `FUZZY (OR SUBJECT ${needle} OR BODY ${needle} HEADER X-Word ${needle})`;
    case 7:
      return `NOT ${key(random, depth + 1)}`;
    case 8:
      return `OR ${key(random, depth + 1)} ${key(random, depth + 1)}`;
    case 9:
      return `(SEEN ${key(random, depth + 1)})`;
    case 10:
      return `(${key(random, depth + 1)} ${key(random, depth + 1)})`;
    default:
      return `(OR UNSEEN ${key(random, depth + 1)} TEXT ${needle})`;
  }
}

function found(reply: string): string {
  return /^\* SEARCH[^\r]*/m.exec(reply)?.[0] ?? reply;
}

async function compare(
  clients: readonly [TestClient, TestClient],
  random: Random,
  times: number,
): Promise<void> {
  for (let i = 0; i < times; i++) {
    const search = `UID SEARCH CHARSET UTF-8 ${key(random)}`;
    const [without, withIt] = [found(await clients[0].ok(search)), found(await clients[1].ok(search))];
    assert.equal(withIt, without, JSON.stringify(search));
  }
}

/** A client of a server without indexes, and one with, on the same store; INBOX is selected. */
async function pair(harness: Harness): Promise<readonly [TestClient, TestClient]> {
  const plain = await harness.login();
  const indexed = await harness.login("alice", { indexes: true });
  for (const client of [plain, indexed]) await client.ok("SELECT INBOX");
  return [plain, indexed];
}

function indexerOf(harness: Harness, attachments: IndexerOptions["attachments"] = null): Indexer {
  return new Indexer({
    store: harness.test.store,
    folder: new IndexFolder(harness.test.folder.indexes),
    pace: ALONE,
    attachments,
    settleMs: 5,
    sweepMs: 50,
  });
}

async function fill(harness: Harness, random: Random, messages: number): Promise<void> {
  for (let i = 0; i < messages; i++) {
    await harness.deliver(message(random), {
      traceId: `t${random.below(1e9)}`,
      flags: random.below(2),
      prefix: encodeLatin1(
        random.below(2) ? `X-Prefix: ${random.words(1)}\r\n`.replace(/[^\x20-\x7e\r\n]/g, "?") : "",
      ),
    });
  }
}

Deno.test("searches answer the same with the index, without it and while it is behind", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const random = new Random(seed);
    const harness = await Harness.open();
    try {
      await fill(harness, random, 30);
      const clients = await pair(harness);
      await compare(clients, random, 5);
      const indexer = indexerOf(harness);
      indexer.start();
      await indexer.settle();
      await compare(clients, random, 15);
      for (let round = 0; round < 3; round++) {
        await fill(harness, random, 12);
        await compare(clients, random, 5); // it may be behind
        const [from, to] = [1 + random.below(20), 20 + random.below(20)];
        await clients[0].ok(`COPY ${from}:${to} Archive`);
        await clients[0].ok(`UID STORE ${from}:${from + 4} +FLAGS.SILENT (\\Deleted)`);
        await clients[0].ok("EXPUNGE");
        await clients[1].ok("NOOP");
        if (random.below(2) === 0) await indexer.settle();
        await compare(clients, random, 8);
      }
      await indexer.settle();
      for (const client of clients) await client.ok("SELECT Archive");
      await compare(clients, random, 10);
      await indexer.stop();
    } finally {
      await harness.close();
    }
  }
});

Deno.test("the index spares reading: only candidates are read, and the messages behind the index", async () => {
  const harness = await Harness.open();
  try {
    for (let i = 0; i < 40; i++) {
      await harness.deliver(`Subject: s${i}\r\n\r\nplain text ${i === 7 ? "rareword" : ""}\r\n`);
    }
    const indexer = indexerOf(harness);
    indexer.start();
    await indexer.settle();
    await indexer.stop();
    for (let i = 0; i < 3; i++) await harness.deliver(`Subject: late\r\n\r\nrareword too\r\n`);
    const client = await harness.login("alice", { indexes: true });
    await client.ok("SELECT INBOX");
    const { blobs } = harness.test.store;
    let reads = 0;
    const { readSync } = blobs;
    blobs.readSync = (...args) => {
      reads++;
      return readSync.apply(blobs, args);
    };
    assert.match(await client.ok("SEARCH BODY rareword"), /^\* SEARCH 8 41 42 43\r\n/);
    // Header for the key's first look and again with the body: three reads for each of the four.
    assert.ok(reads <= 12, `${reads} reads`);
    reads = 0;
    assert.match(await client.ok("SEARCH 1:40 TEXT nothinghasthis"), /^\* SEARCH\r\n/);
    assert.equal(reads, 0);
    assert.match(await client.ok("SEARCH 1:40 NOT BODY rareword"), /^\* SEARCH 1 2 3 4 5 6 7 9 /);
  } finally {
    await harness.close();
  }
});

Deno.test("a damaged index is moved aside, searches go on without it, and it is made again", async () => {
  const harness = await Harness.open();
  try {
    const random = new Random(5);
    await fill(harness, random, 40);
    const folder = new IndexFolder(harness.test.folder.indexes);
    const accountId = harness.test.accountId("alice");
    const first = indexerOf(harness);
    first.start();
    await first.settle();
    await first.stop();
    const size = Deno.statSync(folder.file(accountId)).size;
    for (const damage of ["zeros", "text", "short", "empty tables"] as const) {
      const file = folder.file(accountId);
      if (damage === "zeros") {
        const octets = Deno.readFileSync(file);
        Deno.writeFileSync(file, octets.fill(0, 4096 * 2));
      } else if (damage === "text") Deno.writeTextFileSync(file, "this is no database at all, ".repeat(1000));
      else if (damage === "short") Deno.truncateSync(file, 4096 * 3);
      else Deno.writeFileSync(file, Deno.readFileSync(file).fill(0x41, 100, 4096));
      const clients = await pair(harness);
      await compare(clients, random, 10);
      const indexer = indexerOf(harness);
      indexer.start();
      await indexer.settle();
      // Where no search met the damage the indexer does, at the next change or at once.
      await fill(harness, random, 1);
      for (const client of clients) await client.ok("NOOP");
      for (
        let wait = 0;
        wait < 100 && (folder.accounts().aside.length > 0 || folder.identity(accountId) === null);
        wait++
      ) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        await indexer.settle();
      }
      await compare(clients, random, 10);
      const state = await new IndexReader(folder).state(accountId);
      assert.ok(state !== null && state.messages >= 40, `${damage}: ${JSON.stringify(state)}`);
      assert.ok(state.octets >= size, damage);
      assert.deepEqual(folder.accounts().aside, [], damage);
      await indexer.stop();
    }
  } finally {
    await harness.close();
  }
});

Deno.test("the names of attachments are found, with the index and without", async () => {
  const harness = await Harness.open();
  try {
    const named = (fields: string) =>
      "Subject: s\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n" +
      `${fields}\r\n\r\n--b--\r\n`;
    await harness.deliver(named("Content-Type: image/png; name=kettle.png"));
    await harness.deliver(
      named("Content-Type: image/png\r\nContent-Disposition: attachment; filename=teapot.png"),
    );
    await harness.deliver(
      named(
        "Content-Type: image/png\r\nContent-Disposition: attachment; filename*=utf-8''%C3%9Cbersicht.png",
      ),
    );
    await harness.deliver(named('Content-Type: image/png; name="=?utf-8?q?=C3=9Cberfall.png?="'));
    for (let i = 0; i < 20; i++) await harness.deliver(`Subject: s\r\n\r\nplain ${i}\r\n`);
    const clients = await pair(harness);
    const indexer = indexerOf(harness);
    indexer.start();
    await indexer.settle();
    await indexer.stop();
    for (const client of clients) {
      for (
        const [key, uids] of [
          ["BODY ettle.p", " 1"],
          ["TEXT TEAPOT", " 2"],
          [`BODY ${literal("\u00fcber")}`, " 3 4"],
          ["FUZZY BODY ubers", " 3"],
          ['FUZZY TEXT "kettle png"', " 1"],
        ] as const
      ) assert.equal(found(await client.ok(`SEARCH CHARSET UTF-8 ${key}`)), `* SEARCH${uids}`, key);
    }
  } finally {
    await harness.close();
  }
});

Deno.test("attached files count like the text of a message where the index knows them", async () => {
  const harness = await Harness.open();
  try {
    await harness.deliver(mail("a kettle", "Cast iron: 12 kg. Höhe \u00a7 7"));
    await harness.deliver(mail("a teapot", "!encrypted"));
    for (let i = 0; i < 20; i++) await harness.deliver(`Subject: s\r\n\r\nplain ${i}\r\n`);
    const index = async () => {
      const indexer = indexerOf(harness, withFiles(new FakeExtractor()));
      indexer.start();
      await indexer.settle();
      await indexer.stop();
    };
    await index();
    await harness.deliver(mail("late", "cast iron"));
    const [plain, indexed] = await pair(harness);
    const search = async (client: TestClient, key: string) => found(await client.ok(`SEARCH ${key}`));
    for (
      const [key, uids] of [
        ['BODY "cast IRON"', " 1"],
        ['TEXT "st iro"', " 1"],
        ["TEXT kg", " 1"], // two characters: all are read
        ['1:3 NOT TEXT "cast iron"', " 2 3"],
        ["1 TEXT iron TEXT kettle", " 1"], // few messages: the index is not asked which
        ['HEADER Subject "iron"', ""],
        ['FUZZY BODY "iro cast"', " 1"],
        ['FUZZY TEXT "kettle cast"', " 1"],
        ['FUZZY TEXT "kettle hohe"', " 1"],
        ["FUZZY TEXT {13+}\r\nkettle ho\u0308he", " 1"],
        ["OR BODY iron BODY teapot", " 1 2"],
      ] as const
    ) {
      const charset = /[^ -~\r\n]/.test(key) ? "CHARSET UTF-8 " : "";
      assert.equal(
        await search(indexed, `${charset}${latin1(new TextEncoder().encode(key))}`),
        `* SEARCH${uids}`,
        key,
      );
    }
    assert.equal(await search(plain, 'BODY "cast iron"'), "* SEARCH");
    assert.equal(await search(plain, "OR BODY iron BODY teapot"), "* SEARCH 2");
    await index();
    assert.equal(await search(indexed, 'BODY "cast iron"'), "* SEARCH 1 23");
  } finally {
    await harness.close();
  }
});

Deno.test("files that wait in an index to be read are read by the search, where its message does not decide", async () => {
  const extractor = new FakeExtractor();
  const harness = await Harness.open({ extractor });
  try {
    await harness.deliver(mail("a kettle", "cast iron"));
    await harness.deliver(mail("a teapot of iron", "porcelain"));
    for (let i = 0; i < 20; i++) await harness.deliver(`Subject: s\r\n\r\nplain ${i}\r\n`);
    const indexer = indexerOf(harness); // files are not its business: they wait
    indexer.start();
    await indexer.settle();
    await indexer.stop();
    const client = await harness.login("alice", { indexes: true });
    await client.ok("SELECT INBOX");
    const searched = async (key: string) => {
      extractor.files.length = 0;
      return [found(await client.ok(`SEARCH ${key}`)), ...extractor.files];
    };
    assert.deepEqual(await searched('BODY "cast iron"'), ["* SEARCH 1", "cast iron", "porcelain"]);
    assert.deepEqual(await searched("TEXT iron"), ["* SEARCH 1 2", "cast iron"]);
    assert.deepEqual(await searched("FUZZY TEXT {11+}\r\nkettle iron"), [
      "* SEARCH 1",
      "cast iron",
      "porcelain",
    ]);
    assert.deepEqual(await searched("FUZZY BODY teapo"), ["* SEARCH 2", "cast iron"]);
    assert.deepEqual(await searched("NOT BODY iron SUBJECT s 1:3"), ["* SEARCH 3", "cast iron"]);
    assert.deepEqual(await searched("SUBJECT iron"), ["* SEARCH"]);
  } finally {
    await harness.close();
  }
});

Deno.test("files that wait in an index cost nothing where attached files are not searched", async () => {
  const harness = await Harness.open();
  try {
    for (let i = 0; i < 20; i++) await harness.deliver(mail("a kettle", "cast iron"));
    const indexer = indexerOf(harness);
    indexer.start();
    await indexer.settle();
    await indexer.stop();
    const client = await harness.login("alice", { indexes: true });
    await client.ok("SELECT INBOX");
    harness.test.store.blobs.readSync = () => assert.fail("a message is read");
    assert.match(await client.ok("SEARCH BODY iron"), /^\* SEARCH\r\n/);
  } finally {
    await harness.close();
  }
});

Deno.test("files of a message with too much text for the index are found, and read once", async () => {
  const extractor = new FakeExtractor();
  const harness = await Harness.open({ extractor });
  try {
    const long = "teapot ".repeat(MAX_INDEXED_CHARACTERS / 7 + 1);
    const longer = "teapot ".repeat(MAX_INDEXED_CHARACTERS); // so by its structure: it is not read to be indexed
    await harness.deliver(mail(long, "cast iron"));
    await harness.deliver(mail(longer, "cast iron", "brass"));
    await harness.deliver(mail(longer));
    for (let i = 0; i < 20; i++) await harness.deliver(`Subject: s\r\n\r\nplain ${i}\r\n`);
    const client = await harness.login("alice", { indexes: true });
    await client.ok("SELECT INBOX");
    const search = async (key: string) => found(await client.ok(`SEARCH ${key}`));
    const waiting = async () =>
      (await new IndexReader(new IndexFolder(harness.test.folder.indexes)).state(
        harness.test.accountId("alice"),
      ))?.waiting;
    const index = async (attachments: IndexerOptions["attachments"]) => {
      const indexer = indexerOf(harness, attachments);
      indexer.start();
      await indexer.settle();
      await indexer.stop();
    };
    await index(null);
    assert.equal(await waiting(), 2);
    assert.equal(await search('BODY "cast iron"'), "* SEARCH 1 2");
    const read = extractor.files.length;
    await index(withFiles(new FakeExtractor()));
    assert.equal(await waiting(), 0);
    assert.equal(await search('BODY "cast iron"'), "* SEARCH 1 2");
    assert.equal(await search("FUZZY TEXT bras"), "* SEARCH 2");
    assert.equal(await search("1:3 BODY teapot"), "* SEARCH 1 2 3");
    assert.equal(await search("BODY tin"), "* SEARCH");
    assert.equal(extractor.files.length, read, "the index knows all of it");
    await client.ok("UID STORE 1 +FLAGS.SILENT (\\Deleted)");
    await client.ok("UID COPY 2 Archive");
    await client.ok("EXPUNGE");
    await index(withFiles(new FakeExtractor()));
    assert.equal(await search("BODY iron"), "* SEARCH 1");
    await client.ok("SELECT Archive");
    assert.equal(await search("BODY iron"), "* SEARCH 1");
    assert.equal(extractor.files.length, read, "a copy is not read again");
  } finally {
    await harness.close();
  }
});

Deno.test("where the index is gone, or behind, a search reads attached files itself", async () => {
  const extractor = new FakeExtractor();
  const harness = await Harness.open({ extractor });
  try {
    await harness.deliver(mail("a kettle", "cast iron"));
    await harness.deliver(mail("a teapot", "!encrypted"));
    await harness.deliver("Subject: s\r\n\r\nplain\r\n");
    const [plain, indexed] = await pair(harness);
    const search = async (client: TestClient, key: string) => found(await client.ok(`SEARCH ${key}`));
    for (const client of [plain, indexed]) {
      assert.equal(await search(client, 'BODY "cast iron"'), "* SEARCH 1");
      assert.equal(await search(client, "FUZZY TEXT iro"), "* SEARCH 1");
      assert.equal(await search(client, "BODY kettle"), "* SEARCH 1");
    }
    const read = extractor.files.length;
    const indexer = indexerOf(harness, withFiles(new FakeExtractor()));
    indexer.start();
    await indexer.settle();
    await indexer.stop();
    assert.equal(await search(indexed, "BODY iron"), "* SEARCH 1");
    assert.equal(extractor.files.length, read, "the index knows all of it");
    await harness.deliver(mail("late", "cast iron"));
    await indexed.ok("NOOP");
    assert.equal(await search(indexed, "BODY iron"), "* SEARCH 1 4");
    assert.deepEqual(extractor.files.slice(read), ["cast iron"], "only what the index has not come to");
    extractor.fault = new ExtractorFault("none can be had");
    assert.equal(await search(indexed, "OR BODY iron BODY late"), "* SEARCH 1 4");
    assert.equal(await search(plain, "OR BODY iron BODY plain"), "* SEARCH 3");
  } finally {
    await harness.close();
  }
});
