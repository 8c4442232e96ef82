import assert from "node:assert/strict";
import { SharedBuckets } from "../../server/shared_buckets.ts";
import { type SharedLimitOptions, SharedLimits } from "../../server/shared_limits.ts";

const OPTIONS: SharedLimitOptions = {
  connections: 5,
  connectionsPerAddress: 3,
  loginFailureLeakMs: 10_000,
};

function threads(columns: number): SharedLimits[] {
  const buffer = SharedLimits.buffer(columns);
  return Array.from(
    { length: columns },
    (_, column) => new SharedLimits(buffer, { column, options: OPTIONS, epoch: 1_000 }),
  );
}

Deno.test("what one thread has refused is no news to another, until its time is over", () => {
  const [a, b] = threads(2) as [SharedLimits, SharedLimits];
  assert.equal(a.first("one", 5_000, 10_000), true);
  assert.equal(b.first("one", 6_000, 10_000), false);
  assert.equal(b.first("two", 6_000, 10_000), true);
  assert.equal(a.first("one", 15_900, 10_000), false, "each repetition begins the time anew");
  assert.equal(a.first("one", 26_100, 10_000), true);
  assert.deepEqual(a.key, b.key);
  assert.equal(a.key.length, 32);
  assert.notDeepEqual(a.key, threads(1)[0]!.key);
  // Counts of addresses and connections lie elsewhere.
  for (let at = 0; at < 20_000; at++) a.first(`what ${at}`, 30_000, 1_000);
  assert.deepEqual([a.connections(), a.count("192.0.2.1", 30_000), b.admit("192.0.2.1")], [0, 0, "admitted"]);
});

Deno.test("connections of one address are counted over all threads", () => {
  const [a, b] = threads(2) as [SharedLimits, SharedLimits];
  assert.equal(a.admit("192.0.2.1"), "admitted");
  assert.equal(b.admit("192.0.2.1"), "admitted");
  assert.equal(a.admit("192.0.2.1"), "admitted");
  assert.equal(b.admit("192.0.2.1"), "address");
  assert.equal(a.connections(), 3);
  b.release("192.0.2.1");
  assert.equal(a.admit("192.0.2.1"), "admitted");
  assert.equal(a.connectionsOf("192.0.2.1"), 3);
});

Deno.test("the limit in all holds for every address", () => {
  const [a, b] = threads(2) as [SharedLimits, SharedLimits];
  for (let at = 1; at <= 5; at++) assert.equal((at % 2 ? a : b).admit(`192.0.2.${at}`), "admitted");
  assert.equal(b.admit("192.0.2.9"), "total");
  assert.equal(b.connections(), 5);
});

Deno.test("the connections of one listener are counted over all threads, and leave room at the others", () => {
  const [a, b] = threads(2) as [SharedLimits, SharedLimits];
  const door = { at: 3, connections: 2 };
  assert.equal(a.admit("192.0.2.1", door), "admitted");
  assert.equal(b.admit("192.0.2.2", door), "admitted");
  assert.equal(a.admit("192.0.2.3", door), "listener");
  assert.equal(a.admit("192.0.2.3", { at: 4, connections: 2 }), "admitted");
  assert.equal(a.connections(), 3, "what was refused counts nowhere");
  b.release("192.0.2.2", door);
  assert.equal(b.admit("192.0.2.3", door), "admitted");
});

Deno.test("a dead thread's column counts no more", () => {
  const [a, b] = threads(2) as [SharedLimits, SharedLimits];
  for (let at = 0; at < 3; at++) b.admit("192.0.2.1");
  b.add("192.0.2.1", 2_000);
  assert.equal(a.admit("192.0.2.1"), "address");
  a.clearColumn(1);
  assert.equal(a.admit("192.0.2.1"), "admitted");
  assert.equal(a.count("192.0.2.1", 2_000), 1, "failures outlive the thread");
});

Deno.test("failed logins add up over threads and leak", () => {
  const [a, b] = threads(2) as [SharedLimits, SharedLimits];
  assert.equal(a.count("2001:db8::1", 5_000), 0);
  assert.equal(a.add("2001:db8::1", 5_000), 1);
  assert.equal(b.add("2001:db8::2", 5_000), 2);
  assert.equal(b.count("2001:db8::3", 10_000), 1.5);
  assert.equal(b.count("2001:db8:0:1::3", 10_000), 0);
  assert.equal(a.add("2001:db8::1", 15_000), 2);
  assert.equal(b.count("2001:db8::1", 35_000), 0);
  assert.equal(b.add("2001:db8::1", 1_000_000), 1);
});

Deno.test("ten thousand addresses hardly meet", () => {
  const buffer = SharedLimits.buffer(1);
  const limits = new SharedLimits(buffer, {
    column: 0,
    options: { ...OPTIONS, connections: 1e6, connectionsPerAddress: 1e6 },
    epoch: 0,
  });
  for (let at = 0; at < 1_000; at++) limits.admit(`10.${at & 255}.${at >> 8}.7`);
  let shared = 0;
  for (let at = 0; at < 1_000; at++) if (limits.connectionsOf(`10.${at & 255}.${at >> 8}.7`) > 1) shared++;
  assert.ok(shared < 100, String(shared));
});

Deno.test("before its epoch, as with a clock that was put back, nothing counts as a failure or as a full bucket", () => {
  const epoch = 1_700_000_000_000;
  const limits = new SharedLimits(SharedLimits.buffer(1), { column: 0, epoch });
  assert.equal(limits.count("192.0.2.1", epoch - 3_600_000), 0);
  const buckets = new SharedBuckets(SharedBuckets.buffer(), epoch);
  assert.equal(buckets.take("192.0.2.1", { limit: 1, perMs: 60_000 }, epoch - 3_600_000), true);
});
