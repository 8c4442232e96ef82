/**
 * DANE with the servers of others, on port 25 of loopback addresses, in signed zones: Exim, OpenSMTPD and Postfix of Debian as
 * next hops that we judge by their TLSA records, as posttls-finger does; and as senders that judge us by ours.
 *
 * OpenSMTPD sends without DANE (its program does not know the word): it delivers to us whatever our records say. A second one, as
 * Debian has it, breaks every handshake off.
 */
import assert from "node:assert/strict";
import { DEFAULT_RESOLVER, defaultListener } from "../../server/config/defaults.ts";
import { createResolver } from "../../server/resolver.ts";
import type { WriteOp } from "../../storage/ops.ts";
import { QueueHarness } from "../delivery/queue_harness.ts";
import { DnsLab, type LabZone } from "../lib/dns_lab.ts";
import { domainRow } from "../lib/domain_row.ts";
import { FakeSmtpServer } from "../lib/fake_smtp_server.ts";
import { literalText } from "../lib/imap_client.ts";
import { Postfix } from "../lib/postfix.ts";
import { finger, tlsa, whyNoDane } from "../lib/posttls_finger.ts";
import { until } from "../lib/program.ts";
import { RunningServer } from "../lib/running_server.ts";
import { SmtpClient } from "../lib/smtp_client.ts";
import { issue, type Issued } from "../lib/test_ca.ts";
import { obtain, UnpackedMta } from "../lib/unpacked_mta.ts";

const ROOT = "127.0.55.1",
  TEST = "127.0.55.2",
  ZONES = "127.0.55.3",
  UNBOUND = "127.0.55.9",
  OWN = "127.0.55.30";
const PEERS = { exim: "127.0.55.21", opensmtpd: "127.0.55.22", postfix: "127.0.55.23" } as const;
type Peer = keyof typeof PEERS;
/** An OpenSMTPD that breaks every handshake off. */
const BROKEN = "127.0.55.24";
const NAMES = Object.keys(PEERS) as Peer[];
const SIGNING = { algorithm: "ECDSAP256SHA256" };

const obtained = whyNoDane() === null ? await obtain() : { missing: whyNoDane()! };
if ("missing" in obtained) console.log(`dane_peers_test is skipped: ${obtained.missing}`);
else globalThis.addEventListener("unload", () => Deno.removeSync(obtained.folder, { recursive: true }));

/** The names of a server, what is published about each, and whether that is trust enough, or no reason to refuse mail. */
interface Case {
  readonly label: string;
  readonly records: readonly string[];
  /** By posttls-finger, and by us where we must. */
  readonly trusted: boolean;
  readonly delivered: boolean;
  /** The certificate names it. */
  readonly named: boolean;
}

function casesOf(leaf: Issued, ca: Issued, other: Issued): Case[] {
  const one = (label: string, records: string[], what: Partial<Case> = {}): Case => ({
    ...{ label, records, trusted: false, delivered: false, named: true },
    ...what,
  });
  const good = { trusted: true, delivered: true };
  return [
    one("ee", [tlsa(3, 1, 1, leaf)], good),
    one("ee-full", [tlsa(3, 0, 0, leaf)], good),
    one("ee-unnamed", [tlsa(3, 1, 1, leaf)], { ...good, named: false }), // RFC 7671 5.1
    one("ta", [tlsa(2, 0, 1, ca)], good),
    one("ta-key", [tlsa(2, 1, 2, ca)], good),
    one("next", [tlsa(3, 1, 1, other), tlsa(3, 1, 1, leaf)], good),
    one("wrong", [tlsa(3, 1, 1, other)]),
    one("wrong-ta", [tlsa(2, 0, 1, other)]),
    one("ta-unnamed", [tlsa(2, 0, 1, ca)], { named: false }),
    one("none", [], { delivered: true }),
    one("unusable", [tlsa(1, 0, 1, other)], { delivered: true }),
  ];
}

