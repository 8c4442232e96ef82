/** Reports that come by mail: kept when their author's DMARC passed and they are about a domain of ours. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { gzipSync } from "fflate";
import { Blocks } from "../../filter/address_block.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";
import { takeReport } from "../../delivery/report_intake.ts";
import { TestStore } from "../lib/test_store.ts";
import { octetsOf, ReceptionBed } from "./reception_bed.ts";

const VECTORS = fileURLToPath(new URL("../../../shared/vectors/reports/tlsrpt/", import.meta.url));
const exists = await Deno.stat(VECTORS).then(() => true, () => false);
if (!exists) console.log("the public messages with reports are skipped: ../shared/vectors is not there");

Deno.test({
  name: "the public messages with TLS reports are read",
  ignore: !exists,
  fn: async () => {
    for (
      const [name, domain, counts] of [["rpt01", "company-y.example", [5326, 100, 200, 3]], [
        "rpt02",
        "example.com",
        [23, 1],
      ]] as const
    ) {
      const test = await TestStore.open();
      try {
        await test.ok({
          kind: "put-domain",
          domain: { name: domain, kind: "local", nextHop: "", catchAll: "", subaddressSeparators: "+" },
        });
        const octets = octetsOf((await Deno.readTextFile(`${VECTORS}${name}.eml`)).replace(/\r?\n/g, "\r\n"));
        await takeReport(test.store, { octets, sender: "sender.example", trace: "t", now: 0 });
        const lines = test.store.reports.lines({}, { before: { id: 2 ** 40, position: 0 }, limit: 10 });
        assert.deepEqual(lines.map(({ count }) => count).sort(), [...counts].sort(), name);
      } finally {
        await test.close();
      }
    }
  },
});

const xml = (domain: string, id: string) =>
  `<feedback><report_metadata><org_name>Org</org_name><report_id>${id}</report_id><date_range><begin>1</begin>` +
  `<end>2</end></date_range></report_metadata><policy_published><domain>${domain}</domain><p>none</p>` +
  `</policy_published><record><row><source_ip>192.0.2.9</source_ip><count>7</count><policy_evaluated><dkim>pass</dkim>` +
  `<spf>fail</spf></policy_evaluated></row></record></feedback>`;
const TLS = JSON.stringify({
  ...{ "organization-name": "Org", "report-id": "t1", "contact-info": "x" },
  "date-range": { "start-datetime": "2026-01-01T00:00:00Z", "end-datetime": "2026-01-02T00:00:00Z" },
  policies: [{
    policy: { "policy-type": "sts", "policy-domain": "example.test" },
    summary: { "total-successful-session-count": 5 },
  }],
});

function mail(from: string, type: string, octets: Uint8Array): string {
  return `From: r@${from}\r\nTo: bob@example.test\r\nSubject: Report Domain: example.test\r\nMIME-Version: 1.0\r\n` +
    `Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\nA report\r\n--b\r\nContent-Type: ${type}\r\n` +
    `Content-Transfer-Encoding: base64\r\n\r\n${octets.toBase64()}\r\n--b--\r\n`;
}

Deno.test("reports are believed from authors whose DMARC passed, about our domains, once", async () => {
  const resolver = new MockResolver({
    "good.test TXT": [txt("v=spf1 ip4:192.0.2.1 -all")],
    "_dmarc.good.test TXT": [txt("v=DMARC1; p=reject")],
    "_dmarc.bad.test TXT": [txt("v=DMARC1; p=none")],
  });
  const bed = await ReceptionBed.open(
    {
      authentication: {
        ...{ iprev: false, spf: true, dkim: true, arc: false, dmarc: "rfc9989", refuse: "agreed" },
        ...{ trustedSealers: [], knownLists: [], relays: new Blocks([]), skip: new Blocks([]) },
        ...{ onDnsTrouble: "deliver", timeoutMs: 5_000 },
      },
    },
    {},
    { resolver },
  );
  try {
    const send = async (from: string, type: string, text: string) => {
      const message = mail(
        from,
        type,
        type.includes("gzip") ? gzipSync(new TextEncoder().encode(text)) : new TextEncoder().encode(text),
      );
      const { data } = await bed.send({ from: `r@${from}`, to: ["bob@example.test"], message });
      assert.equal(data?.code, 250);
    };
    await send("bad.test", "application/gzip", xml("example.test", "1"));
    await send("good.test", "application/gzip", xml("elsewhere.test", "2"));
    await send("good.test", "application/gzip", "nonsense");
    await send("good.test", "application/gzip", xml("example.test", "3"));
    await send("good.test", "application/gzip", xml("example.test", "3"));
    await send("good.test", "application/tlsrpt+gzip", TLS);
    const lines = () =>
      bed.test.store.reports.lines({}, { before: { id: 2 ** 40, position: 0 }, limit: 10 })
        .map(({ kind, sender, reportId, source, count, result }) =>
          `${kind} ${sender} ${reportId} ${source} ${count} ${result}`
        );
    for (let tries = 0; lines().length < 2 && tries < 200; tries++) {
      await new Promise((done) => setTimeout(done, 5));
    }
    assert.deepEqual(lines(), ["tls good.test t1  5 success", "dmarc good.test 3 192.0.2.9 7 pass"]);
  } finally {
    await bed.close();
  }
});
