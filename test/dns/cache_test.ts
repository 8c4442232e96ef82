import assert from "node:assert/strict";
import { TtlCache } from "../../dns/cache.ts";

function cacheOf(limits: { maxEntries?: number; maxOctets?: number } = {}) {
  const time = { now: 0 };
  const cache = new TtlCache<string>({ maxEntries: 3, maxOctets: 1_000, ...limits, now: () => time.now });
  return { time, cache };
}

Deno.test("a value lives as long as it was told", () => {
  const { time, cache } = cacheOf();
  cache.put("a", "1", { ttlSeconds: 10, octets: 5 });
  cache.put("b", "2", { ttlSeconds: 0, octets: 5 });
  assert.deepEqual(cache.get("a"), { value: "1", ttlSeconds: 10, fading: false });
  assert.equal(cache.get("b"), null);
  time.now = 9_001;
  assert.deepEqual(cache.get("a"), { value: "1", ttlSeconds: 1, fading: false });
  time.now = 10_000;
  assert.equal(cache.get("a"), null);
  assert.equal(cache.size, 0);
  assert.equal(cache.octets, 0);
});

Deno.test("the one not used for longest goes first", () => {
  const { cache } = cacheOf();
  for (const key of ["a", "b", "c"]) cache.put(key, key, { ttlSeconds: 10, octets: 5 });
  cache.get("a");
  cache.put("d", "d", { ttlSeconds: 10, octets: 5 });
  assert.deepEqual(["a", "b", "c", "d"].filter((key) => cache.get(key) !== null), ["a", "c", "d"]);
});

Deno.test("octets are bounded, whatever the number of entries", () => {
  const { cache } = cacheOf({ maxEntries: 100, maxOctets: 100 });
  for (let at = 0; at < 20; at++) {
    cache.put(`k${at}`, "", { ttlSeconds: 10, octets: 30 });
    assert.ok(cache.octets <= 100);
  }
  assert.equal(cache.size, 3);
  cache.put("huge", "", { ttlSeconds: 10, octets: 101 });
  assert.equal(cache.get("huge"), null);
  assert.equal(cache.size, 3);
});

Deno.test("a value put twice counts once", () => {
  const { cache } = cacheOf();
  cache.put("a", "1", { ttlSeconds: 10, octets: 5 });
  cache.put("a", "2", { ttlSeconds: 10, octets: 7 });
  assert.equal(cache.octets, 7);
  assert.equal(cache.get("a")!.value, "2");
  cache.put("a", "3", { ttlSeconds: 0, octets: 7 });
  assert.equal(cache.get("a"), null);
});

Deno.test("no entries, nothing kept", () => {
  const { cache } = cacheOf({ maxEntries: 0 });
  cache.put("a", "1", { ttlSeconds: 10, octets: 5 });
  assert.equal(cache.size, 0);
});
