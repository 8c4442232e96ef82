/** COPY and MOVE of many messages: in pieces, all or nothing, with others served between (RFC 3501 6.4.7, RFC 6851). */
import assert from "node:assert/strict";
import { PIECE_MESSAGES } from "../../server/imap/copy_move.ts";
import { QUIET_MS } from "../../server/imap/progress.ts";
import { openReaderConnection } from "../../storage/database.ts";
import { TestStore } from "../lib/test_store.ts";
import { type Harness, imapTest } from "./imap_harness.ts";

const MANY = 2 * PIECE_MESSAGES + 100;

/** Fills INBOX of alice by doubling: copies are the cheapest messages. */
async function fill(test: TestStore, count: number): Promise<void> {
  const inbox = test.mailboxId("alice", "INBOX");
  await test.deliver("Subject: x\r\n\r\nx\r\n", [inbox]);
  for (let have = 1; have < count;) {
    const more = Math.min(have, count - have);
    await test.ok({ kind: "copy", from: inbox, to: inbox, uids: [[1, more]], move: false });
    have += more;
  }
}

const messages = (h: Harness, name: string) =>
  h.test.store.mailboxes.byId(h.test.mailboxId("alice", name))!.messages;

imapTest("a COPY in pieces has one COPYUID, and is told while it lasts to those who watch", async (h) => {
  await fill(h.test, MANY);
  const client = await h.selected();
  const watcher = await h.selected("Archive");
  const reply = await client.ok("COPY 1:* Archive");
  assert.match(reply, new RegExp(`^OK \\[COPYUID \\d+ 1:${MANY} 1:${MANY}\\]`, "m"));
  assert.match(await watcher.ok("NOOP"), new RegExp(`^\\* ${MANY} EXISTS`, "m"));
  const moved = await client.ok("MOVE 1:* Trash");
  assert.match(moved, new RegExp(`^\\* OK \\[COPYUID \\d+ 1:${MANY} 1:${MANY}\\] Moved\r$`, "m"));
  assert.equal(messages(h, "INBOX"), 0);
});

imapTest("a COPY that fails half-way leaves nothing", async (h) => {
  await fill(h.test, MANY);
  await h.test.ok({
    kind: "put-account",
    account: { address: "alice@example.test", quotaMessages: MANY + PIECE_MESSAGES + 1 },
  });
  const client = await h.selected();
  assert.match(await client.command("COPY 1:* Archive"), /^NO \[OVERQUOTA\]/m);
  assert.equal(messages(h, "Archive"), 0);
  assert.equal(h.test.store.directory.usage(h.test.accountId("alice")).messages, MANY);
  await h.deliver("Subject: y\r\n\r\ny\r\n", { mailbox: "Archive" });
  assert.equal(messages(h, "Archive"), 1, "room is there again");
});

Deno.test("a COPY that was cut off is taken back when the data is opened again", async () => {
  const first = await TestStore.open();
  await fill(first, 10);
  const [from, to] = [first.mailboxId("alice", "INBOX"), first.mailboxId("alice", "Archive")];
  await first.deliver("Subject: mine\r\n\r\nmine\r\n", [to]);
  const piece = (uids: [number, number][], last: boolean) =>
    first.ok({ kind: "copy", from, to, uids, move: false, piece: { key: "k", last } });
  await piece([[1, 4]], false);
  await first.deliver("Subject: between\r\n\r\nbetween\r\n", [to]);
  await piece([[5, 8]], false);
  await first.close({ keep: true });
  const second = await TestStore.open({ path: first.folder.path });
  try {
    const index = (await second.store.mailboxes.open(to))!;
    assert.deepEqual(Array.from({ length: index.count }, (_, at) => index.uidAt(at)), [1, 6]);
    index.release();
    assert.equal(second.store.directory.usage(second.accountId("alice")).messages, 12);
    const connection = openReaderConnection(second.folder.database);
    const [left] = connection.prepare("SELECT count(*) FROM unfinished_copies").raw().get()!;
    assert.equal(left, 0);
    connection.close();
  } finally {
    await second.close();
  }
});

imapTest("a long COPY says how far it is", async (h) => {
  await fill(h.test, MANY);
  const client = await h.selected();
  const reply = await client.ok("COPY 1:* Archive");
  const told = [...reply.matchAll(/^\* OK \[INPROGRESS \("t\d+" (\d+) (\d+)\)\]/gm)];
  assert.deepEqual(told.map(([, done, goal]) => [done, goal]), [
    [String(PIECE_MESSAGES), String(MANY)],
    [String(2 * PIECE_MESSAGES), String(MANY)],
    [String(MANY - 1), String(MANY)],
  ]);
}, { now: steps(QUIET_MS) });

imapTest("how far a command is comes while it runs, not with its end", async (h) => {
  await fill(h.test, MANY);
  const client = await h.selected();
  let release = () => {};
  const gate = new Promise<void>((resolve) => release = resolve);
  const { store } = h.test;
  const write = store.write.bind(store);
  let copies = 0;
  store.write = async (op) => {
    if (op.kind === "copy" && ++copies === 2) await gate;
    return await write(op);
  };
  client.send("c COPY 1:* Archive\r\n");
  await client.until(/^\* OK \[INPROGRESS \("c" \d+ \d+\)\][^\r]*\r\n/m);
  assert.equal(client.pending, "");
  release();
  await client.until(/^c OK[^\r]*\r\n/m);
  store.write = write;
  // The next look at the disk waits for the client to have been told of those before it.
  const { messages } = store;
  const page = messages.page.bind(messages);
  let told = true;
  for (
    const command of [
      "SORT (SIZE) UTF-8 ALL",
      "THREAD REFERENCES UTF-8 ALL",
      "SEARCH SENTSINCE 1-Jan-2020",
    ]
  ) {
    let looks = 0;
    Object.assign(messages, {
      page: (...parameters: Parameters<typeof page>) => {
        if (++looks === 4) told &&= client.pending.includes("INPROGRESS");
        return page(...parameters);
      },
    });
    await client.ok(command);
    assert.ok(looks >= 4 && told, `${command}: ${looks} looks`);
  }
}, { now: steps(QUIET_MS) });

imapTest("so do MOVE, SORT, THREAD and SEARCH", async (h) => {
  await fill(h.test, MANY);
  const client = await h.selected();
  // RFC 9585 4: a tag with a bracket is not said.
  client.send("a]b SEARCH SENTSINCE 1-Jan-2020\r\n");
  assert.match(await client.until(/^a\]b OK/m), /^\* OK \[INPROGRESS \(NIL \d+ \d+\)\]/m);
  for (
    const command of [
      "SORT (SUBJECT) UTF-8 ALL",
      "THREAD REFERENCES UTF-8 ALL",
      "SEARCH SENTSINCE 1-Jan-2020",
      "MOVE 1:* Archive",
    ]
  ) {
    assert.match(await client.ok(command), /^\* OK \[INPROGRESS \("t\d+" \d+ \d+\)\]/m, command);
  }
}, { now: steps(QUIET_MS) });

/** A clock that goes on by so much at each look. */
function steps(ms: number): () => number {
  let time = Date.now();
  return () => time += ms;
}
