/** DMARC reports to other domains (RFC 9990): what is counted, who may have it, what it says, and that readers agree. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { DMARC_REPORT, reportXml } from "../../../delivery/reports/dmarc_report.ts";
import { DAY_MS, Observations } from "../../../delivery/reports/observations.ts";
import { MAX_REPORT_OCTETS } from "../../../delivery/reports/sender.ts";
import type { DmarcObservation } from "../../../delivery/dmarc_observation.ts";
import type { AuthenticationConfig } from "../../../delivery/authentication.ts";
import { Blocks } from "../../../filter/address_block.ts";
import { parseAggregateReport } from "../../../mailauth/aggregate_report.ts";
import { type MockEntry, MockResolver, txt } from "../../lib/mock_resolver.ts";
import { TestStore } from "../../lib/test_store.ts";
import { ReceptionBed } from "../reception_bed.ts";
import { attachmentOf, DAY, reportBed } from "./report_bed.ts";

const AUTHENTICATION: AuthenticationConfig = {
  ...{ iprev: false, spf: true, dkim: true, arc: false, dmarc: "rfc9989", refuse: "always" },
  ...{ trustedSealers: [], knownLists: [], relays: new Blocks([]), skip: new Blocks([]) },
  ...{ onDnsTrouble: "deliver", timeoutMs: 5_000 },
};

/** What is kept of one message from `from` under a record, as `result disposition reason`; null: nothing. */
async function seenOf(record: string, { subject = "hello", spf = "-all" } = {}): Promise<string | null> {
  const resolver = new MockResolver({
    "one.test TXT": [txt(`v=spf1 ${spf}`)],
    "_dmarc.one.test TXT": [txt(record)],
  });
  const kept: [string, DmarcObservation][] = [];
  const observations = { add: (domain: string, seen: DmarcObservation) => kept.push([domain, seen]) };
  const bed = await ReceptionBed.open({ authentication: AUTHENTICATION }, {}, {
    resolver,
    observations: observations as unknown as Observations,
  });
  try {
    const message = `From: a@one.test\r\nSubject: ${subject}\r\n\r\nx\r\n`;
    await bed.send({ from: "a@one.test", to: ["bob@example.test"], message });
  } finally {
    await bed.test.close();
  }
  const [found] = kept;
  if (found === undefined) return null;
  const [domain, seen] = found;
  assert.deepEqual([domain, seen.headerFrom, seen.envelopeFrom], ["one.test", "one.test", "one.test"]);
  return `${seen.spfAligned ? "pass" : "fail"} ${seen.disposition} ${seen.reason?.type ?? "-"}`;
}

Deno.test("what is counted of a message", async () => {
  const rua = "rua=mailto:r@one.test";
  const pass = { spf: "+all" };
  assert.equal(await seenOf(`v=DMARC1; p=none; ${rua}`, pass), "pass none -");
  assert.equal(await seenOf(`v=DMARC1; p=reject; ${rua}`, pass), "pass pass -");
  assert.equal(await seenOf(`v=DMARC1; p=none; ${rua}`), "fail none -");
  assert.equal(await seenOf(`v=DMARC1; p=quarantine; ${rua}`), "fail quarantine -");
  assert.equal(await seenOf(`v=DMARC1; p=reject; ${rua}`), "fail reject -");
  assert.equal(await seenOf(`v=DMARC1; p=quarantine; t=y; ${rua}`), "fail none policy_test_mode");
  assert.equal(await seenOf("v=DMARC1; p=reject"), null, "nobody asks");
  assert.equal(await seenOf(`v=DMARC1; p=none; ${rua}`, { subject: "Report Domain: us" }), null, "a report");
});

