/** Blocks of addresses: who is trusted, whom checks leave alone. */
import assert from "node:assert/strict";
import { Blocks } from "../../filter/address_block.ts";

Deno.test("blocks and single addresses of both families", () => {
  const networks = new Blocks(["10.0.0.0/8", "192.0.2.5", "2001:db8::/32", "::1"]);
  for (const inside of ["10.0.0.0", "10.255.255.255", "192.0.2.5", "2001:db8:ffff::1", "::1"]) {
    assert.equal(networks.includes(inside), true, inside);
  }
  assert.equal(networks.includes("10.0.0.0"), true, "asked again");
  for (const outside of ["9.255.255.255", "11.0.0.0", "192.0.2.4", "2001:db9::", "::2", "::", "no address"]) {
    assert.equal(networks.includes(outside), false, outside);
  }
});

Deno.test("nobody is trusted without a block", () => {
  assert.equal(new Blocks([]).includes("127.0.0.1"), false);
});
