/** Whom we are towards other servers: identities by sender, and which places in MX records are ourselves. */
import assert from "node:assert/strict";
import { withoutOurselves } from "../../dns/mx.ts";
import { parseConfig } from "../../server/config/load.ts";
import { outboundParts, ownAddresses } from "../../server/outbound_parts.ts";
import { TransportSecurity } from "../../delivery/security/transport_security.ts";
import { a, MockResolver } from "../lib/mock_resolver.ts";

const resolver = new MockResolver({
  "better.test A": [a("192.0.2.7")],
  "alias-of-ours.test A": [a("127.0.0.9")],
  "on-every-interface.test A": [a(ownAddresses().find((address) => !address.includes(":"))!)],
});

function parts(yaml: string) {
  const config = parseConfig(`hostname: mx.example.test\n${yaml}`, "/veredus.yaml");
  return outboundParts(config, { resolver, security: Object.create(TransportSecurity.prototype) });
}

const IDENTITIES = `identities:
  - { senders: [shop.test, Shop2.test], helo: Out.Shop.test, ipv4: 192.0.2.5, ipv6: "2001:db8::5" }
  - { senders: [shop.test], helo: late.test }
  - { senders: [plain.test], ipv4: 192.0.2.6 }
`;

Deno.test("identities: the first for the sender's domain, else the host name; bounces have the usual one", () => {
  const { identityOf } = parts(IDENTITIES);
  const shop = { helloName: "out.shop.test", sourceV4: "192.0.2.5", sourceV6: "2001:db8::5" };
  assert.deepEqual({ ...identityOf("a@shop.test"), key: "" }, { ...shop, key: "" });
  assert.deepEqual(identityOf("a@SHOP2.test"), identityOf("a@shop.test"));
  assert.equal(identityOf("a@plain.test").helloName, "mx.example.test");
  assert.equal(identityOf("a@plain.test").sourceV4, "192.0.2.6");
  const usual = { key: "", helloName: "mx.example.test", sourceV4: "", sourceV6: "" };
  for (const sender of ["", "a@other.test", "a@sub.shop.test"]) assert.deepEqual(identityOf(sender), usual);
  const keys = ["a@shop.test", "a@plain.test", ""].map((sender) => identityOf(sender).key);
  assert.equal(new Set(keys).size, 3);
});

Deno.test("we are in MX records by host name, by the names of identities, and by where we take mail on port 25", async () => {
  const listening = (address: string, port: number) =>
    `listeners: [{ protocol: smtp, address: "${address}", port: ${port} }]\n`;
  const better = { preference: 5, hosts: ["better.test"] };
  const cases: [yaml: string, host: string, ours: boolean][] = [
    ["", "mx.example.test", true],
    ["", "out.shop.test", false],
    [IDENTITIES, "out.shop.test", true],
    [IDENTITIES, "late.test", true],
    [IDENTITIES, "shop.test", false],
    [listening("127.0.0.9", 25), "alias-of-ours.test", true],
    [listening("127.0.0.9", 2525), "alias-of-ours.test", false],
    [listening("127.0.0.8", 25), "alias-of-ours.test", false],
    [listening("0.0.0.0", 25), "alias-of-ours.test", true],
    [listening("0.0.0.0", 25), "on-every-interface.test", true],
  ];
  for (const [yaml, host, ours] of cases) {
    const { ourselves } = parts(yaml);
    const groups = [better, { preference: 10, hosts: [host] }, { preference: 20, hosts: ["worse.test"] }];
    const left = await withoutOurselves(resolver, groups, ourselves);
    assert.deepEqual(left, ours ? [better] : groups, `${host} with ${yaml}`);
    assert.deepEqual(
      await withoutOurselves(resolver, groups.slice(1), ourselves),
      ours ? [] : groups.slice(1),
    );
  }
});