function seen(parts: Partial<DmarcObservation>, count: number) {
  const row: DmarcObservation = {
    source: "192.0.2.1",
    policy: {
      p: "reject",
      sp: "none",
      np: "none",
      adkim: "s",
      aspf: "r",
      testing: false,
      method: "treewalk",
    },
    disposition: "pass",
    dkimAligned: true,
    spfAligned: false,
    reason: null,
    headerFrom: "one.test",
    envelopeFrom: "bounce.one.test",
    dkim: [{ domain: "one.test", selector: "s1", result: "pass" }],
    spf: { domain: "bounce.one.test", result: "softfail" },
    ...parts,
  };
  return { day: DAY, policyDomain: "one.test", row: JSON.stringify(row), count };
}

const ROWS = [
  seen({}, 7),
  seen({
    source: "2001:db8::1",
    disposition: "quarantine",
    dkimAligned: false,
    reason: { type: "local_policy", comment: 'p=reject & <not> "agreed" \u{1f4e8} x\x00' },
    dkim: [],
    spf: null,
  }, 2),
];

Deno.test("what a report says, and a reader of reports finds it there", () => {
  const text = reportXml({ policyDomain: "one.test", day: DAY, hostname: "mx.test", rows: ROWS });
  assert.match(
    text,
    /^<\?xml version="1\.0" encoding="UTF-8"\?>\n<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2\.0">/,
  );
  assert.match(text, /<version>1\.0<\/version>\n<report_metadata>/);
  assert.match(
    text,
    /<domain>one\.test<\/domain>\n<discovery_method>treewalk<\/discovery_method>\n<p>reject<\/p>/,
  );
  assert.match(text, /<comment>p=reject &amp; &lt;not&gt; "agreed" \u{1f4e8} x<\/comment>/u);
  assert.match(
    text,
    /<spf>\n<domain>bounce\.one\.test<\/domain>\n<scope>mfrom<\/scope>\n<result>softfail<\/result>/,
  );
  const [report, more] = parseAggregateReport(text)!;
  assert.equal(more, undefined);
  assert.deepEqual(
    [report!.kind, report!.domain, report!.organization, report!.beginAt, report!.endAt],
    ["dmarc", "one.test", "mx.test", DAY, DAY + DAY_MS - 1_000],
  );
  assert.deepEqual(report!.rows.map(({ source, count, result }) => [source, count, result]), [
    ["192.0.2.1", 7, "pass"],
    ["2001:db8::1", 2, "fail"],
  ]);
});

async function recipients(dns: Readonly<Record<string, MockEntry>>): Promise<string[]> {
  await using t = await reportBed(DMARC_REPORT, { rows: ROWS, dns });
  await t.send();
  return t.queued().map(({ recipient }) => recipient);
}

Deno.test("the domain itself, its organization, and whoever agreed", async () => {
  const record = (...addresses: string[]) => ({
    "_dmarc.one.test TXT": [
      txt(`v=DMARC1; p=none; rua=${addresses.map((address) => `mailto:${address}`).join()}`),
    ],
  });
  assert.deepEqual(await recipients(record("a@one.test", "b@reports.one.test")), [
    "a@one.test",
    "b@reports.one.test",
  ]);
  assert.deepEqual(await recipients(record("a@elsewhere.test")), []);
  const agreed = { "one.test._report._dmarc.elsewhere.test TXT": [txt("v=DMARC1")] };
  assert.deepEqual(await recipients({ ...record("a@elsewhere.test"), ...agreed }), ["a@elsewhere.test"]);
  const other = { "two.test._report._dmarc.elsewhere.test TXT": [txt("v=DMARC1")] };
  assert.deepEqual(await recipients({ ...record("a@elsewhere.test"), ...other }), []);
  assert.deepEqual(await recipients({}), []);
  const failures = "v=DMARC1; p=none; fo=1; ruf=mailto:a@one.test";
  assert.deepEqual(await recipients({ "_dmarc.one.test TXT": [txt(failures)] }), [], "reports of failures");
});

