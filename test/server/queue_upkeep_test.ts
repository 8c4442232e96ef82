/** What the queue's part does by itself now and then: the quarantine ends and is told of, DKIM keys get successors. */
import assert from "node:assert/strict";
import { localConfig } from "../../server/local_mode.ts";
import { QueuePart } from "../../server/queue_part.ts";
import { answersBuffer } from "../../server/shared_answers.ts";
import { newKeyPair } from "../../delivery/dkim_keys.ts";
import { until } from "../lib/program.ts";
import { TestStore } from "../lib/test_store.ts";

const DAY_MS = 86_400_000;

async function hold(test: TestStore, subject: string, expiresAt: number): Promise<void> {
  const now = Date.now();
  await test.ok({
    ...{
      kind: "deliver",
      content: { ...await test.content(`Subject: ${subject}\r\n\r\nbody\r\n`), subject },
      targets: [],
    },
    queue: {
      ...{ sender: "eve@remote.example", accountId: null, envelopeId: "", ret: "", eightBit: false },
      ...{ smtputf8: false, createdAt: now, expiresAt: now + DAY_MS },
      quarantine: { reason: "odd: looks odd", dangerous: false, expiresAt },
      recipients: [{
        ...{ recipient: "alice@example.test", destination: "local:held", notify: "", originalRecipient: "" },
      }],
    },
  });
}

Deno.test("the quarantine: what is too old goes, what is new is told once; keys that have signed for long get successors", async () => {
  const test = await TestStore.open();
  const { store } = test;
  await hold(test, "over", Date.now() - 1);
  await hold(test, "new", Date.now() + DAY_MS);
  for (const key of await newKeyPair("example.test", { known: [], now: 0, state: "signing" })) {
    await test.ok({ kind: "put-dkim-key", key });
  }
  const config = localConfig({
    ...{ data: test.folder.path, portOffset: 0, threads: 0, relay: null, address: "127.0.0.1" },
    logging: { level: "warning", format: "text", areas: {} },
  });
  const part = QueuePart.open({
    config: {
      ...config,
      quarantine: { ...config.quarantine, digest: true, url: "https://mail.example.test" },
      dkim: { ...config.dkim, rotateMs: 1 },
    },
    certificates: [],
    local: true,
  }, { writer: test.writer, answers: answersBuffer(config.resolver), upkeepMs: 20 });
  try {
    const held = () =>
      store.quarantine.list({}, { after: 0, limit: 9 }).map(({ messageId, told }) => `${messageId} ${told}`);
    const inbox = () =>
      store.messages.rows(test.mailboxId("alice", "INBOX"), [[1, 9]], { limit: 9, withImap: false });
    await until(
      "one has ended and the other is told of",
      () => /^\d+ true$/.test(held().join()) ? true : null,
    );
    await new Promise((resolve) => setTimeout(resolve, 200)); // ten more looks
    const texts = inbox().map(({ blob }) =>
      new TextDecoder().decode(store.blobs.readSync(blob, 0, blob.length))
    );
    // The note of new keys may be there already.
    const [digest, ...more] = texts.filter((text) => !text.includes("\r\nSubject: New DKIM keys "));
    assert.deepEqual(more, [], "once a day");
    assert.match(digest!, /Subject: new\r\n/);
    assert.doesNotMatch(digest!, /Subject: over/);
    assert.match(digest!, /https:\/\/mail\.example\.test\/quarantine\/\S+\r\n/);
    await until("successors wait", () => {
      const waiting = store.directory.dkimKeys("example.test").filter(({ state }) => state === "waiting");
      return waiting.length >= 2 ? true : null;
    });
  } finally {
    await part.drain(0);
    await test.close();
  }
});
