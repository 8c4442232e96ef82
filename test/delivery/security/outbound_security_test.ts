/** TLS towards other servers, end to end: who gets mail and who does not, by DANE, MTA-STS, rules and memory. */
import assert from "node:assert/strict";
import { DEFAULT_OUTBOUND_TLS } from "../../../server/config/defaults.ts";
import { createHash } from "node:crypto";
import type { SecurityOptions } from "../../../delivery/security/transport_security.ts";
import type { DataOf } from "../../../dns/rdata.ts";
import { denoConnector } from "../../../server/outgoing.ts";
import type { QueueTls } from "../../../storage/ops.ts";
import { registry } from "../../../telemetry/metrics.ts";
import { a, type MockEntry, MockResolver, mx, txt } from "../../lib/mock_resolver.ts";
import { freePort } from "../../lib/ports.ts";
import { issue, type Issued } from "../../lib/test_ca.ts";
import { TlsSmtpServer } from "../../lib/tls_smtp_server.ts";
import { QueueHarness } from "../queue_harness.ts";

const root = await issue({ name: "root.test", by: null, ca: true });
const good = await issue({ name: "mx.one.test", dns: ["mx.one.test"], by: root });
const wrongName = await issue({ name: "mx.two.test", dns: ["mx.two.test"], by: root });
const unknown = await issue({ name: "mx.one.test", dns: ["mx.one.test"], by: null });
const trusting = denoConnector({ extraRoots: [root.pem] });

function tlsa(usage: number, of: Issued): DataOf<"TLSA"> {
  const octets = usage === 2 ? of.der : of.spki;
  const association = new Uint8Array(createHash("sha256").update(octets).digest());
  return { type: "TLSA", usage, selector: usage === 2 ? 0 : 1, matching: 1, association };
}

const HOUR = 3_600_000, DAY = 24 * HOUR;

interface Case {
  readonly name: string;
  /** Null: a server without STARTTLS. */
  readonly chain: readonly Issued[] | null;
  /** Not signed by DNSSEC: these names. */
  readonly insecure?: readonly string[];
  readonly tlsa?: MockEntry;
  readonly policy?: string;
  readonly options?: Partial<SecurityOptions>;
  readonly need?: QueueTls;
  /** How long ago, milliseconds, it took mail under TLS. */
  readonly learned?: number;
  /** How the message arrives; a pattern: it waits with this reply. */
  readonly expected: "tls" | "clear" | RegExp;
  /** Policy and result that are counted for the report. */
  readonly seen?: readonly string[];
}

function sts(mode: string, host = "mx.one.test"): string {
  return `version: STSv1\nmode: ${mode}\nmx: ${host}\nmax_age: 86400\n`;
}

