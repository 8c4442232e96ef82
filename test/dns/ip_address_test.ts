import assert from "node:assert/strict";
import * as fc from "fast-check";
import { canonicalAddress, formatIpv6, parseIpv4, parseIpv6 } from "../../dns/ip_address.ts";

Deno.test("addresses come into one form or are refused", () => {
  const cases: [string, string | null][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["::", "::"],
    ["::1", "::1"],
    ["1::", "1::"],
    ["2001:DB8:0:0:0:0:0:1", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8::1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:db8::0:1:1:1:1:1", null],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
    ["::ffff:c000:201", "::ffff:192.0.2.1"],
    ["192.0.2", null],
    ["192.0.2.256", null],
    ["192.0.02.1", null],
    ["192.0.2.1.", null],
    ["192.0.2.1.5", null],
    ["1:2:3:4:5:6:7", null],
    ["1:2:3:4:5:6:7:8:9", null],
    ["1:2:3:4::5:6:7:8", null],
    ["::1::", null],
    [":1", null],
    ["12345::", null],
    ["::192.0.2.1:1", null],
    ["192.0.2.1::", null],
    ["fe80::1%eth0", null],
    ["", null],
  ];
  for (const [text, expected] of cases) assert.equal(canonicalAddress(text), expected, text);
});

Deno.test("IPv6 is written as URLs write it, and read back", () => {
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const octets = Uint8Array.from(groups.flatMap((value) => [value >> 8, value & 0xff]));
      const text = formatIpv6(octets);
      if (!text.includes(".")) {
        const url = new URL(`http://[${groups.map((value) => value.toString(16)).join(":")}]/`);
        assert.equal(`[${text}]`, url.hostname);
      }
      assert.deepEqual(parseIpv6(text), octets);
    }),
    { seed: 1, numRuns: 500 },
  );
  assert.equal(parseIpv4("::1"), null);
});
