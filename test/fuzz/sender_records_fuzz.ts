/**
 * Fuzzing the readers of sender authentication one by one, each much faster than a whole check (mailauth_fuzz.ts): DNS
 * records and macros, tag lists and results, sets of ARC and the fields around them, bodies, reports and their archives,
 * rewritten addresses.
 *
 * Nothing throws; what is read is of its sets and within its limits; what we wrote comes back as it was.
 */
import assert from "node:assert/strict";
import { gzipSync, zipSync } from "fflate";
import { encode, encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { run, when } from "../../bytes/steps.ts";
import { isSrs, srsForward, srsReverse } from "../../delivery/srs.ts";
import { reportTargets } from "../../delivery/reports/tls_report.ts";
import { MAX_ROWS, parseAggregateReport } from "../../mailauth/aggregate_report.ts";
import { MAX_INSTANCES, readSets } from "../../mailauth/arc_set.ts";
import { claimsToBe, parseResults, resultsField } from "../../mailauth/authentication_results.ts";
import { BodyHash, canonicalField } from "../../mailauth/dkim_canonical.ts";
import { parseKey } from "../../mailauth/dkim_key.ts";
import { parseSignature, withoutSignature } from "../../mailauth/dkim_signature.ts";
import { parseDmarcRecord } from "../../mailauth/dmarc_record.ts";
import { handedOverBy } from "../../mailauth/handed_over.ts";
import { dmarcDomain, walkNames } from "../../mailauth/org_domain.ts";
import { reportText } from "../../mailauth/report_archive.ts";
import { MAX_REPORT_OCTETS } from "../../mailauth/report_limits.ts";
import { authorDomains } from "../../mailauth/sender_check.ts";
import { HeaderFields } from "../../mailauth/signed_fields.ts";
import { checkExplanation, expand, expandDomain, type MacroFacts } from "../../mailauth/spf_macro.ts";
import { parseSpfRecord } from "../../mailauth/spf_record.ts";
import { cutsOf, Finding, fuzz, mutate, pieces, Random } from "./fuzzing.ts";

const TOKENS = [
  ...'; = % %{ } " ( ) \\ : / , < > @ [ ] . i=99 \0 \xff %{p} %{S9r-} v= h= p='.split(" "),
  "\r\n",
  "\r\n\t",
  "a".repeat(300),
  "1".repeat(20),
];

const RECORDS = [
  "v=spf1 include:a.test ip4:192.0.2.0/24 ip6:2001:db8::/32 a:%{d2}/24//64 mx exists:%{ir}.%{v}.x.test ptr redirect=b.test exp=e.test -all",
  "v=DMARC1; p=reject; sp=none; np=quarantine; psd=n; t=y; adkim=s; aspf=r; pct=50; fo=1:d; rua=mailto:a@b.test!10m,mailto:c@d.test; ruf=mailto:e@f.test",
  "v=DKIM1; k=rsa; h=sha256:sha1; s=email:*; t=y:s; n=note; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB",
  "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
  "v=1; a=rsa-sha256; c=relaxed/simple; d=a.test; s=s; i=a=20b@a.test; l=5; t=1; x=2; q=dns/txt; z=From:a|To:b; h=from : to; bh=AA\r\n AA; b=AA\r\n\tAA",
  'example.com 1 (c (d)); dkim=pass reason="x" header.d=a.test header.i=@a.test; spf=fail (x) smtp.mailfrom="a b"@c.test; none',
  "v=TLSRPTv1; rua=mailto:a@b.test,https://c.test/v1;",
];

/** One text of DNS or of a header field, to every reader of such. */
export async function fuzzRecords(seed: number, runs: number): Promise<void> {
  await fuzzed(seed, runs, {
    make: (random) => encodeLatin1(mutate(random, random.pick(RECORDS), { tokens: TOKENS, maxChanges: 6 })),
    check: checkRecords,
  });
}

const FACTS: MacroFacts = {
  ...{ sender: "strong-bad@email.example.com", domain: "email.example.com", address: "2001:db8::cb01" },
  ...{
    helo: "h.test",
    receiver: "mx.test",
    seconds: 1,
    validatedName: () => when(Promise.resolve("unknown")),
  },
};

export async function checkRecords(input: Uint8Array): Promise<void> {
  const text = latin1(input);
  parseSpfRecord(text);
  const dmarc = parseDmarcRecord(text);
  if (dmarc !== null) assert.ok(["none", "quarantine", "reject"].includes(dmarc.policy));
  parseKey(text);
  const signature = parseSignature(text);
  if (typeof signature !== "string") assert.ok(signature.domain !== "" && signature.fields.includes("from"));
  parseResults(text);
  claimsToBe(text, "mx.test");
  for (const target of reportTargets([text])) assert.doesNotMatch(JSON.stringify(target), /\\[rn]/);
  const name = dmarcDomain(text);
  if (name !== null) assert.ok(walkNames(name).length <= 8);
  canonicalField(`x:${text}`, "relaxed");
  withoutSignature(`x:${text}`);
  const field = resultsField("mx.test", [{
    ...{ method: "spf", result: "pass", comment: text, properties: [["a.b", text]] },
  }]);
  assert.doesNotMatch(field.slice(0, -2), /\r\n(?![\t ])|\r(?!\n)|(?<!\r)\n/);
  assert.equal(
    parseResults(field.slice(field.indexOf(":") + 1).replace(/\r\n/g, ""))?.results[0]?.method,
    "spf",
  );
  if (!text.includes("%")) return;
  checkExplanation(text);
  await run(expand(text, FACTS));
  const expanded = await run(expandDomain(text, FACTS));
  assert.ok(expanded.length <= 253 || !expanded.includes("."));
}

const SET = (instance: number) =>
  `ARC-Seal: i=${instance}; a=rsa-sha256; cv=${instance === 1 ? "none" : "pass"}; d=a.test; s=s; b=AAAA\r\n` +
  `ARC-Message-Signature: i=${instance}; a=ed25519-sha256; c=relaxed/relaxed; d=a.test; s=s; h=from:to; bh=AAAA;\r\n b=AAAA\r\n` +
  `ARC-Authentication-Results: i=${instance}; a.test; dmarc=pass header.from=a.test\r\n`;
const HEADERS = [
  `${SET(2)}${SET(1)}From: A <a@a.test>, =?utf-8?q?=C3=BC?= <b@b.test>\r\n\r\n`,
  "Received: from x (x [192.0.2.7]) by y; date\r\nReceived: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n\tby z; date\r\n" +
  'From: "A, B" <a@xn--bcher-kva.test>, list: c@d.test, e@[192.0.2.1];\r\n\r\n',
];

/** The fields of a header that say who wrote it and who passed it on. */
export async function fuzzSenderFields(seed: number, runs: number): Promise<void> {
  await fuzzed(seed, runs, {
    make: (random) => encodeLatin1(mutate(random, random.pick(HEADERS), { tokens: TOKENS, maxChanges: 4 })),
    check: checkSenderFields,
  });
}

export function checkSenderFields(input: Uint8Array): void {
  const header = new HeaderFields(input);
  const sets = readSets(header);
  if (typeof sets !== "string") {
    assert.ok(sets.length <= MAX_INSTANCES && sets.every(({ instance }, i) => instance === i + 1));
  }
  for (const domain of authorDomains(input, header.spans)) assert.equal(domain, domain.toLowerCase());
  const relay = (address: string) => address === "192.0.2.7";
  assert.notEqual(handedOverBy(input, header.spans, relay)?.address, "192.0.2.7");
  assert.ok(header.select(["from", "from", "received"]).length <= header.spans.length);
}

const BODIES = ["Hi  \r\n\r\n a \t b\r\r\n\n \r\n\r\n", "\r\n\r\n", "a", "a \r\n \t\r\nb\r\n"];

/** The hash of a body is the same however the body is cut, and that of its canonical form. */
export function fuzzBodyHash(seed: number, runs: number): void {
  const tokens = ["\r\n", "\r", "\n", " ", "\t", "\r\n\r\n", " \r\n", "x".repeat(3_000)];
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(BODIES), { tokens, maxChanges: 6 }));
  fuzz({ make, check: checkBodyHash }, seed, runs);
}

