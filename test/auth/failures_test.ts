/** Failed logins per address. */
import assert from "node:assert/strict";
import { failureKey, MemoryFailures } from "../../auth/failures.ts";

Deno.test("failures add up and leak with time", () => {
  const failures = new MemoryFailures({ leakMs: 1_000 });
  assert.equal(failures.count("a", 0), 0);
  assert.equal(failures.add("a", 0), 1);
  assert.equal(failures.add("a", 0), 2);
  assert.equal(failures.count("a", 500), 1.5);
  assert.equal(failures.count("b", 500), 0);
  assert.equal(failures.count("a", 2_000), 0);
  assert.equal(failures.add("a", 9_000), 1);
});

Deno.test("the oldest address is forgotten when there are too many", () => {
  const failures = new MemoryFailures({ maxAddresses: 2 });
  for (const address of ["a", "b", "a", "c"]) failures.add(address, 0);
  assert.deepEqual(["a", "b", "c"].map((address) => failures.count(address, 0)), [2, 0, 1]);
});

Deno.test("IPv6 counts by its /64, IPv4 by address", () => {
  const table: [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:DB8:1:2::6", "2001:db8:1:2::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["2001:0db8:0000:0002::1", "2001:db8:0:2::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
  ];
  for (const [address, key] of table) assert.equal(failureKey(address), key, address);
});