const LABELS = ["ee", "ee-full", "ta", "ta-key", "next", "wrong", "wrong-ta", "none", "unusable"];

async function certificateOf(domain: string, ca: Issued): Promise<Issued> {
  return await issue({
    name: domain,
    dns: [...LABELS.map((label) => `${label}.${domain}`), `host.plain.${domain}`],
    by: ca,
  });
}

function zoneLines(domain: string, address: string, cases: readonly Case[]): string {
  return cases.map(({ label, records }) =>
    `${label}.${domain}. A ${address}\nto-${label}.${domain}. MX 10 ${label}.${domain}.\n` +
    records.map((record) => `_25._tcp.${label}.${domain}. TLSA ${record}\n`).join("")
  ).join("");
}

function chain(...issued: readonly Issued[]) {
  return { pem: issued.map(({ pem }) => `${pem}\n`).join(""), keyPem: issued[0]!.keyPem };
}

interface Scene {
  readonly lab: DnsLab;
  readonly folder: string;
  readonly cases: Readonly<Record<Peer | "own" | "broken", readonly Case[]>>;
  readonly certificates: Readonly<
    Record<Peer | "own" | "broken", { readonly pem: string; readonly keyPem: string }>
  >;
}

async function makeScene(): Promise<Scene> {
  const ca = await issue({ name: "CA", by: null, ca: true }),
    other = await issue({ name: "other", by: null });
  const cases: Record<string, Case[]> = {};
  const certificates: Record<string, { pem: string; keyPem: string }> = {};
  const zones: LabZone[] = [];
  for (const [name, address] of Object.entries({ ...PEERS, own: OWN, broken: BROKEN })) {
    const domain = `${name}.test`;
    const leaf = await certificateOf(domain, ca);
    certificates[name] = chain(leaf, ca);
    cases[name] = casesOf(leaf, ca, other);
    // Below it a zone that nobody signs: its records are no reason for anything.
    const plain = `@ MX 10 host\nhost A ${address}\n_25._tcp.host TLSA ${tlsa(3, 1, 1, other)}`;
    zones.push({ name: `plain.${domain}`, address: ZONES, lines: plain });
    zones.push({
      name: domain,
      address: ZONES,
      signing: SIGNING,
      lines: zoneLines(domain, address, cases[name]!),
    });
  }
  const lab = await DnsLab.start([
    ...zones,
    { name: "test", address: TEST, lines: "", signing: SIGNING },
    { name: ".", address: ROOT, lines: "", signing: SIGNING },
  ]);
  const folder = await Deno.makeTempDir({ prefix: "veredus-dane-peers-" });
  await Deno.chmod(folder, 0o755);
  for (const [name, { pem, keyPem }] of Object.entries(certificates)) {
    await Deno.writeTextFile(`${folder}/${name}.pem`, pem);
    await Deno.writeTextFile(`${folder}/${name}.key`, keyPem);
  }
  return { lab, folder, cases, certificates } as unknown as Scene;
}

interface Servers {
  readonly exim: UnpackedMta;
  readonly opensmtpd: UnpackedMta;
  readonly postfix: Postfix;
}

/** The three servers, ended with the stack; what is not for own.test they give to `others`. */
async function startPeers(
  { folder, certificates }: Scene,
  others: number,
  stack: AsyncDisposableStack,
): Promise<Servers> {
  const unpacked = async (name: "exim" | "opensmtpd") => {
    const mta = await UnpackedMta.start(name, (obtained as { folder: string }).folder, {
      ...{ address: PEERS[name], port: 25, ours: others, others, certificate: certificates[name] },
      byMx: { domains: "*.own.test", dns: UNBOUND },
    });
    stack.defer(() => mta.stop());
    return mta;
  };
  const exim = await unpacked("exim");
  const opensmtpd = await unpacked("opensmtpd");
  const broken = await UnpackedMta.start("opensmtpd", (obtained as { folder: string }).folder, {
    ...{ address: BROKEN, port: 25, ours: others, others, certificate: certificates.broken, brokenTls: true },
  });
  stack.defer(() => broken.stop());
  const postfix = await Postfix.start(PEERS.postfix, {
    hostname: "postfix.test",
    dns: UNBOUND,
    main: {
      mynetworks: "127.0.0.0/8",
      transport_maps: `inline:{ {.own.test=smtp:} {*=smtp:[127.0.0.1]:${others}} }`,
      smtp_tls_security_level: "dane",
      smtp_dns_support_level: "dnssec",
      smtpd_tls_security_level: "may",
      smtpd_tls_received_header: "yes",
      smtpd_tls_chain_files: `${folder}/postfix.key, ${folder}/postfix.pem`,
      smtp_bind_address: "",
    },
  });
  stack.defer(() => postfix.remove());
  return { exim, opensmtpd, postfix };
}

