/** PROXY headers as a table: every octet by itself and as they are wanted; what stands behind them is not taken. */
import assert from "node:assert/strict";
import { encodeLatin1 } from "../../../bytes/decode.ts";
import { ProxyHeaderReader, type ProxyResult } from "../../../protocols/proxy/header.ts";

const V2 = "\r\n\r\n\0\r\nQUIT\n";
const FROM: ProxyResult = {
  kind: "proxied",
  addresses: { source: "192.0.2.1", sourcePort: 4711, destination: "198.51.100.2", destinationPort: 25 },
};
const V4 = "\xc0\0\x02\x01\xc6\x33\x64\x02\x12\x67\0\x19";
const DB8 = "\x20\x01\x0d\xb8" + "\0".repeat(11) + "\x01";

const TABLE: readonly (readonly [name: string, header: string, result: ProxyResult])[] = [
  ["version 1, IPv4", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\r\n", FROM],
  ["version 1, IPv6", "PROXY TCP6 2001:DB8::1 ::1 1 2\r\n", {
    kind: "proxied",
    addresses: { source: "2001:db8::1", sourcePort: 1, destination: "::1", destinationPort: 2 },
  }],
  ["version 1, unknown", "PROXY UNKNOWN\r\n", { kind: "local" }],
  ["version 1, unknown with addresses", "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", { kind: "local" }],
  ["version 1, bare LF", "PROXY TCP4 192.0.2.1 198.51.100.2 4711 25\n", { kind: "malformed" }],
  ["version 1, wrong family", "PROXY TCP4 ::1 198.51.100.2 4711 25\r\n", { kind: "malformed" }],
  ["version 1, port too large", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 25\r\n", { kind: "malformed" }],
  ["version 1, leading zero", "PROXY TCP4 192.0.2.1 198.51.100.2 04711 25\r\n", { kind: "malformed" }],
  ["version 1, lower case", "proxy tcp4 192.0.2.1", { kind: "malformed" }],
  ["version 1, too long", `PROXY UNKNOWN ${"x".repeat(93)}`, { kind: "malformed" }],
  ["version 2, IPv4", `${V2}\x21\x11\0\x0c${V4}`, FROM],
  ["version 2, IPv4 with a TLV", `${V2}\x21\x11\0\x10${V4}\x04\0\x01x`, FROM],
  ["version 2, IPv6", `${V2}\x21\x21\0\x24${DB8}${DB8}\0\x01\0\x02`, {
    kind: "proxied",
    addresses: { source: "2001:db8::1", sourcePort: 1, destination: "2001:db8::1", destinationPort: 2 },
  }],
  ["version 2, local", `${V2}\x20\0\0\0`, { kind: "local" }],
  ["version 2, local with octets", `${V2}\x20\x11\0\x0c${V4}`, { kind: "local" }],
  ["version 2, unspecified", `${V2}\x21\0\0\0`, { kind: "local" }],
  ["version 2, too short", `${V2}\x21\x11\0\x0b${V4.slice(1)}`, { kind: "malformed" }],
  ["version 2, no such command", `${V2}\x22\x11\0\x0c${V4}`, { kind: "malformed" }],
  ["version 2, no such family", `${V2}\x21\x41\0\x0c${V4}`, { kind: "malformed" }],
  ["version 2, longer than any", `${V2}\x21\x11\xff\xff`, { kind: "malformed" }],
  ["version 2, broken signature", "\r\n\r\n\0\r\nQUIP\n", { kind: "malformed" }],
  ["no header", "EHLO a.example\r\n".slice(0, 12), { kind: "malformed" }],
  ["a TLS hello", "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03x", { kind: "malformed" }],
];

for (const [name, header, result] of TABLE) {
  Deno.test(`PROXY header: ${name}`, () => {
    const octets = encodeLatin1(`${header}EHLO a.example\r\n`);
    for (const step of [1, 3, 4_096]) {
      const reader = new ProxyHeaderReader();
      let at = 0;
      let found: ProxyResult | null = null;
      while (found === null) {
        const end = Math.min(octets.length, at + Math.min(step, reader.wanted));
        assert.ok(end > at, "wants more than the header has");
        found = reader.push(octets.subarray(at, end));
        at = end;
      }
      assert.deepEqual(found, result, `${step} octets at a time`);
      assert.ok(at <= header.length, "took octets behind the header");
    }
  });
}