const CASES: readonly Case[] = [
  {
    name: "no policy: TLS where it is offered",
    chain: [unknown],
    expected: "tls",
    seen: ["no-policy-found ok"],
  },
  {
    name: "no policy: else in clear",
    chain: null,
    expected: "clear",
    seen: ["no-policy-found starttls-not-supported"],
  },
  {
    name: "DANE-EE that matches",
    chain: [unknown],
    tlsa: [tlsa(3, unknown)],
    expected: "tls",
    seen: ["tlsa ok"],
  },
  {
    name: "DANE-EE that does not",
    chain: [unknown],
    tlsa: [tlsa(3, good)],
    expected: /^4\.7\.5 TLS failed: no TLSA record matches/,
    seen: ["tlsa certificate-not-trusted"],
  },
  { name: "DANE-TA that matches", chain: [good, root], tlsa: [tlsa(2, root)], expected: "tls" },
  {
    name: "DANE-TA with another name",
    chain: [wrongName, root],
    tlsa: [tlsa(2, root)],
    expected: /^4\.7\.5 TLS failed: the certificate is not for/,
    seen: ["tlsa certificate-host-mismatch"],
  },
  {
    name: "DANE and no STARTTLS",
    chain: null,
    tlsa: [tlsa(3, good)],
    expected: /^4\.7\.4 TLS is required/,
    seen: ["tlsa starttls-not-supported"],
  },
  {
    name: "unusable records: TLS there must be, with any certificate",
    chain: [unknown],
    tlsa: [tlsa(1, good)],
    expected: "tls",
  },
  { name: "unusable records and no STARTTLS", chain: null, tlsa: [tlsa(1, good)], expected: /^4\.7\.4/ },
  {
    name: "records that cannot be had: the host must not be used",
    chain: [good],
    tlsa: "server-failure",
    expected: /^4\.7\.5 the TLSA records of mx\.one\.test cannot be had/,
    seen: ["tlsa dnssec-invalid"],
  },
  { name: "bogus records", chain: [good], tlsa: "bogus", expected: /^4\.7\.5 the TLSA records/ },
  { name: "no records", chain: null, tlsa: "no-data", expected: "clear" },
  {
    name: "MX records without DNSSEC: no DANE",
    chain: [unknown],
    insecure: ["one.test"],
    tlsa: [tlsa(3, good)],
    expected: "tls",
  },
  {
    name: "addresses without DNSSEC: no DANE, and nobody asks",
    chain: null,
    insecure: ["mx.one.test"],
    tlsa: "server-failure",
    expected: "clear",
  },
  {
    name: "records without DNSSEC count for nothing",
    chain: [unknown],
    insecure: ["_PORT._tcp.mx.one.test"],
    tlsa: [tlsa(3, good)],
    expected: "tls",
  },
  {
    name: "DANE switched off",
    chain: [unknown],
    tlsa: [tlsa(3, good)],
    options: { dane: false },
    expected: "tls",
  },
  { name: "MTA-STS enforced", chain: [good], policy: sts("enforce"), expected: "tls", seen: ["sts ok"] },
  {
    name: "MTA-STS enforced, certificate of nobody known",
    chain: [unknown],
    policy: sts("enforce"),
    expected: /^4\.7\.5 TLS failed: the certificate is not trusted/,
    seen: ["sts certificate-not-trusted"],
  },
  {
    name: "MTA-STS enforced, another name",
    chain: [wrongName],
    policy: sts("enforce"),
    expected: /^4\.7\.5 TLS failed: the certificate is not for mx\.one\.test/,
  },
  { name: "MTA-STS enforced, no STARTTLS", chain: null, policy: sts("enforce"), expected: /^4\.7\.4/ },
  {
    name: "MTA-STS enforced, host not in it",
    chain: [good],
    policy: sts("enforce", "other.one.test"),
    expected: /^4\.7\.5 the MTA-STS policy of one\.test does not name mx\.one\.test/,
    seen: ["sts validation-failure"],
  },
  {
    name: "MTA-STS testing: told of, and delivered",
    chain: [unknown],
    policy: sts("testing"),
    expected: "tls",
    seen: ["sts certificate-not-trusted"],
  },
  {
    name: "MTA-STS testing without STARTTLS",
    chain: null,
    policy: sts("testing"),
    expected: "clear",
    seen: ["sts starttls-not-supported"],
  },
  {
    name: "MTA-STS testing, host not in it",
    chain: [good],
    policy: sts("testing", "other.test"),
    expected: "tls",
  },
  { name: "MTA-STS none", chain: null, policy: sts("none"), expected: "clear" },
  {
    name: "MTA-STS broken: delivered, told of",
    chain: null,
    policy: "version: STSv9",
    expected: "clear",
    seen: ["no-policy-found starttls-not-supported", "no-policy-found sts-policy-invalid"],
  },
  {
    name: "MTA-STS never overrides DANE",
    chain: [good],
    tlsa: [tlsa(3, unknown)],
    policy: sts("enforce"),
    expected: /^4\.7\.5 TLS failed: no TLSA record/,
  },
  {
    name: "DANE is enough where MTA-STS would not be",
    chain: [unknown],
    tlsa: [tlsa(3, unknown)],
    policy: sts("enforce"),
    expected: "tls",
  },
  {
    name: "TLS-Required: No goes past DANE and MTA-STS",
    chain: null,
    tlsa: [tlsa(3, good)],
    policy: sts("enforce"),
    need: "optional",
    expected: "clear",
  },
  {
    name: "a rule: none",
    chain: [good],
    options: { rules: [{ domains: ["one.test"], level: "none" }] },
    expected: "clear",
  },
  {
    name: "a rule: encrypted",
    chain: null,
    options: { rules: [{ domains: ["*.test"], level: "encrypted" }] },
    expected: /^4\.7\.4/,
  },
  {
    name: "a rule: verified, kept",
    chain: [good],
    options: { rules: [{ domains: ["one.test"], level: "verified" }] },
    expected: "tls",
  },
  {
    name: "a rule: verified, broken",
    chain: [unknown],
    options: { rules: [{ domains: ["one.test"], level: "verified" }] },
    expected: /^4\.7\.5 TLS failed: the certificate is not trusted/,
  },
  {
    name: "a rule: dane without records",
    chain: [good],
    options: { rules: [{ domains: ["one.test"], level: "dane" }] },
    expected: /^4\.7\.5 DANE is required for one\.test/,
    seen: ["no-policy-found dane-required"],
  },
  {
    name: "a rule goes before a policy",
    chain: [unknown],
    policy: sts("enforce"),
    options: { rules: [{ domains: ["one.test"], level: "opportunistic" }] },
    expected: "tls",
  },
  { name: "learned, warned of", chain: null, learned: HOUR, options: { learned: "warn" }, expected: "clear" },
  {
    name: "learned, refused",
    chain: null,
    learned: 29 * DAY,
    options: { learned: "refuse" },
    expected: /^4\.7\.4 TLS is required/,
  },
  {
    name: "learned, and forgotten after 30 days",
    chain: null,
    learned: 31 * DAY,
    options: { learned: "refuse" },
    expected: "clear",
  },
  { name: "nothing learned", chain: null, options: { learned: "refuse" }, expected: "clear" },
];