/** What the server says of how it took a message: under TLS, and the broken one in clear. */
const TAKEN: Readonly<Record<Peer | "broken", RegExp>> = {
  exim: /^Received: .* with esmtps /,
  opensmtpd: /^Received: .*\(OpenSMTPD\) with ESMTPS /,
  postfix: /^Received: .*\(using TLSv1\.3 /,
  broken: /^Received: .*\(OpenSMTPD\) with ESMTP id /,
};

Deno.test({
  name:
    "Exim, OpenSMTPD and Postfix: we and posttls-finger judge them by their records, and they judge us by ours",
  ignore: "missing" in obtained,
  fn: async (t) => {
    const scene = await makeScene();
    const { lab, folder, cases } = scene;
    await using stack = new AsyncDisposableStack();
    stack.defer(async () => {
      await lab.stop();
      await Deno.remove(folder, { recursive: true });
    });
    await using others = new FakeSmtpServer();
    await lab.unbound(UNBOUND, 53);
    const { exim, opensmtpd, postfix } = await startPeers(scene, others.port, stack);
    using resolver = createResolver({
      ...{ ...DEFAULT_RESOLVER, dnssec: "on", trustAnchors: lab.anchors, timeoutMs: 10_000 },
      ...{ mode: "iterative", rootServers: [`${ROOT}:${lab.port}`] },
    });
    const steps: boolean[] = [];
    const step = async (name: string, run: () => Promise<void>) => void steps.push(await t.step(name, run));
    await step("as next hops of our sender", async () => {
      // OpenSMTPD lets five connections wait. The kernel tells us that further ones are open, and has it know of them half a minute later.
      await using queue = await QueueHarness.open({
        outbound: { resolver },
        security: { dane: true },
        options: { connections: 5 },
      });
      queue.start();
      const all = NAMES.flatMap((peer): { peer: Peer | "broken"; delivered: boolean; to: string }[] => [
        ...cases[peer].map((one) => ({
          peer,
          delivered: one.delivered,
          to: `x@to-${one.label}.${peer}.test`,
        })),
        { peer, delivered: true, to: `x@plain.${peer}.test` },
      ]);
      all.push({ peer: "broken", delivered: false, to: "x@to-ee.broken.test" });
      all.push({ peer: "broken", delivered: true, to: "x@to-none.broken.test" });
      await queue.submit({ to: all.map(({ to }) => to) });
      const replies = new Map(
        (await queue.deferred()).map(({ recipient, lastReply }) => [recipient, lastReply]),
      );
      for (const { delivered, to } of all) {
        if (delivered) assert.equal(replies.get(to), undefined, `${to}: ${replies.get(to)}`);
        else assert.match(replies.get(to) ?? "delivered", /^4\.7\.5 /, to);
      }
      for (const { peer, delivered, to } of all) {
        const found = () => others.messages.filter(({ recipients }) => recipients.includes(to));
        if (!delivered) {
          assert.deepEqual(found(), [], to);
          continue;
        }
        const [message] = await until(`${to} behind ${peer}`, () => found().length > 0 && found());
        const [received] = message!.data.replace(/\r\n[\t ]+/g, " ").split("\r\n");
        assert.match(received!, TAKEN[peer], to);
      }
    });

    await step("posttls-finger", async () => {
      for (const peer of NAMES) {
        for (const { label, trusted } of cases[peer]) {
          const judged = await finger(UNBOUND, `[${label}.${peer}.test]`);
          assert.equal(judged.trusted, trusted, `${label}.${peer}.test:\n${judged.said}`);
        }
      }
    });

    await step(
      "as senders through us: refused by who does DANE where our record is wrong, taken under TLS else",
      async () => {
        const labels = ["wrong", "wrong-ta", "ta-unnamed", "ee", "ee-full", "ta", "next", "none"];
        const domains = labels.map((label) => `to-${label}.own.test`);
        const ops = domains.map((name): WriteOp => ({
          kind: "put-domain",
          domain: domainRow({ name, aliasOf: "example.test" }),
        }));
        const certificates = [{ certificate: `${folder}/own.pem`, key: `${folder}/own.key`, nextKey: "" }];
        const listeners = [
          { ...defaultListener("smtp"), address: OWN, port: 25 },
          { ...defaultListener("imap"), address: "127.0.0.1", port: 0 },
        ];
        await using server = await RunningServer.start({
          ...{ threads: 0, config: { hostname: "mx.own.test", certificates, listeners }, ops },
        });
        const wrong = (label: string) => !cases.own.find((one) => one.label === label)!.delivered;
        // It opens a connection every few seconds.
        const labelsOf = (peer: Peer) => peer === "opensmtpd" ? ["wrong", "ee", "none"] : labels;
        for (const peer of NAMES) {
          const client = await SmtpClient.connect(25, { hostname: PEERS[peer] });
          for (const label of labelsOf(peer)) {
            const to = `alice@to-${label}.own.test`;
            await client.send(`x@${peer}.test`, [to], `Subject: ${peer} ${label}\r\n\r\nbody\r\n`);
          }
          await client.quit();
        }
        const wanted = NAMES.flatMap((peer) =>
          labelsOf(peer).filter((label) => peer === "opensmtpd" || !wrong(label)).map((label) =>
            `${peer} ${label}`
          )
        ).sort();
        const came = await until("the mail of all three", async () => {
          const found = await inbox(server);
          return found.length >= wanted.length && found;
        }, 90_000);
        for (const message of came) {
          assert.match(message, /^Received: from [^;]* with (UTF8SMTPS|ESMTPS)\b/m);
        }
        await until("Postfix to put off what it refuses", async () => {
          const waiting = (await postfix.queue()).flatMap(({ recipients }) => recipients);
          return labels.filter(wrong).every((label) =>
            waiting.some(({ address, delay_reason = "" }) =>
              address === `alice@to-${label}.own.test` &&
              /not trusted|not verified|TLSA/i.test(delay_reason)
            )
          );
        });
        for (const label of labels.filter(wrong)) {
          await until(
            `Exim to put off ${label}`,
            () =>
              exim.log().split("\n").some((line) =>
                line.includes(`alice@to-${label}.own.test`) && / == .*(DANE|TLS session)/i.test(line)
              ),
          );
        }
        const subjects = (await inbox(server)).map((message) => /^Subject: (.*)\r$/m.exec(message)![1]!)
          .sort();
        assert.deepEqual(subjects, wanted);
      },
    );
    if (steps.includes(false)) {
      console.log(
        `OpenSMTPD said:\n${opensmtpd.log()}\nExim said:\n${exim.log()}\nPostfix said:\n${postfix.log()}`,
      );
      console.log(Deno.readTextFileSync(`${lab.folder}/unbound.log`).split("\n").slice(-60).join("\n"));
    }
  },
});

async function inbox(server: RunningServer): Promise<string[]> {
  const client = await server.imap();
  await client.ok("SELECT INBOX");
  const { untagged } = await client.ok("UID FETCH 1:* (BODY.PEEK[])");
  await client.logout();
  return untagged.filter(({ literals }) => literals.length > 0).map(literalText);
}
