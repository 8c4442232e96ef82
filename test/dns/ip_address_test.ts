import assert from "node:assert/strict";
import * as fc from "fast-check";
import { canonicalAddress, formatIpv6, isPublicAddress, parseIpv4, parseIpv6 } from "../../dns/ip_address.ts";

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

Deno.test("addresses of the public Internet", () => {
  for (
    const address of [
      "1.1.1.1",
      "100.63.255.255",
      "172.15.0.1",
      "172.32.0.1",
      "223.255.255.1",
      "2a00::1",
      "2003::1",
    ]
  ) {
    assert.ok(isPublicAddress(address), address);
  }
  for (
    const address of [
      ...[
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
      ],
      ...[
        "192.0.0.1",
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.19.255.255",
        "203.0.113.9",
        "224.0.0.1",
      ],
      ...[
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:1.1.1.1",
        "fe80::1",
        "fc00::1",
        "fd00::1",
        "ff02::1",
        "2002::1",
      ],
      ...["2001:db8::1", "64:ff9b::1", "3fff::1", "not an address", ""],
    ]
  ) assert.ok(!isPublicAddress(address), address);
});