/** Connections in clear to domains that took mail under TLS. */
async function lost(): Promise<number> {
  return (await registry.getSingleMetric("veredus_outbound_tls_lost_total")!.get()).values[0]?.value ?? 0;
}

/** Connections that TLS prevented, and recipients that were not reached for it, so far. */
async function tlsTrouble(): Promise<[connections: number, recipients: number]> {
  const opened = await registry.getSingleMetric("veredus_queue_connections_total")!.get();
  const recipients = await registry.getSingleMetric("veredus_queue_tls_trouble_total")!.get();
  return [
    opened.values.find(({ labels }) => labels["result"] === "tls")?.value ?? 0,
    recipients.values[0]?.value ?? 0,
  ];
}

for (const test of CASES) {
  Deno.test(test.name, async () => {
    const before = await tlsTrouble();
    await using server = new TlsSmtpServer("127.0.0.2", 0, test.chain);
    const tlsaName = `_${server.port}._tcp.mx.one.test`;
    const resolver = new MockResolver({
      "one.test MX": [mx(10, "mx.one.test")],
      "mx.one.test A": [a("127.0.0.2")],
      ...(test.tlsa !== undefined && { [`${tlsaName} TLSA`]: test.tlsa }),
      ...(test.policy !== undefined && { "_mta-sts.one.test TXT": [txt("v=STSv1; id=1")] }),
    });
    resolver.security = "secure";
    for (const name of test.insecure ?? []) {
      resolver.securityOf.set(name.replace("_PORT._tcp.mx.one.test", tlsaName), "insecure");
    }
    await using queue = await QueueHarness.open({
      outbound: { resolver, connector: trusting, smtpPort: server.port },
      security: { dane: true, mtaSts: true, learned: "off", ...test.options },
      ...(test.policy !== undefined && { policies: { "one.test": test.policy } }),
    });
    const lostBefore = await lost();
    if (test.learned !== undefined) {
      const at = Date.now() - test.learned;
      const row = { key: "one.test", firstAt: at, lastAt: at, count: 1, expiresAt: at + 30 * DAY, note: "" };
      await queue.t.ok({ kind: "put-state", rows: [{ ...row, kind: "tls-seen" }], add: false });
    }
    queue.start();
    await queue.submit({ to: ["x@one.test"], entry: { tls: test.need ?? "" } });
    const [row] = await queue.deferred();
    if (test.expected instanceof RegExp) {
      assert.match(row?.lastReply ?? "delivered", test.expected);
      assert.deepEqual(server.messages, []);
      assert.ok(!server.heard.some((line) => line.includes("MAIL")), server.heard.join("\n"));
    } else {
      assert.equal(row?.lastReply ?? null, null);
      assert.deepEqual(server.messages, [test.expected]);
    }
    assert.equal(await lost() - lostBefore, test.options?.learned === "warn" ? 1 : 0, "warned of");
    const waits = test.expected instanceof RegExp ? 1 : 0;
    assert.deepEqual(await tlsTrouble(), before.map((count) => count + waits));
    if (test.seen === undefined) return;
    await queue.observations.flush();
    const tomorrow = Date.now() + 86_400_000;
    const seen = queue.t.store.reports.observedBefore("tls", tomorrow, 10).flatMap((of) =>
      queue.t.store.reports.observed("tls", of, 10).map(({ row }) => JSON.parse(row))
    );
    assert.deepEqual(seen.map(({ policy, result }) => `${policy.type} ${result ?? "ok"}`).sort(), test.seen);
  });
}

