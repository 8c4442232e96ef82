/**
 * Validation over real, signed and broken zones: our resolver, iterative and forwarding, against Debian's unbound.
 *
 * The same root, the same zones, the same questions: the same answers and the same security.
 */
import assert from "node:assert/strict";
import { lookupMx } from "../../dns/mx.ts";
import { parseType } from "../../dns/rdata.ts";
import { ResolveError } from "../../dns/resolver.ts";
import { DEFAULT_RESOLVER } from "../../server/config/defaults.ts";
import { createResolver, type ThreadResolver } from "../../server/resolver.ts";
import { DnsLab, type LabZone, missingPrograms } from "../lib/dns_lab.ts";

const ROOT = "127.0.53.1",
  TEST = "127.0.53.2",
  ZONES = "127.0.53.3",
  OTHER = "127.0.53.4",
  ORACLE = "127.0.53.9";
const LINES = [
  "@ MX 10 mx",
  "mx A 192.0.2.1",
  "mx TXT text",
  "_25._tcp.mx TLSA 3 1 1 " + "ab".repeat(32),
  "*.wild A 192.0.2.2",
  "*.wild MX 5 mx",
  "a.b.c A 192.0.2.3",
  "alias CNAME mx",
  "away CNAME mx.plain.test.",
  "inward CNAME q.wild",
  "d DNAME wild",
  "loop1 CNAME loop2",
  "loop2 CNAME loop1",
  '@ CAA 0 issue "ca.example"',
  "svc HTTPS 1 . alpn=h2",
  "old TYPE65280 \\# 2 0a0b",
  ...Array.from({ length: 30 }, (_, at) => `big TXT "${at} ${"x".repeat(100)}"`),
].join("\n");
const ECDSA = { algorithm: "ECDSAP256SHA256" };

function without(pattern: RegExp): (text: string) => string {
  return (text) => text.split("\n").filter((line) => !pattern.test(line)).join("\n");
}

function zone(label: string, parts: Partial<LabZone> = {}): LabZone {
  return { name: `${label}.test`, address: ZONES, lines: LINES, signing: ECDSA, ...parts };
}

const LAB: readonly LabZone[] = [
  zone("good"),
  zone("rsa256", { signing: { algorithm: "RSASHA256" } }),
  zone("rsa512", { signing: { algorithm: "RSASHA512" } }),
  zone("p384", { signing: { algorithm: "ECDSAP384SHA384", digest: "SHA-384" } }),
  zone("ed25519", { signing: { algorithm: "ED25519" } }),
  zone("nsec3", { signing: { ...ECDSA, nsec3: { iterations: 5, optOut: false } } }),
  { name: "below.optout.test", address: OTHER, lines: LINES },
  zone("optout", { signing: { ...ECDSA, nsec3: { iterations: 0, optOut: true } } }),
  zone("iterations", { signing: { ...ECDSA, nsec3: { iterations: 160, optOut: false } } }),
  { name: "plain.test", address: OTHER, lines: LINES },
  zone("nods", { signing: { ...ECDSA, ds: false } }),
  zone("expired", { signing: { ...ECDSA, extra: ["-s", "20200101000000", "-e", "20200201000000"] } }),
  zone("future", { signing: { ...ECDSA, extra: ["-s", "20500101000000", "-e", "20500201000000"] } }),
  zone("wrongkey", { spoilDs: (lines) => lines.replace(/ ([0-9A-F]{8})/, " DEADBEEF") }),
  zone("unsigned", { spoil: without(/\sRRSIG\s/) }),
  zone("stripped", { spoil: without(/^mx\..*\sRRSIG\sA\s/) }),
  zone("lie", { spoil: (text) => text.replace(/192\.0\.2\.1\b/, "192.0.2.66") }),
  zone("gap", { spoil: without(/\sNSEC\s/) }),
  zone("nokey", { spoil: without(/\sDNSKEY\s/) }),
  // It says that there is no such name, or no such record, and its own NSEC knows better.
  zone("denied", { spoil: without(/^mx\..*\s(RRSIG\s)?A\s/) }),
  zone("nodenial", { spoil: without(/^mx\./) }),
  zone("corrupt", { spoil: (text) => text.replaceAll(/(\sRRSIG\s.*\s)\S{4}(\S+)$/gm, "$1AAAA$2") }),
  // Of a kind that nobody knows: insecure, not bogus.
  zone("algorithm", { spoilDs: (lines) => lines.replaceAll(/(\sDS\s+\d+) \d+/g, "$1 99") }),
  zone("digest", { spoilDs: (lines) => lines.replaceAll(/(\sDS\s+\d+ \d+) \d+/g, "$1 99") }),
  { name: "lame.test", address: OTHER, lines: LINES, served: false },
  {
    name: "test",
    address: TEST,
    lines: "circle1 NS ns.circle2\ncircle2 NS ns.circle1",
    signing: { algorithm: "ED25519" },
  },
  { name: ".", address: ROOT, lines: "", signing: { algorithm: "RSASHA256" } },
];

