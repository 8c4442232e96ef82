/**
 * DANE (RFC 7672) with real certificates in real signed zones: our sender and Postfix's posttls-finger, which asks Debian's
 * unbound, come to the same judgement of the same servers; and posttls-finger trusts ours by the record we say to publish.
 */
import assert from "node:assert/strict";
import { DEFAULT_RESOLVER, defaultListener } from "../../server/config/defaults.ts";
import { keyDigest } from "../../server/certificate.ts";
import { createResolver } from "../../server/resolver.ts";
import { wantedRecords } from "../../delivery/domain_records.ts";
import { QueueHarness } from "../delivery/queue_harness.ts";
import { DnsLab, type LabZone } from "../lib/dns_lab.ts";
import { freePort } from "../lib/ports.ts";
import { finger, tlsa, whyNoDane } from "../lib/posttls_finger.ts";
import { RunningServer } from "../lib/running_server.ts";
import { issue, type Issued } from "../lib/test_ca.ts";
import { TlsSmtpServer } from "../lib/tls_smtp_server.ts";

const ROOT = "127.0.54.1", TEST = "127.0.54.2", ZONES = "127.0.54.3", UNBOUND = "127.0.54.9";
const SIGNING = { algorithm: "ECDSAP256SHA256" };

const obstacle = whyNoDane();
if (obstacle !== null) console.log(`dane_test is skipped: ${obstacle}`);

/** A mail server: its name, what it shows, what is published about it, and whether that is enough. */
interface Case {
  readonly host: string;
  readonly chain: readonly Issued[];
  readonly records: readonly string[];
  readonly trusted: boolean;
}

async function makeCases(): Promise<Case[]> {
  const root = await issue({ name: "Root", by: null, ca: true });
  const middle = await issue({ name: "Middle", by: root, ca: true });
  const other = await issue({ name: "other.test", by: null });
  const cases: Case[] = [];
  const add = async (
    label: string,
    trusted: boolean,
    records: (leaf: Issued) => string[],
    { zone = "dane", names, to }: { zone?: string; names?: readonly string[]; to?: number } = {},
  ) => {
    const host = `${label}.${zone}.test`;
    const leaf = await issue({
      name: host,
      dns: names ?? [host],
      by: middle,
      ...(to !== undefined && { from: -30, to }),
    });
    cases.push({ host, chain: [leaf, middle, root], records: records(leaf), trusted });
  };
  for (const selector of [0, 1]) {
    for (const matching of [0, 1, 2]) {
      const of = `${selector}-${matching}`;
      await add(`ee-${of}`, true, (leaf) => [tlsa(3, selector, matching, leaf)]);
      await add(`ta-${of}`, true, () => [tlsa(2, selector, matching, root)]);
    }
  }
  await add("middle", true, () => [tlsa(2, 0, 1, middle)]);
  await add("ee-old", true, (leaf) => [tlsa(3, 1, 1, leaf)], { to: -1, names: ["else.test"] }); // RFC 7671 5.1
  await add("both", true, (leaf) => [tlsa(3, 1, 1, other), tlsa(3, 1, 1, leaf)]);
  await add("wrong", false, () => [tlsa(3, 1, 1, other)]);
  await add("wrong-ta", false, () => [tlsa(2, 0, 1, other)]);
  await add("as-ee", false, () => [tlsa(3, 0, 1, root)]);
  await add("ta-name", false, () => [tlsa(2, 0, 1, root)], { names: ["else.test"] });
  await add("ta-old", false, () => [tlsa(2, 0, 1, root)], { to: -1 });
  await add("none", false, () => []);
  await add("host", false, (leaf) => [tlsa(3, 1, 1, leaf)], { zone: "plain" }); // nobody signs it
  await add("host", false, (leaf) => [tlsa(3, 1, 1, leaf)], { zone: "bogus" });
  return cases;
}

