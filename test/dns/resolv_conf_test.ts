import assert from "node:assert/strict";
import { parseResolvConf } from "../../dns/resolv_conf.ts";

Deno.test("nameserver lines of resolv.conf", () => {
  const text = [
    "# a comment",
    "search example.test",
    "nameserver 192.0.2.53",
    "nameserver\t2001:DB8:0::53 # with a comment",
    "nameserver 192.0.2.53",
    "nameserver fe80::1%eth0",
    "nameserver not-an-address",
    "nameserver",
    " nameserver 192.0.2.99",
    "options edns0 trust-ad",
    "nameserver 192.0.2.54\r",
    "nameserver 192.0.2.55",
    "",
  ].join("\n");
  assert.deepEqual(parseResolvConf(text), ["192.0.2.53", "2001:db8::53", "192.0.2.54"]);
  assert.deepEqual(parseResolvConf(""), []);
});