export function checkBodyHash(input: Uint8Array): void {
  const cuts = [cutsOf(input, 3), Array.from({ length: Math.min(20, input.length) }, (_, i) => i)];
  for (const form of ["simple", "relaxed"] as const) {
    for (const limit of [null, 3]) {
      const whole = digest([input], form, limit);
      for (const places of cuts) assert.deepEqual(digest(pieces(input, places), form, limit), whole);
      if (limit === null) {
        assert.deepEqual(whole, digest([encodeLatin1(canonical(latin1(input), form))], form, null));
      }
    }
  }
}

/** RFC 6376 3.4.3 and 3.4.4, the plain way. */
function canonical(body: string, form: "simple" | "relaxed"): string {
  const lines = form === "simple" ? body : body.replace(/[ \t]+/g, " ").replace(/ (?=\r\n|$)/g, "");
  const bare = lines.replace(/(?:\r\n)+$/, "");
  return bare === "" && form === "relaxed" ? "" : `${bare}\r\n`;
}

function digest(parts: readonly Uint8Array[], form: "simple" | "relaxed", limit: number | null): Uint8Array {
  const hash = new BodyHash(form, { algorithm: "sha256", limit });
  for (const part of parts) hash.write(part, 0, part.length);
  return hash.digest();
}

const XML =
  '<?xml version="1.0"?><feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0"><report_metadata><org_name>O &amp; P</org_name>' +
  "<report_id>1</report_id><date_range><begin>1</begin><end>2</end></date_range></report_metadata><policy_published>" +
  "<domain>a.test</domain><p>none</p></policy_published><record><row><source_ip>192.0.2.1</source_ip><count>7</count>" +
  "<policy_evaluated><disposition>none</disposition><dkim>pass</dkim></policy_evaluated></row><identifiers><header_from>a.test" +
  "</header_from></identifiers></record></feedback>";
