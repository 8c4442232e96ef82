/**
 * Aggressive use of what was proved (RFC 8198) over zones signed by Debian's tools and served by nsd, knot and bind9: once a
 * zone's denials are known, other names in it are answered without a question, and as unbound answers them.
 */
import assert from "node:assert/strict";
import { TYPE_CODES } from "../../dns/rdata.ts";
import { DEFAULT_RESOLVER } from "../../server/config/defaults.ts";
import { createResolver, type ThreadResolver } from "../../server/resolver.ts";
import { exposition, metricsAsJson } from "../../telemetry/metrics.ts";
import { DnsLab, type LabZone, missingPrograms, type ServerProgram } from "../lib/dns_lab.ts";

const ROOT = "127.0.55.1", TEST = "127.0.55.2", ORACLE = "127.0.55.9", PLAIN = "127.0.55.4";
/** bind9 listens at addresses that an interface names. */
const SERVED = { nsd: "127.0.55.3", knot: "127.0.55.5", bind9: "127.0.0.1" } as const;
const ECDSA = { algorithm: "ECDSAP256SHA256" };
const LINES = [
  "@ MX 10 mx",
  "mx A 192.0.2.1",
  "*.wild A 192.0.2.2",
  "*.wild MX 5 mx",
  "x.wild TXT closer",
  "a.b.c A 192.0.2.3",
  "alias CNAME mx",
  "*.links CNAME mx",
  "d DNAME wild",
].join("\n");
const SIGNING: Readonly<Record<string, NonNullable<LabZone["signing"]>>> = {
  nsec: ECDSA,
  nsec3: { ...ECDSA, nsec3: { iterations: 5, optOut: false } },
  optout: { ...ECDSA, nsec3: { iterations: 0, optOut: true } },
};
const BY = Object.keys(SERVED) as ServerProgram[];
const ZONES = BY.flatMap((by) =>
  Object.entries(SIGNING).map(([label, signing]): LabZone => ({
    ...{ name: `${label}.${by}`, address: SERVED[by], by, signing },
    lines: LINES,
  }))
);
/** Each opt-out zone has an unsigned one below it. */
const BELOW = BY.map((by): LabZone => ({
  name: `below.optout.${by}`,
  address: PLAIN,
  lines: "@ A 192.0.2.4\nwww A 192.0.2.5",
}));
const ABOVE = ["", "wild.", "b.c.", "c.", "mx.", "links.", "x.wild."];

type Question = readonly [string, "A" | "AAAA" | "MX" | "TXT"];

function questions(round: string): Question[] {
  return ABOVE.flatMap((above) =>
    Array.from({ length: 10 }, (_, at): Question => [
      `${round}${at}.${above}`,
      (["A", "A", "AAAA", "MX", "TXT"] as const)[at % 5]!,
    ])
  );
}

/** Questions to servers so far, of the whole process. */
async function asked(): Promise<number> {
  const text = await exposition([await metricsAsJson()]);
  return [...text.matchAll(/^veredus_dns_upstream_seconds_count\{[^}]*\} (\d+)$/gm)]
    .reduce((sum, [, count]) => sum + Number(count), 0);
}

async function ours(resolver: ThreadResolver, [name, type]: Question, apex: string) {
  const { status, security, records, reason } = await resolver.query(`${name}${apex}`, TYPE_CODES[type]);
  const rcode = status === "no-such-domain" ? "NXDOMAIN" : "NOERROR";
  return { answer: { rcode, secure: security === "secure", records: records.length }, reason };
}

async function oracle(lab: DnsLab, [name, type]: Question, apex: string) {
  const text = await lab.dig(ORACLE, `${name}${apex}`, type, "+adflag");
  return {
    rcode: /status: (\w+)/.exec(text)?.[1] ?? "",
    secure: /flags: [a-z ]*\bad\b/.test(text),
    records: text.split("\n").filter((line) => new RegExp(`\\sIN\\s${type}\\s`).test(line)).length,
  };
}

Deno.test("what was proved answers for other names, as unbound answers them", async (t) => {
  const missing = missingPrograms("knot", "bind9");
  if (missing.length > 0) return console.log(`skipped, not installed: ${missing.join(", ")}`);
  const lab = await DnsLab.start([
    ...BELOW,
    ...ZONES,
    ...BY.map((name) => ({ name, address: TEST, lines: "", signing: ECDSA })),
    { name: ".", address: ROOT, lines: "", signing: ECDSA },
  ]);
  using resolver = createResolver({
    ...{ ...DEFAULT_RESOLVER, dnssec: "on", trustAnchors: lab.anchors, timeoutMs: 5_000 },
    ...{ mode: "iterative", rootServers: [`${ROOT}:${lab.port}`] },
  });
  try {
    await lab.unbound(ORACLE);
    for (const { name: apex } of ZONES) {
      await t.step(apex, async () => {
        // The names before fall into all spans of so small a zone; hashes into nearly all, for a server's salt is chance.
        for (const round of ["n", "o", "p", "q"]) {
          for (const question of questions(round)) await ours(resolver, question, apex);
        }
        const before = await asked();
        let deduced = 0;
        for (const question of questions("r")) {
          const mine = await ours(resolver, question, apex);
          assert.deepEqual(mine.answer, await oracle(lab, question, apex), question.join(" "));
          if (mine.reason?.code === 29) deduced++;
        }
        const questionsAsked = await asked() - before, all = ABOVE.length * 10;
        if (!apex.startsWith("optout")) {
          // A wildcard's alias is asked for each time. Of questions a slow machine asks some twice.
          const aliases = questions("r").filter(([name]) => name.includes(".links.")).length;
          if (apex.startsWith("nsec3")) {
            assert.ok(deduced >= (all - aliases) * 0.9, `${deduced} of ${all - aliases}`);
          } else assert.equal(deduced, all - aliases);
          assert.ok(questionsAsked < all, `${questionsAsked} questions for ${all} names`);
        } else {
          const below = await ours(resolver, ["www.below.", "A"], apex);
          assert.deepEqual(below.answer, { rcode: "NOERROR", secure: false, records: 1 });
          const denied = await ours(resolver, ["nothing.", "A"], apex);
          assert.equal(denied.answer.secure, false, "it might be an unsigned delegation");
          assert.notEqual(denied.reason?.code, 29);
        }
      });
    }
  } finally {
    await lab.stop();
  }
});