Deno.test("the next host is used where the first one's TLS is not as it must be", async () => {
  await using first = new TlsSmtpServer("127.0.0.2", 0, [unknown]);
  await using second = new TlsSmtpServer("127.0.0.3", first.port, [unknown]);
  const resolver = new MockResolver({
    "one.test MX": [mx(10, "mx.one.test"), mx(20, "mx2.one.test")],
    "mx.one.test A": [a("127.0.0.2")],
    "mx2.one.test A": [a("127.0.0.3")],
    [`_${first.port}._tcp.mx.one.test TLSA`]: [tlsa(3, good)],
    [`_${first.port}._tcp.mx2.one.test TLSA`]: [tlsa(3, unknown)],
  });
  resolver.security = "secure";
  await using queue = await QueueHarness.open({
    outbound: { resolver, smtpPort: first.port },
    security: { dane: true },
  });
  queue.start();
  await queue.submit({ to: ["x@one.test"] });
  await queue.empty();
  assert.deepEqual([first.messages, second.messages], [[], ["tls"]]);
});

Deno.test("an alias: the records of where it leads, then its own; the handshake asks for that name", async () => {
  for (const at of ["host.one.test", "mx.one.test"]) {
    await using server = new TlsSmtpServer("127.0.0.2", 0, [good, root]);
    const resolver = new MockResolver({
      "one.test MX": [mx(10, "mx.one.test")],
      "mx.one.test CNAME": [{ type: "CNAME", target: "host.one.test" }],
      "host.one.test A": [a("127.0.0.2")],
      [`_${server.port}._tcp.${at} TLSA`]: [tlsa(2, root)],
    });
    resolver.security = "secure";
    await using queue = await QueueHarness.open({
      outbound: { resolver, smtpPort: server.port },
      security: { dane: true },
    });
    queue.start();
    await queue.submit({ to: ["x@one.test"] });
    await queue.empty();
    assert.deepEqual(server.messages, ["tls"], at);
  }
});

Deno.test("out of the box a domain that lost its TLS is warned of", () => {
  assert.equal(DEFAULT_OUTBOUND_TLS.learned, "warn");
});

Deno.test("what takes mail under TLS is remembered", async () => {
  await using server = new TlsSmtpServer("127.0.0.2", 0, [unknown]);
  const resolver = new MockResolver({
    "one.test MX": [mx(1, "mx.one.test")],
    "mx.one.test A": [a("127.0.0.2")],
  });
  await using queue = await QueueHarness.open({
    outbound: { resolver, smtpPort: server.port },
    security: { learned: "warn" },
  });
  queue.start();
  await queue.submit({ to: ["x@one.test"] });
  await queue.empty();
  const row = queue.t.store.policy.get("tls-seen", "one.test", Date.now());
  const days = (row!.expiresAt - Date.now()) / DAY;
  assert.ok(days > 29 && days <= 30, String(days));
});

Deno.test("a host that cannot be reached is no trouble with TLS", async () => {
  const before = await tlsTrouble();
  const resolver = new MockResolver({
    "one.test MX": [mx(10, "mx.one.test")],
    "mx.one.test A": [a("127.0.0.2")],
  });
  await using queue = await QueueHarness.open({ outbound: { resolver, smtpPort: freePort() } });
  queue.start();
  await queue.submit({ to: ["x@one.test"] });
  const [row] = await queue.deferred();
  assert.match(row!.lastReply, /^4\.4\.1 /);
  assert.deepEqual(await tlsTrouble(), before);
});
