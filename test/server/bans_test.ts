/** Bans: what brings one, how long, for whom, across threads and restarts. */
import assert from "node:assert/strict";
import { Bans } from "../../server/bans.ts";
import type { BansConfig } from "../../server/config/config.ts";
import { DEFAULT_BANS } from "../../server/config/defaults.ts";
import { SharedBuckets } from "../../server/shared_buckets.ts";
import { TestStore } from "../lib/test_store.ts";

const MINUTE = 60_000;
const CONFIG: BansConfig = { ...DEFAULT_BANS, offences: 4, firstMs: 10 * MINUTE, longestMs: 30 * MINUTE };

async function bed(
  work: (parts: { test: TestStore; clock: { now: number }; thread: () => Bans }) => Promise<void>,
) {
  const test = await TestStore.open();
  const clock = { now: 1_000_000_000 };
  const buffer = Bans.buffer();
  const epoch = clock.now;
  const thread = () => new Bans(buffer, { epoch, store: test.store, config: CONFIG, clock: () => clock.now });
  try {
    await work({ test, clock, thread });
  } finally {
    await test.close();
  }
}

function offend(bans: Bans, address: string, times: number): void {
  for (let at = 0; at < times; at++) bans.offence(address, "login");
}

Deno.test("so many failures ban an address in all threads, longer each time", () =>
  bed(async ({ test, clock, thread }) => {
    const one = thread(), other = thread();
    offend(one, "192.0.2.1", 2);
    offend(other, "192.0.2.1", 1);
    assert.equal(one.banned("192.0.2.1"), false);
    assert.equal(one.offence("192.0.2.1", "login"), true);
    assert.equal(other.banned("192.0.2.1"), true);
    assert.equal(other.banned("192.0.2.2"), false);
    clock.now += 10 * MINUTE + 1_000;
    assert.equal(one.banned("192.0.2.1"), false);
    for (const minutes of [20, 30, 30]) {
      offend(one, "192.0.2.1", 4);
      await test.ok({ kind: "sweep-state", at: 0 });
      assert.equal(one.list({ after: "", limit: 9 })[0]!.until - clock.now, minutes * MINUTE);
      clock.now += minutes * MINUTE + 1_000;
    }
  }));

Deno.test("offences leak with time, a success forgets them, user probing counts half", () =>
  bed(async ({ clock, thread }) => {
    const bans = thread();
    offend(bans, "192.0.2.1", 3);
    clock.now += CONFIG.windowMs;
    offend(bans, "192.0.2.1", 3);
    bans.succeeded("192.0.2.1");
    offend(bans, "192.0.2.1", 3);
    assert.equal(bans.banned("192.0.2.1"), false);
    for (let at = 0; at < 7; at++) bans.offence("192.0.2.9", "unknown-user");
    assert.equal(bans.banned("192.0.2.9"), false);
    bans.offence("192.0.2.9", "unknown-user");
    assert.equal(bans.banned("192.0.2.9"), true);
    await Promise.resolve();
  }));

Deno.test("an IPv6 client is its /64, allowed networks are never banned", () =>
  bed(async ({ thread }) => {
    const bans = thread();
    offend(bans, "2001:db8:1:2::1", 2);
    offend(bans, "2001:db8:1:2:ffff::7", 2);
    assert.equal(bans.banned("2001:db8:1:2::99"), true);
    assert.equal(bans.banned("2001:db8:1:3::1"), false);
    offend(bans, "127.0.0.1", 50);
    assert.equal(bans.banned("127.0.0.1"), false);
    assert.equal(await bans.add("127.0.0.1", MINUTE), null);
  }));

Deno.test("bans survive a restart and can be made and lifted", () =>
  bed(async ({ test, clock, thread }) => {
    const bans = thread();
    offend(bans, "2001:db8::1", 4);
    await bans.add("198.51.100.7", MINUTE);
    const after = new Bans(Bans.buffer(), {
      epoch: clock.now,
      store: test.store,
      config: CONFIG,
      clock: () => clock.now,
    });
    assert.equal(after.banned("198.51.100.7"), false);
    after.load();
    assert.deepEqual([after.banned("198.51.100.7"), after.banned("2001:db8::2")], [true, true]);
    assert.deepEqual(after.list({ after: "", limit: 9 }).map(({ address, reason }) => [address, reason]), [
      ["198.51.100.7", "operator"],
      ["2001:db8:0:0::/64", "login"],
    ]);
    assert.equal(await after.lift("2001:db8::5"), true);
    assert.equal(await after.lift("2001:db8::5"), false);
    assert.equal(after.banned("2001:db8::2"), false);
  }));

Deno.test("a table full of addresses keeps bans before buckets", () =>
  bed(async ({ thread }) => {
    const bans = thread();
    offend(bans, "192.0.2.1", 4);
    for (let at = 0; at < 100_000; at++) {
      bans.offence(`10.${at >> 16 & 255}.${at >> 8 & 255}.${at & 255}`, "login");
    }
    assert.equal(bans.banned("192.0.2.1"), true);
    await Promise.resolve();
  }));

Deno.test("token buckets are one for all threads", () => {
  const buffer = SharedBuckets.buffer();
  const [one, other] = [new SharedBuckets(buffer, 1_000), new SharedBuckets(buffer, 1_000)];
  const rate = { limit: 4, perMs: 1_000 };
  const taken = (now: number) =>
    [one, other, one, other, one].filter((thread) => thread.take("k", rate, now)).length;
  assert.equal(taken(5_000), 4);
  assert.equal(taken(5_000), 0);
  assert.equal(one.take("other", rate, 5_000), true);
  assert.equal(taken(5_500), 2);
  assert.equal(taken(60_000), 4);
});