Deno.test("a report is bounded in rows, and signed like all our mail", async () => {
  const dns = { "_dmarc.one.test TXT": [txt("v=DMARC1; p=none; rua=mailto:a@one.test")] };
  const rows = Array.from({ length: 2_100 }, (_, i) => seen({ source: `2001:db8::${i.toString(16)}` }, 1));
  await using t = await reportBed(DMARC_REPORT, { rows, dns });
  const { privateKey } = generateKeyPairSync("ed25519");
  await t.test.ok({
    kind: "put-domain",
    domain: {
      ...{ name: "mx.test", kind: "local", nextHop: "", catchAll: "", subaddressSeparators: "+" },
    },
  });
  await t.test.ok({
    kind: "put-dkim-key",
    key: {
      ...{ domain: "mx.test", selector: "s", kind: "ed25519", publicKey: "x", state: "signing" },
      privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
  });
  await t.send();
  const { text } = t.queued()[0]!;
  assert.match(text, /^DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed\/relaxed; d=mx\.test;/);
  const [report] = parseAggregateReport(gunzipSync(attachmentOf(text)).toString())!;
  assert.equal(report!.rows.length, 2_000);
});

Deno.test("sent once to each; kept for later where DNS does not answer", async () => {
  const dns = { "_dmarc.one.test TXT": [txt("v=DMARC1; p=none; rua=mailto:a@one.test,mailto:b@one.test")] };
  await using t = await reportBed(DMARC_REPORT, { rows: ROWS, dns });
  t.resolver.entries.set("_dmarc.one.test TXT", "timeout");
  await t.send();
  assert.deepEqual([t.queued(), t.left()], [[], 1]);
  t.resolver.entries.set("_dmarc.one.test TXT", dns["_dmarc.one.test TXT"]);
  await t.send();
  await t.send();
  assert.deepEqual(t.queued().map(({ recipient }) => recipient), ["a@one.test", "b@one.test"]);
  assert.equal(t.left(), 0);
  const { text } = t.queued()[0]!;
  assert.match(text, /^Subject: Report Domain: one\.test\r\n Submitter: mx\.test\r\n Report-ID: </m);
  assert.match(text, /filename="mx\.test!one\.test!1793491200!1793577599\.xml\.gz"/);
  assert.equal(parseAggregateReport(gunzipSync(attachmentOf(text)).toString())![0]!.rows.length, 2);
});

Deno.test("a report of more octets than the limit is sent to nobody, and given up after a day", async () => {
  const dns = { "_dmarc.one.test TXT": [txt("v=DMARC1; p=none; rua=mailto:a@one.test")] };
  const bed = (maxOctets?: number) =>
    reportBed(DMARC_REPORT, { rows: ROWS, dns, ...(maxOctets !== undefined && { maxOctets }) });
  await using usual = await bed();
  await usual.send();
  const octets = attachmentOf(usual.queued()[0]!.text).length;
  assert.ok(octets < MAX_REPORT_OCTETS);
  assert.equal(MAX_REPORT_OCTETS, 5 * 1024 * 1024);
  await using just = await bed(octets);
  await just.send();
  assert.deepEqual([just.queued().length, just.left()], [1, 0], "as many as the limit");
  await using over = await bed(octets - 1);
  await over.send();
  assert.deepEqual([over.queued(), over.left()], [[], 1]);
  over.time.now += 2 * DAY_MS;
  await over.send();
  assert.deepEqual([over.queued(), over.left()], [[], 0]);
});

Deno.test("equal findings of a day are one row, written before the store closes", async () => {
  const test = await TestStore.open();
  try {
    let now = DAY + 1_000;
    const observations = new Observations("dmarc", {
      store: test.store,
      timers: { now: () => now, after: () => () => {} },
    });
    for (let n = 0; n < 3; n++) observations.add("one.test", { a: 1 });
    observations.add("one.test", { a: 2 });
    now += DAY_MS;
    observations.add("one.test", { a: 1 });
    await observations.flush();
    const days = test.store.reports.observedBefore("dmarc", now + DAY_MS, 10);
    assert.deepEqual(days.map(({ day }) => day), [DAY, DAY + DAY_MS]);
    assert.deepEqual(test.store.reports.observed("dmarc", days[0]!, 10).map(({ count }) => count), [3, 1]);
  } finally {
    await test.close();
  }
});
