/** What `veredus dns` says to publish, published in a real DNS server: the check says what is wrong before, and that all is well after. */
import assert from "node:assert/strict";
import { Nsd } from "../lib/nsd.ts";
import { freePort } from "../lib/ports.ts";
import { ProductionServer, whyNoPort25 } from "../lib/production_server.ts";
import { issue } from "../lib/test_ca.ts";

const OURS = "127.0.0.61", DNS = "127.0.0.62";
const obstacle = whyNoPort25();
if (obstacle !== null) console.log(`dns_check_test is skipped: ${obstacle}`);

interface Checked {
  readonly name: string;
  readonly type: string;
  readonly value: string;
  readonly state: string;
  readonly text: string;
}

const WRONG = [
  `@ MX 10 provider.else.test.`,
  `@ TXT "v=spf1 mx -all"`,
  `@ TXT "v=spf1 -all"`,
  `_dmarc TXT "v=DMARC1; p=perhaps"`,
  `_25._tcp.mx TLSA 3 1 1 ${"cd".repeat(32)}`,
  `mx A ${OURS}`,
].join("\n");

Deno.test({
  name:
    "dns records are printed, dns check says in words what is wrong with those published, and finds the right ones well",
  ignore: obstacle !== null,
  fn: async () => {
    const port = freePort();
    let dns = await Nsd.start({ "a.test": WRONG }, { address: DNS, port });
    const own = await issue({ name: "mx.a.test", dns: ["mx.a.test", "mta-sts.a.test"], by: null });
    const next = await issue({ name: "mx.a.test", dns: ["mx.a.test"], by: null });
    const server = await ProductionServer.create(OURS, {});
    try {
      await Deno.writeTextFile(`${server.folder}/own.pem`, own.pem);
      for (const [name, { keyPem }] of [["own", own], ["next", next]] as const) {
        await Deno.writeTextFile(`${server.folder}/${name}.key`, keyPem);
      }
      await server.configure({
        hostname: "mx.a.test",
        resolver: { servers: [`${DNS}:${port}`] },
        mta_sts: { mode: "enforce" },
        certificates: [{
          certificate: `${server.folder}/own.pem`,
          key: `${server.folder}/own.key`,
          next_key: `${server.folder}/next.key`,
        }],
      });
      await server.command(["domain", "add", "a.test"]);
      await server.command(["dkim", "add", "a.test"]);
      await server.start();
      const records = JSON.parse(await server.command(["dns", "records", "a.test", "--json"])) as Checked[];
      const printed = await server.command(["dns", "records", "a.test"]);
      assert.equal(
        records.filter(({ type }) => type === "TLSA").length,
        2,
        "of the key in use and of the next one",
      );

      const said = await server.command(["dns", "check", "a.test"]);
      for (
        const words of [
          "mail goes to provider.else.test. and not to this server",
          "there are several; readers take none of them",
          "it has no usable policy",
          "servers that follow DANE will not deliver to this one",
          "there is no such record",
          "nobody will tell you when TLS towards this server breaks",
        ]
      ) assert.ok(said.includes(words), `${words}\n${said}`);
      const wrong = JSON.parse(await server.command(["dns", "check", "a.test", "--json"])) as Checked[];
      assert.ok(wrong.every(({ state }) => state === "missing" || state === "different"), said);
      for (const { value } of wrong) {
        assert.ok(
          said.replaceAll('" "', "").includes(value),
          `${value} is what to publish
${said}`,
        );
      }

      await Promise.all([server.stop(), dns.stop()]);
      dns = await Nsd.start({ "a.test": `mx A ${OURS}\n${printed}` }, {
        address: DNS,
        port,
      });
      await server.start();
      const right = JSON.parse(await server.command(["dns", "check", "a.test", "--json"])) as Checked[];
      assert.deepEqual(
        right.map(({ name, state }) => `${name} ${state}`),
        records.map(({ name }) => `${name} ok`),
      );
    } finally {
      await server.remove();
      await dns.stop();
    }
  },
});