const JSON_REPORT = JSON.stringify({
  "organization-name": "O",
  "date-range": { "start-datetime": "2026-01-01T00:00:00Z", "end-datetime": "2026-01-01T23:59:59Z" },
  "report-id": "1",
  policies: [{
    policy: { "policy-type": "sts", "policy-domain": "a.test" },
    summary: { "total-successful-session-count": 5, "total-failure-session-count": 1 },
    "failure-details": [{ "result-type": "x", "failed-session-count": 1, "sending-mta-ip": "192.0.2.1" }],
  }],
});
const REPORT_TOKENS = [
  ...'< > / & ; { } [ ] , : " \0 \xff <row> </row> <record> <record/> <![CDATA[ ]]> <!-- --> &amp; &#x41; null -1 1e99'
    .split(" "),
  "<!DOCTYPE a [<!ENTITY b 'c'>]>",
  "<a>".repeat(60),
  '{"policies":'.repeat(20),
];

/** Texts of reports. */
export function fuzzReports(seed: number, runs: number): void {
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick([XML, JSON_REPORT]), { tokens: REPORT_TOKENS, maxChanges: 4 }));
  fuzz({ make, check: checkReports }, seed, runs);
}

export function checkReports(input: Uint8Array): void {
  for (const report of parseAggregateReport(latin1(input)) ?? []) {
    assert.ok(report.domain !== "" && report.reportId !== "" && report.rows.length <= MAX_ROWS);
    assert.ok(Number.isFinite(report.beginAt) && Number.isFinite(report.endAt));
    for (const { count, source, result, detail } of report.rows) {
      assert.ok(Number.isSafeInteger(count) && count >= 0);
      assert.doesNotMatch(`${source}${result}${detail}${report.organization}`, /\p{Cc}/u);
    }
  }
}

const ARCHIVES = [
  gzipSync(encode(XML)),
  zipSync({ "r.xml": encode(XML) }),
  zipSync({ "a.xml": encode(XML), "b.xml": encode(XML) }),
  zipSync({ "r.xml": [encode(XML), { level: 0 }] }),
].map((octets) => latin1(octets));

/** What reports come in. */
export function fuzzReportArchive(seed: number, runs: number): void {
  const tokens = [
    "PK\x03\x04",
    "PK\x01\x02",
    "PK\x05\x06",
    "\x1f\x8b\x08",
    "\xff\xff\xff\xff",
    "\0\0\0\0",
    "\x08\0",
  ];
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(ARCHIVES), { tokens, maxChanges: 4 }));
  fuzz({ make, check: checkReportArchive }, seed, runs);
}

export function checkReportArchive(input: Uint8Array): void {
  const text = reportText(input);
  assert.ok(text === null || text.length <= MAX_REPORT_OCTETS);
}

const SRS = { keys: [new Uint8Array(32).fill(7)], now: 1_790_000_000_000 };
const LOCAL_PARTS = [
  srsForward("user@a.test", "us.test", SRS),
  srsForward("SRS0=HHHH=TT=a.test=user@b.test", "us.test", SRS),
  srsForward("SRS1=HHHH=b.test==HHHH=TT=a.test=user@c.test", "us.test", SRS),
  "SRS0+x=y=z@us.test",
].map((address) => address.slice(0, address.lastIndexOf("@")));

/** Rewritten addresses: what was not made by us leads nowhere, what was leads back. */
export function fuzzSrs(seed: number, runs: number): void {
  const tokens = ["=", "==", "+", "-", "SRS0=", "srs1=", "@", "\xe9"];
  const make = (random: Random) =>
    encodeLatin1(mutate(random, random.pick(LOCAL_PARTS), { tokens, maxChanges: 3 }));
  fuzz({ make, check: checkSrs }, seed, runs);
}

export function checkSrs(input: Uint8Array): void {
  const localPart = latin1(input);
  const back = srsReverse(localPart, SRS);
  const ours = LOCAL_PARTS.slice(0, 3).some((one) =>
    one.toLowerCase().slice(5) === localPart.toLowerCase().slice(5)
  );
  if (back.kind === "address") assert.ok(ours, "what we did not make leads somewhere");
  if (!/^[!-~]+$/.test(localPart) || isSrs(localPart)) return;
  const rewritten = srsForward(`${localPart}@a.test`, "us.test", SRS);
  const again = srsReverse(rewritten.slice(0, rewritten.lastIndexOf("@")), SRS);
  assert.deepEqual(again, { kind: "address", address: `${localPart}@a.test` });
}

async function fuzzed(
  seed: number,
  runs: number,
  parts: {
    readonly make: (random: Random) => Uint8Array;
    readonly check: (input: Uint8Array) => void | Promise<void>;
  },
): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < runs; run++) {
    const input = parts.make(random);
    try {
      await parts.check(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}