/** For every signed zone, good or broken. */
const QUESTIONS: readonly (readonly [string, string])[] = [
  ["@", "MX"],
  ["mx", "A"],
  ["mx", "AAAA"],
  ["_25._tcp.mx", "TLSA"],
  ["missing", "A"],
  ["not.missing", "MX"],
  ["q.wild", "A"],
  ["q.wild", "AAAA"],
  ["b.c", "A"],
  ["alias", "A"],
  ["away", "A"],
  ["inward", "A"],
  ["x.d", "A"],
  ["@", "CAA"],
  ["@", "DNSKEY"],
  ["@", "DS"],
  ["svc", "HTTPS"],
  ["old", "TYPE65280"],
  ["big", "TXT"],
  ["loop1", "A"],
];

/** Zones that are asked about; the servers of the last two can only be found by way of each other. */
const APEXES = [
  ...LAB.filter(({ address }) => address === ZONES || address === OTHER).map(({ name }) => name),
  "circle1.test",
];

interface Outcome {
  readonly rcode: string;
  readonly secure: boolean;
  readonly records: number;
}

async function ours(
  resolver: ThreadResolver,
  name: string,
  type: string,
): Promise<Outcome & { why: string }> {
  try {
    const found = await resolver.query(name, parseType(type)!);
    return {
      rcode: found.status === "no-such-domain" ? "NXDOMAIN" : "NOERROR",
      secure: found.security === "secure",
      records: found.records.length,
      why: found.reason?.text ?? "",
    };
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    assert.ok(error.temporary, error.message);
    return { rcode: "SERVFAIL", secure: false, records: 0, why: error.message };
  }
}

async function oracle(lab: DnsLab, name: string, type: string): Promise<Outcome> {
  const text = await lab.dig(ORACLE, name, type, "+adflag");
  const rcode = /status: (\w+)/.exec(text)?.[1] ?? "";
  const lines = text.split("\n").filter((line) => new RegExp(`\\sIN\\s${type}\\s`).test(line));
  return { rcode, secure: /flags: [a-z ]*\bad\b/.test(text), records: lines.length };
}

/** Questions about a zone that the two answer otherwise. */
async function differences(lab: DnsLab, resolver: ThreadResolver, apex: string): Promise<string[]> {
  const faults: string[] = [];
  for (const [label, type] of QUESTIONS) {
    const name = label === "@" ? apex : `${label}.${apex}`;
    const [{ why, ...mine }, theirs] = [await ours(resolver, name, type), await oracle(lab, name, type)];
    if (JSON.stringify(mine) !== JSON.stringify(theirs)) {
      faults.push(`${name} ${type}: ${JSON.stringify(mine)} (${why}), unbound ${JSON.stringify(theirs)}`);
    }
  }
  return faults;
}

