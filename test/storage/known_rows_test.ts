/** Rows in memory: bounded in number and age, and never another message's. */
import assert from "node:assert/strict";
import { KnownRows, MAX_ROWS, TURN_MS } from "../../storage/known_rows.ts";
import type { MessageRow } from "../../storage/messages.ts";

const EMPTY = new Uint8Array(0);

function row(uid: number): MessageRow {
  const blob = { segment: 1, offset: uid, length: 10 };
  return {
    uid,
    internalDate: 0,
    sizeOctets: 10,
    sentAt: null,
    blob,
    headerOctets: 5,
    prefix: EMPTY,
    imap: EMPTY,
  };
}

Deno.test("a row is found by its mailbox and UID alone", () => {
  const rows = new KnownRows(() => 0);
  rows.put(1, row(7));
  assert.equal(rows.get(1, 7)?.uid, 7);
  assert.equal(rows.get(2, 7), null);
  assert.equal(rows.get(1, 8), null);
});

Deno.test("no row is older than three turns", () => {
  let now = 0;
  const rows = new KnownRows(() => now);
  const found = () => {
    rows.age();
    return rows.get(1, 7) !== null;
  };
  rows.put(1, row(7));
  now = TURN_MS;
  assert.equal(found(), true);
  now = 2 * TURN_MS;
  assert.equal(found(), false);
  rows.put(1, row(7));
  now += 2 * TURN_MS;
  assert.equal(found(), false, "nobody asked for long");
});

Deno.test("the number of rows is bounded, and the newest stay", () => {
  const rows = new KnownRows(() => 0);
  for (let uid = 1; uid <= 3 * MAX_ROWS; uid++) rows.put(1, row(uid));
  let held = 0;
  for (let uid = 1; uid <= 3 * MAX_ROWS; uid++) if (rows.get(1, uid) !== null) held++;
  assert.ok(held <= MAX_ROWS && held >= MAX_ROWS / 2, `${held}`);
  assert.equal(rows.get(1, 3 * MAX_ROWS)?.uid, 3 * MAX_ROWS);
});

Deno.test("a header stays with its row; long ones and what passes the limit are not kept, and cost no row", () => {
  const rows = new KnownRows(() => 0);
  const first = rows.put(1, row(1));
  rows.keepHeader(first, new Uint8Array(17 * 1024));
  assert.equal(rows.get(1, 1)?.header, null);
  rows.keepHeader(first, new Uint8Array(1_000));
  assert.equal(rows.get(1, 1)?.header?.length, 1_000);
  const last = MAX_ROWS / 2;
  for (let uid = 2; uid <= last; uid++) rows.keepHeader(rows.put(1, row(uid)), new Uint8Array(10_000));
  let octets = 0;
  for (let uid = 1; uid <= last; uid++) octets += rows.get(1, uid)!.header?.length ?? 0;
  assert.ok(octets > 1_900_000 && octets <= 2 * 1024 * 1024, `${octets}`);
});
