/** Reports of others: the public examples, archives, bombs, and what is no report. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { gzipSync, zipSync } from "fflate";
import { parseAggregateReport } from "../../mailauth/aggregate_report.ts";
import { reportText } from "../../mailauth/report_archive.ts";
import { MAX_ARCHIVE_OCTETS, MAX_REPORT_OCTETS } from "../../mailauth/report_limits.ts";

const VECTORS = fileURLToPath(new URL("../../../shared/vectors/reports/", import.meta.url));
const exists = await Deno.stat(VECTORS).then(() => true, () => false);
if (!exists) console.log("the public reports are skipped: ../shared/vectors is not there");

Deno.test({
  name: "the public DMARC reports say what their parsed forms say",
  ignore: !exists,
  fn: async () => {
    for (const name of ["001", "002", "003", "004"]) {
      const [report] = parseAggregateReport(await Deno.readTextFile(`${VECTORS}dmarc/${name}.xml`)) ?? [];
      const expected = JSON.parse(await Deno.readTextFile(`${VECTORS}dmarc/${name}.json`));
      const { report_metadata: meta, policy_published: published, record: records } = expected;
      assert.ok(report !== undefined, name);
      assert.deepEqual(
        [report.organization, report.reportId, report.beginAt / 1000, report.endAt / 1000, report.domain],
        [meta.org_name, meta.report_id, meta.date_range.begin, meta.date_range.end, published.domain],
      );
      assert.deepEqual(
        report.rows.map(({ source, count, result }) => [source, count, result]),
        // deno-lint-ignore no-explicit-any
        records.map(({ row }: any) => [
          ...[row.source_ip, row.count],
          [row.policy_evaluated.dkim, row.policy_evaluated.spf].includes("Pass") ? "pass" : "fail",
        ]),
      );
    }
  },
});

Deno.test({
  name: "the public TLS reports",
  ignore: !exists,
  fn: async () => {
    const [report] = parseAggregateReport(await Deno.readTextFile(`${VECTORS}tlsrpt/rpt01.json`)) ?? [];
    assert.deepEqual([report?.domain, report?.organization, report?.policy, report?.beginAt], [
      ...["company-y.example", "Company-X", "sts", Date.UTC(2016, 3, 1)],
    ]);
    assert.deepEqual(report?.rows.map(({ result, count, source }) => `${result} ${count} ${source}`.trim()), [
      "success 5326",
      "certificate-expired 100 2001:db8:abcd:0012::1",
      "starttls-not-supported 200 2001:db8:abcd:0013::1",
      "validation-failure 3 198.51.100.62",
    ]);
    const [other] = parseAggregateReport(await Deno.readTextFile(`${VECTORS}tlsrpt/rpt02.json`)) ?? [];
    assert.deepEqual([other?.domain, other?.organization, other?.policy], [
      "example.com",
      "Google Inc.",
      "sts",
    ]);
    assert.deepEqual(other?.rows.map(({ result, count, source }) => `${result} ${count} ${source}`.trim()), [
      "success 23",
      "certificate-host-mismatch 1 123.123.123.123",
    ]);
    // It names no domain: nobody can tell whom it is about.
    assert.equal(parseAggregateReport(await Deno.readTextFile(`${VECTORS}tlsrpt/rpt03.json`)), null);
  },
});

const XML =
  "<feedback><report_metadata><report_id>1</report_id><date_range><begin>1</begin><end>2</end></date_range>" +
  "</report_metadata><policy_published><domain>A.test</domain></policy_published><record><row>" +
  "<source_ip>192.0.2.1</source_ip><count>7</count></row></record></feedback>";

Deno.test("reports come out of gzip, zip and nothing at all", () => {
  const octets = new TextEncoder().encode(XML);
  for (const archive of [gzipSync(octets), zipSync({ "r.xml": octets }), octets]) {
    assert.equal(reportText(archive), XML);
  }
  assert.equal(parseAggregateReport(XML)?.[0]?.rows[0]?.count, 7);
});

Deno.test("bombs end in nothing, not in memory", () => {
  const zeros = new Uint8Array(MAX_REPORT_OCTETS + 1);
  assert.equal(reportText(gzipSync(zeros)), null);
  assert.equal(reportText(zipSync({ "r.xml": zeros })), null);
  const two = new TextEncoder().encode(XML);
  assert.equal(reportText(zipSync({ a: two, b: two })), null, "a second file");
  assert.equal(reportText(new Uint8Array(MAX_ARCHIVE_OCTETS + 1)), null);
  const cut = gzipSync(two);
  cut[12] = 0xff;
  cut.fill(0xff, 12, 40);
  assert.equal(parseAggregateReport(reportText(cut) ?? ""), null);
});

Deno.test("what is no report is none, and entities of a document type are not expanded", () => {
  const laughs = `<!DOCTYPE x [<!ENTITY a "${"ha".repeat(100)}">]>${XML.replace("A.test", "&a;")}`;
  for (
    const text of [
      ...["", "hello", "{", "{}", "[]", "<a>", "<feedback/>", '{"policies": 1}', laughs],
      ...[XML.replace("<begin>1", "<begin>x"), XML.replace("</feedback>", "")],
      ...['{"report-id":"1","date-range":{"start-datetime":"x","end-datetime":"y"},"policies":[]}'],
    ]
  ) assert.equal(parseAggregateReport(text), null, text.slice(0, 60));
});
