/** Pages of messages: what they say is what the rows say; bounded in octets and age; read again for what came behind them. */
import assert from "node:assert/strict";
import { KnownPages, PAGE_UIDS, STALE_MS } from "../../storage/known_pages.ts";
import type { RawStatement } from "../../storage/libsql.ts";

const decoder = new TextDecoder();

/** A database whose mailboxes hold these UIDs; counts what is read. */
function bed(uids: number[], options: { maxOctets?: number } = {}) {
  const state = { reads: 0, now: 0 };
  const select = {
    get: (_mailbox: number, first: number, last: number) => {
      state.reads++;
      const some = uids.filter((uid) => uid >= first && uid <= last);
      const list = (of: (uid: number) => number | null) => JSON.stringify(some.map(of));
      const prefixes = some.map(prefixOf).join("");
      return [
        list((uid) => uid),
        list((uid) => uid * 1000),
        list((uid) => 100 + prefixOf(uid).length),
        list((uid) => uid % 2 === 0 ? null : uid * 2000),
        list(() => 3),
        list((uid) => uid * 128),
        list(() => 100),
        list(() => 40),
        prefixes === "" ? null : new TextEncoder().encode(prefixes),
      ];
    },
  } as unknown as RawStatement;
  return { state, pages: new KnownPages({ select: () => select, now: () => state.now, ...options }) };
}

function prefixOf(uid: number): string {
  return uid % 3 === 0 ? "" : `X: ${uid}\r\n`;
}

Deno.test("a page says of each message what its row says", () => {
  const { pages, state } = bed([1, 2, 3, 500, 511, 512]);
  const page = pages.of(1, { uid: 2, largest: 2 });
  assert.deepEqual([page.first, page.last], [0, PAGE_UIDS - 1]);
  for (const uid of [1, 2, 3, 500, 511]) {
    assert.equal(page.has(uid), true);
    const { prefix, ...row } = page.row(uid)!;
    assert.equal(decoder.decode(prefix), prefixOf(uid));
    const sentAt = uid % 2 === 0 ? null : uid * 2000;
    assert.deepEqual(row, {
      ...{ uid, internalDate: uid * 1000, sizeOctets: 100 + prefixOf(uid).length, sentAt },
      ...{ blob: { segment: 3, offset: uid * 128, length: 100 }, headerOctets: 40, imap: new Uint8Array(0) },
    });
    assert.deepEqual([page.internalDateOf(uid), page.sentAtOf(uid)], [uid * 1000, sentAt]);
  }
  assert.equal(page.row(4), null);
  assert.equal(page.has(510), false);
  assert.equal(pages.of(1, { uid: 512, largest: 512 }).row(512)?.uid, 512);
  assert.equal(state.reads, 2);
});

Deno.test("a page is read again when a message came behind it, and when it is old", () => {
  const uids = [1, 2];
  const { pages, state } = bed(uids);
  pages.of(1, { uid: 1, largest: 1 });
  pages.of(1, { uid: 2, largest: 2 });
  assert.equal(state.reads, 1);
  uids.push(3);
  assert.equal(pages.of(1, { uid: 3, largest: 3 }).has(3), true);
  assert.equal(state.reads, 2);
  state.now = STALE_MS - 1;
  pages.of(1, { uid: 3, largest: 3 });
  assert.equal(state.reads, 2);
  state.now = STALE_MS;
  pages.of(1, { uid: 3, largest: 3 });
  assert.equal(state.reads, 3);
  // The largest that is asked for counts, and once there is more behind a page nothing comes into it.
  uids.push(4, 600);
  assert.equal(pages.of(1, { uid: 1, largest: 4 }).has(4), true);
  assert.equal(state.reads, 4);
  pages.of(1, { uid: 1, largest: 600 });
  assert.equal(state.reads, 5);
  pages.of(1, { uid: 1, largest: 511 });
  pages.of(1, { uid: 1, largest: 700 });
  assert.equal(state.reads, 5);
});

Deno.test("pages of mailboxes are apart, and the one that was not used for longest goes", () => {
  const { pages, state } = bed([1, 600, 1200], { maxOctets: 9_000 }); // two of 4,096
  pages.of(1, { uid: 1, largest: 1 });
  pages.of(2, { uid: 1, largest: 1 });
  pages.of(1, { uid: 1, largest: 1 });
  assert.equal(state.reads, 2);
  pages.of(1, { uid: 600, largest: 600 }); // mailbox 2 goes
  pages.of(1, { uid: 1, largest: 1 });
  assert.equal(state.reads, 3);
  pages.of(2, { uid: 1, largest: 1 });
  assert.equal(state.reads, 4);
});
