import assert from "node:assert/strict";
import { networkOf, type SharedLimitOptions, SharedLimits } from "../../server/shared_limits.ts";

const OPTIONS: SharedLimitOptions = {
  connections: 5,
  connectionsPerAddress: 3,
  loginFailureWindowMs: 60_000,
};

function threads(columns: number, now: () => number = () => 1_800_000_000_000): SharedLimits[] {
  const buffer = SharedLimits.buffer(columns);
  return Array.from(
    { length: columns },
    (_, column) => new SharedLimits(buffer, { column, options: OPTIONS, now }),
  );
}

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

Deno.test("a dead thread's column counts no more", () => {
  const [a, b] = threads(2) as [SharedLimits, SharedLimits];
  for (let at = 0; at < 3; at++) b.admit("192.0.2.1");
  b.loginFailed("192.0.2.1");
  assert.equal(a.admit("192.0.2.1"), "address");
  a.clearColumn(1);
  assert.equal(a.admit("192.0.2.1"), "admitted");
  assert.equal(a.loginFailures("192.0.2.1"), 0);
});

Deno.test("failed logins add up over threads and are forgotten after the window", () => {
  let now = 1_800_000_000_000;
  const [a, b] = threads(2, () => now) as [SharedLimits, SharedLimits];
  a.loginFailed("2001:db8::1");
  b.loginFailed("2001:db8::2");
  assert.equal(b.loginFailures("2001:db8::3"), 2);
  assert.equal(b.loginFailures("2001:db8:0:1::3"), 0);
  now += 40_000;
  a.loginFailed("2001:db8::1");
  assert.equal(b.loginFailures("2001:db8::3"), 3);
  now += 40_000;
  assert.equal(b.loginFailures("2001:db8::3"), 2);
  a.loginSucceeded("2001:db8::1");
  assert.equal(b.loginFailures("2001:db8::3"), 0);
  b.loginFailed("2001:db8::1");
  assert.equal(b.loginFailures("2001:db8::1"), 1);
});

Deno.test("ten thousand addresses hardly meet", () => {
  const buffer = SharedLimits.buffer(1);
  const limits = new SharedLimits(buffer, {
    column: 0,
    options: { ...OPTIONS, connections: 1e6, connectionsPerAddress: 1e6 },
    now: () => 0,
  });
  for (let at = 0; at < 1_000; at++) limits.admit(`10.${at & 255}.${at >> 8}.7`);
  let shared = 0;
  for (let at = 0; at < 1_000; at++) if (limits.connectionsOf(`10.${at & 255}.${at >> 8}.7`) > 1) shared++;
  assert.ok(shared < 100, String(shared));
});

Deno.test("the network of an address", () => {
  const cases: [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:DB8:0:5:1:2:3:4", "2001:db8:0:5::/64"],
    ["::1", "0:0:0:0::/64"],
    ["fe80::1:2", "fe80:0:0:0::/64"],
    ["2001:db8:1::", "2001:db8:1:0::/64"],
    ["64:ff9b::192.0.2.1", "64:ff9b:0:0::/64"],
  ];
  for (const [address, network] of cases) assert.equal(networkOf(address), network, address);
});
