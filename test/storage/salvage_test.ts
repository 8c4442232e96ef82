/** salvage: every intact message comes out, with and without the database; what is broken is listed. */
import assert from "node:assert/strict";
import { FLAG_FLAGGED, FLAG_SEEN } from "../../storage/changes.ts";
import { salvage, type SalvageReport } from "../../storage/salvage.ts";
import { segmentName } from "../../storage/segment.ts";
import { fileMessage, storeMessage } from "../lib/stored_message.ts";
import { TestStore } from "../lib/test_store.ts";

const textOf = (i: number) => `Subject: message ${i}\r\n\r\nbody ${i} ${"x".repeat(i * 37)}\r\n`;

/** Six messages in INBOX: 2 expunged, 3 moved to Archive; one in Sent of bob; one in the queue. */
async function closedStore(): Promise<
  { path: string; t: TestStore; first: { segment: number; offset: number } }
> {
  const t = await TestStore.open();
  const inbox = t.mailboxId("alice", "INBOX");
  for (let i = 1; i <= 6; i++) {
    await fileMessage(t.store, inbox, textOf(i), {
      flags: i === 1 ? FLAG_SEEN | FLAG_FLAGGED : 0,
      prefix: new TextEncoder().encode(`Delivered-To: ${i}\r\n`),
    });
  }
  const first = t.store.messages.row(inbox, 1, { withImap: false })!.blob;
  await t.ok({ kind: "expunge", mailboxId: inbox, uids: [[2, 2]], onlyDeleted: false });
  await t.ok({ kind: "copy", from: inbox, to: t.mailboxId("alice", "Archive"), uids: [[3, 3]], move: true });
  const salvaged = { accounts: ["bob@example.test"], mailbox: "Sent/2024" };
  await t.ok({
    kind: "create-mailbox",
    accountId: t.accountId("bob"),
    name: "Sent/2024",
    specialUse: null,
  });
  await fileMessage(t.store, t.mailboxId("bob", "Sent/2024"), textOf(7), { salvage: salvaged });
  const queued = { accounts: [], mailbox: "", sender: "alice@example.test", recipients: ["x@other.test"] };
  await t.ok({
    kind: "deliver",
    content: await storeMessage(t.store, textOf(8), queued),
    targets: [],
    queue: {
      ...{ sender: "alice@example.test", accountId: 1, envelopeId: "", ret: "" as const, eightBit: false },
      ...{ smtputf8: false, createdAt: 0, expiresAt: 1 },
      recipients: [{
        recipient: "x@other.test",
        destination: "other.test",
        notify: "",
        originalRecipient: "",
      }],
    },
  });
  await t.close({ keep: true });
  return { path: t.folder.path, t, first };
}

async function run(t: TestStore): Promise<{ report: SalvageReport; files: Map<string, string> }> {
  const to = Deno.makeTempDirSync({ prefix: "veredus-salvage-" });
  const report = await salvage({ folder: t.folder, to, progress: () => {} });
  const files = new Map<string, string>();
  const walk = (folder: string) => {
    for (const entry of Deno.readDirSync(folder)) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory) walk(path);
      else files.set(path.slice(to.length + 1), Deno.readTextFileSync(path));
    }
  };
  walk(to);
  Deno.removeSync(to, { recursive: true });
  return { report, files };
}

const folderOf = (files: Map<string, string>, folder: string) =>
  [...files].filter(([path]) => path.startsWith(`${folder}/cur/`)).map(([path, text]) => ({ path, text }))
    .sort((a, b) => a.text < b.text ? -1 : 1);

Deno.test("with the database messages are where they were, with flags and prefix", async () => {
  const { t, path } = await closedStore();
  const { report, files } = await run(t);
  assert.equal(report.withoutDatabase, null);
  assert.deepEqual(report.skipped, []);
  const inbox = folderOf(files, "alice@example.test");
  assert.deepEqual(
    inbox.map(({ text }) => text),
    [1, 4, 5, 6].map((i) => `Delivered-To: ${i}\r\n${textOf(i)}`),
  );
  assert.match(inbox[0]!.path, /^alice@example\.test\/cur\/1700000000\.\d+_\d+_0\.veredus:2,FS$/);
  assert.deepEqual(folderOf(files, "alice@example.test/.Archive").map(({ text }) => text), [
    `Delivered-To: 3\r\n${textOf(3)}`,
  ]);
  assert.deepEqual(folderOf(files, "alice@example.test/.Unreferenced").map(({ text }) => text), [textOf(2)]);
  assert.deepEqual(folderOf(files, "bob@example.test/.Sent.2024").map(({ text }) => text), [textOf(7)]);
  assert.deepEqual(folderOf(files, "queue").map(({ text }) => text), [textOf(8)]);
  const envelope = JSON.parse(files.get("queue.jsonl")!);
  assert.deepEqual([envelope.sender, envelope.recipients], ["alice@example.test", ["x@other.test"]]);
  Deno.removeSync(path, { recursive: true });
});

