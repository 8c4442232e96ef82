/** Chosen header fields in memory: what was put is there, within a number of octets, and who reads too much for it does not empty it. */
import assert from "node:assert/strict";
import { encode } from "../../bytes/decode.ts";
import { FieldBlocks, fieldBlocks, REST_MS } from "../../server/imap/field_blocks.ts";
import type { Section } from "../../protocols/imap/fetch_plan.ts";
import type { KnownRow } from "../../storage/known_rows.ts";
import type { MessageRow } from "../../storage/messages.ts";
import type { BlobAddress } from "../../storage/ops.ts";
import type { Store } from "../../storage/store.ts";

Deno.test("blocks come back by mailbox, fields and UID", () => {
  const kept = new FieldBlocks({ now: () => 0 });
  const uids = Array.from({ length: 3_000 }, (_, at) => 1 + at * 7);
  const block = (key: string, uid: number) => encode(`${key}${uid}${"x".repeat(uid % 300)}\r\n\r\n`);
  for (const uid of uids) for (const key of ["1 A ", "1 B ", "2 A "]) kept.put(key, uid, block(key, uid));
  for (const uid of uids) {
    for (const key of ["1 A ", "1 B ", "2 A "]) assert.deepEqual(kept.get(key, uid), block(key, uid));
  }
  assert.equal(kept.get("1 A ", 2), null);
  assert.equal(kept.get("3 A ", 1), null);
});

Deno.test("the page that rested longest makes room, and none that was just used", () => {
  let now = 0;
  const kept = new FieldBlocks({ now: () => now, maxOctets: 20_000 });
  const block = new Uint8Array(1_000).fill(1);
  const fill = (key: string) => {
    for (let uid = 0; uid < 5; uid++) kept.put(key, uid, block);
  };
  fill("a");
  now += 10;
  fill("b");
  fill("c");
  assert.notEqual(kept.get("a", 4), null);
  assert.notEqual(kept.get("b", 4), null);
  assert.equal(kept.get("c", 0), null, "nothing has rested");
  now += REST_MS;
  assert.notEqual(kept.get("a", 0), null);
  now += 1;
  fill("c");
  assert.notEqual(kept.get("c", 4), null);
  assert.equal(kept.get("b", 0), null);
  assert.notEqual(kept.get("a", 0), null);
  kept.put("c", 9, new Uint8Array(100_000));
  assert.equal(kept.get("c", 9), null, "too long");
});

Deno.test("a header that is in memory with its row is gone through once, and its fields are kept", () => {
  const kept = new FieldBlocks({ now: () => 0 });
  const row = (uid: number, header: string): KnownRow => ({
    ...{ uid, internalDate: 0, sizeOctets: 0, sentAt: null, headerOctets: header.length },
    ...{ blob: { segment: 1, offset: 0, length: 0 }, prefix: new Uint8Array(0), imap: new Uint8Array(0) },
    ...{ header: encode(header) },
  });
  const rows = [row(1, "Subject: a\r\nTo: b\r\n\r\n"), null, row(9, "To: c\r\nSubject: d\r\n\r\n")];
  const store = { blobs: { readIntoSync: () => assert.fail("nothing is read") } } as unknown as Store;
  const section = {
    text: "HEADER.FIELDS",
    fields: new Set(["subject"]),
    part: [],
  } as const satisfies Section;
  const read = () =>
    fieldBlocks(store, kept, { mailboxId: 1, rows, section })
      .map((block) => block === null ? null : new TextDecoder().decode(block));
  const expected = ["Subject: a\r\n\r\n", null, "Subject: d\r\n\r\n"];
  assert.deepEqual(read(), expected);
  for (const one of rows) if (one !== null) one.header = encode("Subject: other\r\n\r\n");
  assert.deepEqual(read(), expected);
});

Deno.test("headers that lie far from each other, as those of many mailboxes filled at once, are read once", () => {
  const kept = new FieldBlocks({ now: () => 0 });
  const header = encode("Subject: a\r\nTo: b\r\n\r\n");
  let reads = 0;
  const readIntoSync = (blob: BlobAddress, _span: unknown, into: Uint8Array, at: number) => {
    assert.equal(blob.length, header.length);
    into.set(header, at);
    reads++;
  };
  const store = { blobs: { readIntoSync } } as unknown as Store;
  const rows = Array.from({ length: 3 }, (_, at): MessageRow => ({
    ...{ uid: at + 1, internalDate: 0, sizeOctets: 0, sentAt: null, headerOctets: header.length },
    ...{ blob: { segment: 1, offset: at * 100_000, length: 4_000 } },
    ...{ prefix: new Uint8Array(0), imap: new Uint8Array(0) },
  }));
  const section = { text: "HEADER.FIELDS", fields: new Set(["to"]), part: [] } as const satisfies Section;
  for (let round = 0; round < 2; round++) {
    const blocks = fieldBlocks(store, kept, { mailboxId: 1, rows, section });
    assert.deepEqual(blocks, rows.map(() => encode("To: b\r\n\r\n")));
    assert.equal(reads, rows.length);
  }
});
