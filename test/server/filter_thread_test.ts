/** What is heavy is looked into by the filter's thread, from the segment, and nothing that befalls it or the message takes a verdict away. */
import assert from "node:assert/strict";
import { zipSync } from "fflate";
import { encode, encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { run } from "../../bytes/steps.ts";
import { placeOf } from "../../delivery/inbound/content.ts";
import { content } from "../../filter/checks/content.ts";
import { type Inspected, inspected } from "../../filter/content/attachments.ts";
import type { MessageSource } from "../../filter/message_source.ts";
import type { AssessRequest } from "../../filter/spam/assessor.ts";
import { inspectIn } from "../../server/attachments.ts";
import { DEFAULT_CHECK } from "../../server/config/defaults.ts";
import { FilterThread, SMALL_OCTETS } from "../../server/filter_thread.ts";
import { SpamFilter } from "../../server/spam_filter.ts";
import { SpooledOctets } from "../../storage/spooled_octets.ts";
import { CLIENT } from "../filter/content_source.ts";
import { until } from "../lib/program.ts";
import { TestStore } from "../lib/test_store.ts";

const WITHIN_MS = 60_000;
const { contentLimits: LIMITS } = DEFAULT_CHECK;
const OWN = "Received: ours\r\n";

/** Octets that do not shrink. */
function noise(octets: number): Uint8Array {
  const all = new Uint8Array(octets);
  for (let at = 0; at < octets; at += 65_536) crypto.getRandomValues(all.subarray(at, at + 65_536));
  return all;
}

function letter(files: Record<string, Uint8Array>): string {
  const packed = latin1(zipSync(files, { level: 1 }));
  const lines = btoa(packed).replace(/.{76}/g, "$&\r\n");
  return 'From: x@remote.test\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nhello\r\n--b\r\n' +
    'Content-Type: application/zip; name="a.zip"\r\nContent-Transfer-Encoding: base64\r\n\r\n' +
    `${lines}\r\n--b--\r\n`;
}

/** With a script behind `octets` of something else. */
const zipOf = (octets: number) => letter({ "a.dat": noise(octets), "b.js": encode("x") });

/** The message in a spool of the store, behind lines of ours, as checks get it; `touched` counts octets that this thread looks at. */
async function received(test: TestStore, message: string) {
  const spool = test.store.spool();
  const octets = encodeLatin1(OWN + message);
  for (let at = 0; at < octets.length; at += 60_000) {
    await spool.write(octets, at, Math.min(octets.length, at + 60_000));
  }
  let touched = 0;
  const source: MessageSource = {
    octets: message.length,
    headerOctets: message.indexOf("\r\n\r\n") + 4,
    read: (at, length) => {
      touched += length;
      return spool.read(OWN.length + at, Math.min(OWN.length + at + length, spool.octets));
    },
    held: (at, length) => {
      const held = spool.held(OWN.length + at, OWN.length + at + length);
      if (held !== null) touched += length;
      return held;
    },
    onDisk: () => placeOf(spool, OWN.length, spool.octets),
  };
  return { spool, source, touched: () => touched };
}

async function withThread(
  use: (test: TestStore, thread: FilterThread) => Promise<void>,
  options: { readonly deadlineMs?: number; readonly worker?: () => Worker } = {},
): Promise<void> {
  const test = await TestStore.open();
  const thread = new FilterThread({ data: test.folder.path, deadlineMs: WITHIN_MS, ...options });
  try {
    await use(test, thread);
  } finally {
    thread.close();
    await test.close();
  }
}

const look = async (thread: FilterThread | null, source: MessageSource): Promise<Inspected | null> =>
  await run(inspectIn(thread)(source, LIMITS));

Deno.test("a large message is read from its segment by the filter's thread, and the front end answers others meanwhile", async () => {
  await withThread(async (test, thread) => {
    const message = letter({
      "zeros": new Uint8Array(40_000_000),
      "noise": noise(3_000_000),
      "b.js": encode("x"),
    });
    const { spool, source, touched } = await received(test, message);
    let done = false;
    const looking = look(thread, source).finally(() => done = true);
    // Others are answered: their turns go on, and none of them has a piece of the work in it.
    let answered = 0;
    const channel = new MessageChannel();
    channel.port2.onmessage = () => channel.port2.postMessage("pong");
    while (!done) {
      const pong = new Promise((resolve) => channel.port1.onmessage = resolve);
      channel.port1.postMessage("ping");
      await pong;
      answered++;
    }
    channel.port1.close();
    channel.port2.close();
    const found = await looking;
    assert.equal(touched(), 0, "no octet of it is looked at in this thread");
    assert.ok(answered > 0);
    assert.deepEqual(found?.findings, [
      { kind: "script", path: "a.zip/b.js", what: "a script, by its name" },
    ]);
    assert.deepEqual(found, await run(inspected(source, LIMITS)), "the same verdict as in place");
    spool.discard();
  });
});

Deno.test("in place up to 16 kB, handed over once while in memory, read from the segment beyond: one verdict", async () => {
  await withThread(async (test, thread) => {
    for (const [size, handed] of [[1_000, "looked at"], [60_000, "once"], [600_000, "never"]] as const) {
      const message = zipOf(size);
      assert.equal(message.length <= SMALL_OCTETS, handed === "looked at");
      const { spool, source, touched } = await received(test, message);
      const found = await look(thread, source);
      if (handed !== "looked at") assert.equal(touched(), handed === "once" ? message.length : 0);
      assert.deepEqual(found?.findings.map(({ kind, path }) => [kind, path]), [["script", "a.zip/b.js"]]);
      assert.deepEqual(found, await look(null, source));
      // What is handed on may still be written to and stored.
      await spool.write(encode("more"), 0, 4);
      const blob = await spool.store({
        ...{ accounts: [], mailbox: "", internalDate: 0, traceId: "t", sender: "", recipients: [] },
      });
      assert.equal(
        latin1(await test.store.blobs.read(blob, 0, blob.length)),
        `${OWN}${message}more`,
      );
    }
  });
});

Deno.test("spam is assessed from the segment too, with and without a thread of its own", async () => {
  await withThread(async (test, thread) => {
    const message = `Subject: MAKE MONEY FAST!!!\r\n\r\n${"act now, dear friend\r\n".repeat(20_000)}`;
    const { spool, source } = await received(test, message);
    const place = await source.onDisk();
    assert.ok(place !== null);
    const around = { total: message.length, around: null, recipients: [], weights: {} };
    const asked: AssessRequest = { ...around, octets: encodeLatin1(message) };
    const scores = [];
    for (const own of [thread, null]) {
      const filter = new SpamFilter({ store: test.store, thread: own, deadlineMs: WITHIN_MS });
      for (const octets of [asked.octets, place]) {
        scores.push(await filter.assess({ ...around, octets }, WITHIN_MS));
      }
      await filter.close();
    }
    assert.ok(scores[0] !== null && scores[0]!.scores[0]!.score.points > 0);
    for (const score of scores) assert.deepEqual(score, scores[0]);
    spool.discard();
  });
});

for (const fate of ["dies", "hangs"]) {
  Deno.test(`a filter's thread that ${fate} in the middle leaves a mark, and the next message has another`, async () => {
    let started = 0;
    const worker = () =>
      new Worker(
        ++started === 1
          ? new URL(`./filter_worker_that.ts#${fate}`, import.meta.url)
          : new URL("../../server/filter_worker.ts", import.meta.url),
        { type: "module" },
      );
    await withThread(async (test, thread) => {
      const { spool, source } = await received(test, zipOf(600_000));
      const check = content({
        name: "content",
        actions: DEFAULT_CHECK.findings,
        limits: LIMITS,
        isRelay: () => false,
        inspect: inspectIn(thread),
      });
      const judged = async () =>
        await check.run({
          ...{ stage: "message", client: CLIENT, traceId: "t", sender: "", recipient: "", recipients: [] },
          ...{
            message: source,
            notes: new Map(),
            changes: null,
            findings: null,
            sent: null,
            staysHere: true,
          },
        });
      const together = await Promise.all([judged(), judged()]);
      for (const { action, reason, points } of together) {
        assert.deepEqual([action, reason, points], ["tag", "attachments were not looked at", 0]);
      }
      const seen = async () =>
        (await judged()).reason.endsWith("a script, by its name in a.zip/b.js") || null;
      await until("a verdict of another thread", seen, 120_000); // on a slow machine it may be late once more
      assert.ok(started >= 2);
      spool.discard();
    }, { worker, ...(fate === "hangs" && { deadlineMs: 5_000 }) });
  });
}

Deno.test("a spool that is discarded while it is read stays readable to its end, and is nobody else's", async () => {
  await withThread(async (test, thread) => {
    const message = zipOf(600_000);
    const first = await received(test, message);
    const place = (await first.source.onDisk())!;
    const { segments } = test.folder;
    using file = new SpooledOctets(segments, place);
    assert.equal(latin1(file.read(0, 1_000)), message.slice(0, 1_000));
    first.spool.discard();
    const gone = () => {
      try {
        new SpooledOctets(segments, place)[Symbol.dispose]();
        return false;
      } catch (error) {
        return error instanceof Error && error.name === "StorageError";
      }
    };
    while (!gone()) await new Promise((resolve) => setTimeout(resolve, 1));
    const next = await received(test, zipOf(700_000)); // takes the number over
    assert.equal((await next.source.onDisk())!.segment, place.segment);
    assert.equal(latin1(file.read(1_000, Infinity)), message.slice(1_000));

    // Through the thread: discarded the moment it was asked. Its answer is for nobody; the one after it is right.
    const last = await received(test, message);
    const lost = look(thread, last.source);
    last.spool.discard();
    await lost;
    assert.deepEqual((await look(thread, next.source))?.findings.map(({ kind }) => kind), ["script"]);
    next.spool.discard();
  });
});
