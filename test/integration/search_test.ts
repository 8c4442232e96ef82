/** The indexer in the whole server, in each shape: behind deliveries, across a restart, anew on request. */
import assert from "node:assert/strict";
import { IndexFolder } from "../../search/index_folder.ts";
import { IndexReader } from "../../search/index_reader.ts";
import { DEFAULT_SEARCH } from "../../server/config/defaults.ts";
import { until } from "../lib/program.ts";
import { RunningServer } from "../lib/running_server.ts";
import { CHANNEL, policyOfThread, SCHED_IDLE } from "./scheduling.ts";

const ALICE = "alice@example.test";

/** Waits until the index of the first account holds so many messages, and of so many files wait to be read. */
async function indexed(server: RunningServer, messages: number, waiting = 0): Promise<number> {
  const reader = new IndexReader(new IndexFolder(server.server.folder.indexes));
  try {
    for (let wait = 0; wait < 300; wait++) {
      for (const accountId of new IndexFolder(server.server.folder.indexes).accounts().files) {
        const state = await reader.state(accountId);
        if (state?.messages === messages && state.waiting === waiting) return accountId;
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`no index of ${messages} messages`);
  } finally {
    reader.close();
  }
}

async function deliver(server: RunningServer, words: readonly string[]): Promise<void> {
  const client = await server.smtp();
  for (const word of words) {
    const { code } = await client.send(
      "x@elsewhere.test",
      [ALICE],
      `Subject: s\r\n\r\nsome ${word} text\r\n`,
    );
    assert.equal(code, 250);
  }
  await client.quit();
}

async function search(server: RunningServer, keys: string): Promise<string> {
  const client = await server.imap();
  await client.ok("SELECT INBOX");
  const { untagged } = await client.ok(`SEARCH ${keys}`);
  await client.logout();
  return untagged.map(({ line }) => line).find((line) => line.includes("SEARCH")) ?? "";
}

/** What a thread answers on the channel. */
async function answerOf(question: string): Promise<unknown> {
  const channel = new BroadcastChannel(CHANNEL);
  const answer = new Promise((resolve) => channel.onmessage = ({ data }) => resolve(data));
  channel.postMessage(question);
  try {
    return await answer;
  } finally {
    channel.close();
  }
}

Deno.test(
  { name: "the indexer's thread waits for an idle processor", ignore: Deno.build.os !== "linux" },
  async () => {
    const before = policyOfThread();
    const server = await RunningServer.start({
      threads: 1,
      entries: { indexer: new URL("./told_indexer.ts", import.meta.url) },
    });
    await deliver(server, ["kettle"]);
    await indexed(server, 1);
    assert.equal(await answerOf("policy?"), SCHED_IDLE);
    assert.equal(policyOfThread(), before);
    await server.stop();
  },
);

for (const threads of [0, 1, 2]) {
  Deno.test(`searches are narrowed by an index that keeps up by itself (threads: ${threads})`, async () => {
    let server = await RunningServer.start({ threads });
    const words = Array.from({ length: 20 }, (_, i) => i === 4 ? "kettle" : `w${i}`);
    await deliver(server, words);
    const accountId = await indexed(server, 20);
    assert.match(await search(server, "BODY kettle"), /SEARCH 5$/);
    assert.match(
      await server.server.metricsText(),
      /veredus_search_lookups_total\{outcome="answered"\} [1-9]/,
    );
    assert.match(await server.server.metricsText(), /veredus_search_index_octets [1-9]/);
    await server.stop({ keep: true });

    server = await RunningServer.start({
      threads,
      data: server.data,
      config: { search: { ...DEFAULT_SEARCH, index: false } },
    });
    assert.equal(server.server.rebuildIndex, null);
    await deliver(server, ["kettle"]);
    assert.match(await search(server, "TEXT ettl"), /SEARCH 5 21$/);
    await server.stop({ keep: true });

    server = await RunningServer.start({ threads, data: server.data });
    await indexed(server, 21);
    const folder = new IndexFolder(server.server.folder.indexes);
    const before = folder.identity(accountId);
    await server.server.rebuildIndex!(accountId);
    await indexed(server, 21);
    assert.notEqual(folder.identity(accountId), before);
    Deno.writeTextFileSync(folder.file(accountId), "no database ".repeat(2_000));
    assert.match(await search(server, "BODY kettle"), /SEARCH 5 21$/);
    await deliver(server, ["teapot"]);
    await indexed(server, 22);
    assert.match(await search(server, "BODY kettle"), /SEARCH 5 21$/);
    assert.deepEqual(server.fatal, []);
    await server.stop();
  });
}

for (const threads of [0, 1]) {
  Deno.test(`the text of attached files is searched (threads: ${threads})`, async () => {
    const server = await RunningServer.start({
      threads,
      config: { search: { ...DEFAULT_SEARCH, attachments: true } },
    });
    const client = await server.smtp();
    for (const file of ["word.docx", "plain.pdf", "locked.pdf"]) {
      const octets = Deno.readFileSync(new URL(`../search/files/${file}`, import.meta.url));
      const base64 = octets.toBase64().replace(/.{76}/g, "$&\r\n");
      const { code } = await client.send(
        "x@elsewhere.test",
        [ALICE],
        `Subject: f\r\nContent-Type: application/octet-stream; name=${file}\r\n` +
          `Content-Transfer-Encoding: base64\r\n\r\n${base64}\r\n`,
      );
      assert.equal(code, 250);
    }
    await client.quit();
    await indexed(server, 3);
    // The figures of all tests of this process: the thread that has them is behind everything else.
    for (const outcome of ["extracted", "encrypted"]) {
      const told = new RegExp(`_attachments_total\\{outcome="${outcome}"\\} [1-9]`);
      await until("the figures", async () => told.test(await server.server.metricsText()));
    }
    assert.match(await search(server, "BODY shearwater"), /SEARCH 1$/);
    assert.match(await search(server, 'TEXT "in the reeds of"'), /SEARCH 2$/);
    assert.match(await search(server, "FUZZY BODY bitter"), /SEARCH 2$/);
    assert.deepEqual(server.fatal, []);
    await server.stop();
  });
}
