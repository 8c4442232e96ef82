/** What is made ready for RETR, and of how many sessions. */
import assert from "node:assert/strict";
import { Out } from "../../bytes/out.ts";
import type { Readable } from "../../server/pop3/held_messages.ts";
import { ReadAhead } from "../../server/pop3/read_ahead.ts";
import { type BlobReader, StorageError } from "../../storage/store.ts";

const TEXT = new TextEncoder().encode("Subject: x\r\n\r\n.dot\r\n");
const RESPONSE = `+OK ${TEXT.length} octets\r\nSubject: x\r\n\r\n..dot\r\n.\r\n`;

const message = (length = TEXT.length): Readable => ({
  sizeOctets: length,
  blob: { segment: 1, offset: 0, length },
  headerOctets: 12,
  prefix: new Uint8Array(0),
});

function blobs(
  read: (into: Uint8Array, at: number) => void,
): { readonly blobs: BlobReader; readonly utf8: boolean } {
  const none = () => {
    throw new Error("not asked here");
  };
  return {
    blobs: {
      readIntoSync: (_blob, _span, into, at) => read(into, at),
      ...{ readSync: none, read: none, pin: none, close: none },
    },
    utf8: false,
  };
}

const stored = blobs((into, at) => into.set(TEXT, at));

function textOf(out: Out): string {
  return new TextDecoder().decode(out.take());
}

Deno.test("behind RETR in order the next message is made ready, once", () => {
  const ahead = new ReadAhead(), out = new Out();
  assert.equal(ahead.next, 0);
  assert.equal(ahead.take(5, out), false);
  assert.equal(ahead.next, 0, "one alone is no order");
  assert.equal(ahead.take(6, out), false);
  assert.equal(ahead.next, 7);
  ahead.prepare(7, message(), stored);
  assert.equal(ahead.next, 0, "it is ready");
  assert.equal(out.pending, 0);
  assert.equal(ahead.take(7, out), true);
  assert.equal(textOf(out), RESPONSE);
  assert.equal(ahead.next, 8);
  ahead.release();
});

Deno.test("what is ready is forgotten when another message is read", () => {
  const ahead = new ReadAhead(), out = new Out();
  ahead.take(1, out);
  ahead.prepare(2, message(), stored);
  assert.equal(ahead.take(9, out), false);
  assert.equal(ahead.take(2, out), false);
  assert.equal(out.pending, 0);
});

Deno.test("long messages and those that cannot be read are left to RETR", () => {
  const ahead = new ReadAhead(), out = new Out();
  ahead.take(1, out);
  ahead.prepare(2, message(100_000), stored);
  assert.equal(ahead.next, 0, "not tried again");
  assert.equal(ahead.take(2, out), false);
  const gone = blobs(() => {
    throw new StorageError("gone", { full: false });
  });
  ahead.prepare(3, message(), gone);
  assert.equal(ahead.take(3, out), false);
  ahead.prepare(4, message(), stored);
  assert.equal(ahead.take(4, out), true);
  assert.equal(textOf(out), RESPONSE);
});

Deno.test("sixteen sessions of a thread hold one, and each that ends makes room", () => {
  const out = new Out();
  const all = Array.from({ length: 16 }, () => new ReadAhead());
  for (const ahead of all) {
    ahead.take(1, out);
    assert.equal(ahead.next, 2);
    ahead.prepare(2, message(), stored);
  }
  const late = new ReadAhead();
  late.take(1, out);
  assert.equal(late.next, 0);
  all[0]!.release();
  all[0]!.release();
  assert.equal(late.next, 2);
  late.prepare(2, message(), stored);
  for (const ahead of [...all, late]) ahead.release();
});