Deno.test({
  name: "the same judgement as posttls-finger of servers with TLSA records of every kind, right and wrong",
  ignore: obstacle !== null,
  fn: async (t) => {
    const port = freePort();
    const cases = await makeCases();
    const own = await issue({ name: "mx.own.test", dns: ["mx.own.test"], by: null });
    const folder = await Deno.makeTempDir({ prefix: "veredus-dane-" });
    await Deno.writeTextFile(`${folder}/own.pem`, own.pem);
    await Deno.writeTextFile(`${folder}/own.key`, own.keyPem);
    const published = wantedRecords("own.test", {
      keys: [],
      own: {
        hostname: "mx.own.test",
        stsPolicyId: null,
        keys: [{ sha256: keyDigest(`${folder}/own.key`), when: "now" }],
      },
    }).find(({ kind }) => kind === "tlsa")!.value;
    const addressOf = (at: number) => `127.0.54.${20 + at}`;
    const zone = (name: string, more: Partial<LabZone>): LabZone => ({
      name: `${name}.test`,
      address: ZONES,
      lines: cases.flatMap(({ host, records }, at) =>
        host.endsWith(`.${name}.test`)
          ? [
            `${host}. A ${addressOf(at)}`,
            `to-${host}. MX 10 ${host}.`,
            ...records.map((record) => `_${port}._tcp.${host}. TLSA ${record}`),
          ]
          : []
      ).join("\n"),
      ...more,
    });
    const lab = await DnsLab.start([
      zone("dane", { signing: SIGNING }),
      zone("plain", {}),
      zone("bogus", {
        signing: SIGNING,
        spoil: (text) => text.replaceAll(/(\sRRSIG\sTLSA\s.*\s)\S{4}(\S+)$/gm, "$1AAAA$2"),
      }),
      {
        ...{ name: "own.test", address: ZONES, signing: SIGNING },
        lines: `mx A 127.0.0.1\n_${port}._tcp.mx TLSA ${published}`,
      },
      { name: "test", address: TEST, lines: "", signing: SIGNING },
      { name: ".", address: ROOT, lines: "", signing: SIGNING },
    ]);
    const servers = cases.map(({ chain }, at) => new TlsSmtpServer(addressOf(at), port, chain));
    using resolver = createResolver({
      ...{ ...DEFAULT_RESOLVER, dnssec: "on", trustAnchors: lab.anchors, timeoutMs: 5_000 },
      ...{ mode: "iterative", rootServers: [`${ROOT}:${lab.port}`] },
    });
    try {
      await lab.unbound(UNBOUND, 53);

      await t.step("our sender", async () => {
        await using queue = await QueueHarness.open({
          outbound: { resolver, smtpPort: port },
          security: {
            dane: true,
            rules: [{ domains: ["*.dane.test", "*.plain.test", "*.bogus.test"], level: "dane" }],
          },
        });
        queue.start();
        await queue.submit({ to: cases.map(({ host }) => `x@to-${host}`) });
        const rows = await queue.deferred();
        const refused = new Map(rows.map(({ recipient, lastReply }) => [recipient, lastReply]));
        for (const [at, { host, trusted }] of cases.entries()) {
          const reply = refused.get(`x@to-${host}`);
          if (trusted) assert.equal(reply, undefined, `${host}: ${reply}`);
          else assert.match(reply ?? "delivered", /^4\.7\.5 /, host);
          assert.deepEqual(servers[at]!.messages, trusted ? ["tls"] : [], host);
        }
      });

      await t.step("posttls-finger", async () => {
        for (const { host, trusted } of cases) {
          const judged = await finger(UNBOUND, `[${host}]:${port}`);
          assert.equal(judged.trusted, trusted, `${host}:\n${judged.said}`);
        }
      });

      await t.step("posttls-finger of our server, by the record that it says to publish", async () => {
        const smtp = { ...defaultListener("smtp"), address: "127.0.0.1", port };
        const certificates = [{ certificate: `${folder}/own.pem`, key: `${folder}/own.key`, nextKey: "" }];
        await using _server = await RunningServer.start({
          threads: 0,
          config: { hostname: "mx.own.test", certificates, listeners: [smtp] },
        });
        const judged = await finger(UNBOUND, `[mx.own.test]:${port}`);
        assert.ok(judged.trusted, judged.said);
      });
    } finally {
      for (const server of servers) await server[Symbol.asyncDispose]();
      await lab.stop();
      await Deno.remove(folder, { recursive: true });
    }
  },
});