for (
  const [what, harm] of [
    ["missing", (path: string) => Deno.removeSync(path)],
    ["garbage", (path: string) => Deno.writeTextFileSync(path, "no database at all".repeat(1000))],
    ["cut", (path: string) => Deno.truncateSync(path, 20_000)],
  ] as const
) {
  Deno.test(`with a database that is ${what} every message comes from the segments`, async () => {
    const { t, path } = await closedStore();
    harm(t.folder.database);
    const { report, files } = await run(t);
    assert.notEqual(report.withoutDatabase, null);
    assert.deepEqual(
      folderOf(files, "alice@example.test").map(({ text }) => text),
      [1, 2, 3, 4, 5, 6].map(textOf),
    );
    assert.deepEqual(folderOf(files, "bob@example.test/.Sent.2024").map(({ text }) => text), [textOf(7)]);
    assert.deepEqual(folderOf(files, "queue").map(({ text }) => text), [textOf(8)]);
    Deno.removeSync(path, { recursive: true });
  });
}

Deno.test("a broken record is listed, the next is found and marked, the rest is as ever", async () => {
  const { t, path, first } = await closedStore();
  Deno.removeSync(t.folder.database);
  const file = `${t.folder.segments}/${segmentName(first.segment)}`;
  const octets = Deno.readFileSync(file);
  octets[first.offset - 20] = octets[first.offset - 20]! ^ 1; // the header of the first record
  octets[new TextDecoder("latin1").decode(octets).indexOf("body 5")]! ^= 1;
  Deno.writeFileSync(file, octets);
  const { report, files } = await run(t);
  assert.deepEqual(report.skipped.map(({ reason }) => reason), [
    "no record begins there",
    "its octets are damaged",
  ]);
  assert.deepEqual(folderOf(files, "alice@example.test").map(({ text }) => text), [3, 4, 6].map(textOf));
  assert.deepEqual(folderOf(files, "alice@example.test.Found behind damage").map(({ text }) => text), [
    textOf(2),
  ]);
  Deno.removeSync(path, { recursive: true });
});

Deno.test("names of accounts and mailboxes cannot leave the folder", async () => {
  const t = await TestStore.open();
  const salvaged = { accounts: ["../../x/..@example.test", ".@y"], mailbox: "../../etc/a.b" };
  await storeMessage(t.store, textOf(1), salvaged);
  await t.close({ keep: true });
  Deno.removeSync(t.folder.database);
  const { files } = await run(t);
  assert.deepEqual(
    [...files.keys()].filter((path) => !path.endsWith("/maildirfolder")).map((path) =>
      path.split("/").slice(0, -2).join("/")
    ).filter(Boolean).sort(),
    [
      "%2E.%2F..%2Fx%2F..@example.test/.%2E%2E.%2E%2E.etc.a%2Eb",
      "%2E@y/.%2E%2E.%2E%2E.etc.a%2Eb",
    ],
  );
  Deno.removeSync(t.folder.path, { recursive: true });
});

Deno.test("names that are too long for a file stay apart", async () => {
  const t = await TestStore.open();
  for (const end of ["a", "b"]) {
    const salvaged = { accounts: ["alice@example.test"], mailbox: `${"é/".repeat(200)}${end}` };
    await storeMessage(t.store, textOf(1), salvaged);
  }
  await t.close({ keep: true });
  Deno.removeSync(t.folder.database);
  const { report } = await run(t);
  assert.deepEqual([report.written, report.folders], [2, 2]);
  Deno.removeSync(t.folder.path, { recursive: true });
});

Deno.test("a folder that is not empty is refused", async () => {
  const { t, path } = await closedStore();
  await assert.rejects(salvage({ folder: t.folder, to: path, progress: () => {} }), /not empty/);
  Deno.removeSync(path, { recursive: true });
});
