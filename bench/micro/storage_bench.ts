/** What a delivery costs in storage: an append to the segment with its sync, and a commit of the writer's. */
import { TestStore } from "../../test/lib/test_store.ts";
import type { WriteOp } from "../../storage/ops.ts";

const test = await TestStore.open({ segment: { preallocateOctets: 512 * 1024 } });
const { store, writer } = test;
const account = store.directory.account("alice@example.test")!;
const mailboxId = store.mailboxes.inboxOf(account.id)!;
const octets = new Uint8Array(4096).fill(0x61);
const salvage = {
  accounts: [account.address],
  mailbox: "INBOX",
  internalDate: 1_700_000_000_000,
  traceId: "4k2j9x",
  sender: "someone@other.test",
  recipients: [account.address],
};

async function append(): Promise<void> {
  const spool = store.spool();
  await spool.write(octets, 0, octets.length);
  await spool.store(salvage);
}

const deliver: WriteOp = {
  kind: "deliver",
  content: {
    blob: { segment: 1, offset: 64, length: 4096 },
    headerOctets: 400,
    imap: new Uint8Array(600),
    preview: "invoice meeting project server report please thanks update",
    subject: "Bench message about quarterly figures",
    from: "Bench Sender <s@other.test>",
    messageId: "<1.2@bench.test>",
    references: "",
    sentAt: 1_700_000_000_000,
    traceId: "4k2j9x",
  },
  targets: [{
    mailboxId,
    flags: 0,
    keywords: "",
    internalDate: 1_700_000_000_000,
    prefix: new Uint8Array(60),
  }],
  queue: null,
};

function times(count: number, one: () => Promise<unknown>): Promise<unknown[]> {
  return Promise.all(Array.from({ length: count }, one));
}

Deno.bench("segment: one message of 4 kB appended and synced", { group: "segment" }, append);
Deno.bench("segment: 20 at once", { group: "segment" }, async () => {
  await times(20, append);
});
Deno.bench("writer: commit of one delivery", { group: "writer" }, async () => {
  await writer.submit(deliver);
});
Deno.bench("writer: group of 20", { group: "writer" }, async () => {
  await times(20, () => writer.submit(deliver));
});
Deno.bench("writer: group of 100", { group: "writer" }, async () => {
  await times(100, () => writer.submit(deliver));
});

addEventListener("unload", () => Deno.removeSync(test.folder.path, { recursive: true }));