Deno.test("the same answers and the same security as unbound", async (t) => {
  const missing = missingPrograms();
  if (missing.length > 0) return console.log(`skipped, not installed: ${missing.join(", ")}`);
  const lab = await DnsLab.start(LAB);
  const common = { ...DEFAULT_RESOLVER, dnssec: "on" as const, trustAnchors: lab.anchors, timeoutMs: 2_000 };
  using iterative = createResolver({ ...common, mode: "iterative", rootServers: [`${ROOT}:${lab.port}`] });
  try {
    await lab.unbound(ORACLE);
    using forwarding = createResolver({ ...common, mode: "forward", servers: [`${ORACLE}:${lab.port}`] });
    for (const [mode, resolver] of Object.entries({ iterative, forwarding })) {
      for (const apex of APEXES) {
        await t.step(`${mode}: ${apex}`, async () => {
          assert.deepEqual(await differences(lab, resolver, apex), []);
        });
      }
    }
    await t.step("reasons are told", async () => {
      const reason = async (name: string) => {
        try {
          const { security, reason } = await iterative.query(name, 1);
          return [security, reason?.code ?? null];
        } catch (error) {
          return error instanceof ResolveError ? [error.fault, error.reason.code] : String(error);
        }
      };
      assert.deepEqual(
        {
          expired: await reason("mx.expired.test"),
          future: await reason("mx.future.test"),
          wrongkey: await reason("mx.wrongkey.test"),
          stripped: await reason("mx.stripped.test"),
          lie: await reason("mx.lie.test"),
          gap: await reason("missing.gap.test"),
          iterations: await reason("missing.iterations.test"),
          algorithm: await reason("mx.algorithm.test"),
          digest: await reason("mx.digest.test"),
          plain: await reason("mx.plain.test"),
          optout: await reason("missing.optout.test"),
          lame: await reason("mx.lame.test"),
          loop: await reason("loop1.good.test"),
          good: await reason("mx.good.test"),
        },
        {
          expired: ["bogus", 7],
          future: ["bogus", 8],
          wrongkey: ["bogus", 9],
          stripped: ["bogus", 10],
          lie: ["bogus", 6],
          gap: ["bogus", 12],
          iterations: ["insecure", 27],
          algorithm: ["insecure", 1],
          digest: ["insecure", 2],
          plain: ["insecure", 0],
          optout: ["insecure", 0],
          lame: ["server-failure", 22],
          loop: ["cname-chain", 0],
          good: ["secure", null],
        },
      );
    });
    await t.step("where mail goes is known to be secure, or waits", async () => {
      const good = await lookupMx(iterative, "good.test", Math.random);
      assert.ok(good.kind === "hosts" && good.secure);
      const plain = await lookupMx(iterative, "plain.test", Math.random);
      assert.ok(plain.kind === "hosts" && !plain.secure);
      const lie = await lookupMx(iterative, "expired.test", Math.random);
      assert.ok(lie.kind === "failed" && lie.temporary, JSON.stringify(lie));
    });
  } finally {
    await lab.stop();
  }
});

Deno.test("the same when bind9 and knot serve the zones", async (t) => {
  const missing = missingPrograms("bind9", "knot");
  if (missing.length > 0) return console.log(`skipped, not installed: ${missing.join(", ")}`);
  // bind9 listens at addresses that an interface names.
  const served = { knot: "127.0.53.5", bind9: "127.0.0.1" } as const;
  const kinds = ["good", "nsec3", "optout", "expired", "wrongkey", "nods", "stripped", "lie", "gap"];
  const zones = (["knot", "bind9"] as const).flatMap((by) =>
    LAB.filter(({ name }) => kinds.includes(name.split(".")[0]!))
      .map((one) => ({ ...one, name: one.name.replace(".test", `.${by}`), address: served[by], by }))
  );
  const lab = await DnsLab.start([
    ...zones,
    ...(["knot", "bind9"] as const).map((name) => ({ name, address: TEST, lines: "", signing: ECDSA })),
    { name: "plain.test", address: OTHER, lines: LINES },
    { name: "test", address: TEST, lines: "", signing: ECDSA },
    { name: ".", address: ROOT, lines: "", signing: ECDSA },
  ]);
  using resolver = createResolver({
    ...{ ...DEFAULT_RESOLVER, dnssec: "on", trustAnchors: lab.anchors, timeoutMs: 2_000 },
    ...{ mode: "iterative", rootServers: [`${ROOT}:${lab.port}`] },
  });
  try {
    await lab.unbound(ORACLE);
    for (const { name } of zones) {
      await t.step(name, async () => assert.deepEqual(await differences(lab, resolver, name), []));
    }
  } finally {
    await lab.stop();
  }
});
