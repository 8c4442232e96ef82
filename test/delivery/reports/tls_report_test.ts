/** TLS reports to other domains (RFC 8460): who wants one, what it says, and that each is sent once. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { gunzipSync } from "node:zlib";
import { encode } from "../../../bytes/decode.ts";
import { DAY_MS } from "../../../delivery/reports/observations.ts";
import type { PostReport } from "../../../delivery/reports/sender.ts";
import { reportJson, reportTargets, TLS_REPORT } from "../../../delivery/reports/tls_report.ts";
import { NO_POLICY, type TlsObservation } from "../../../delivery/security/tls_observation.ts";
import { DkimVerifier } from "../../../mailauth/dkim_verify.ts";
import { type MockEntry, MockResolver, txt } from "../../lib/mock_resolver.ts";
import { attachmentOf, DAY, reportBed } from "./report_bed.ts";

function seen(parts: Partial<TlsObservation>, count: number) {
  const observation = { policy: NO_POLICY, result: null, reason: "", host: "", address: "", ...parts };
  return { day: DAY, policyDomain: "one.test", row: JSON.stringify(observation), count };
}

const STS = { type: "sts", lines: ["version: STSv1", "mode: testing"], mx: ["mx.one.test"] } as const;
const ROWS = [
  seen({ policy: STS }, 7),
  seen({
    policy: STS,
    result: "certificate-expired",
    reason: "ended",
    host: "mx.one.test",
    address: "192.0.2.1",
  }, 2),
  seen({}, 1),
];

Deno.test("where reports are wanted", () => {
  const cases: [string[], string[]][] = [
    [["v=TLSRPTv1; rua=mailto:tls@one.test"], ["tls@one.test"]],
    [["v=TLSRPTv1;rua=mailto:a@one.test,https://one.test/v1"], ["a@one.test", "one.test/v1"]],
    [["v=TLSRPTv1; rua=mailto:a%2Bb@one.test"], ["a+b@one.test"]],
    [["v=TLSRPTv1; rua=https://ONE.test"], ["one.test/"]],
    [["v=TLSRPTv1; rua=https://one.test:8443/x"], []],
    [["v=TLSRPTv1; rua=http://one.test/x"], []],
    [["v=TLSRPTv1; rua=mailto:nobody"], []],
    [["v=TLSRPTv1; rua=mailto:a@one.test>\r\nBcc:x"], []],
    [["v=TLSRPTv1"], []],
    [["v=TLSRPTv1; rua=mailto:a@one.test", "v=TLSRPTv1; rua=mailto:b@one.test"], []],
    [["v=spf1 -all"], []],
    [[], []],
  ];
  for (const [records, expected] of cases) {
    const found = reportTargets(records).map((target) =>
      target.kind === "mail" ? target.address : target.host + target.path
    );
    assert.deepEqual(found, expected, records.join());
  }
});

Deno.test("what a report says", () => {
  const report = JSON.parse(
    reportJson({ policyDomain: "one.test", day: DAY, hostname: "mx.test", rows: ROWS }),
  );
  assert.deepEqual(report, {
    "organization-name": "mx.test",
    "date-range": {
      "start-datetime": "2026-11-01T00:00:00.000Z",
      "end-datetime": "2026-11-01T23:59:59.000Z",
    },
    "contact-info": "postmaster@mx.test",
    "report-id": "2026-11-01.one.test",
    policies: [{
      policy: {
        "policy-type": "sts",
        "policy-string": ["version: STSv1", "mode: testing"],
        "policy-domain": "one.test",
        "mx-host": ["mx.one.test"],
      },
      summary: { "total-successful-session-count": 7, "total-failure-session-count": 2 },
      "failure-details": [{
        "result-type": "certificate-expired",
        "receiving-mx-hostname": "mx.one.test",
        "receiving-ip": "192.0.2.1",
        "failed-session-count": 2,
        "failure-reason-code": "ended",
      }],
    }, {
      policy: { "policy-type": "no-policy-found", "policy-domain": "one.test" },
      summary: { "total-successful-session-count": 1, "total-failure-session-count": 0 },
    }],
  });
});

const bed = (record: MockEntry | null, postReport?: PostReport) =>
  reportBed(TLS_REPORT, {
    rows: ROWS,
    dns: record === null ? {} : { "_smtp._tls.one.test TXT": record },
    ...(postReport !== undefined && { postReport }),
  });

Deno.test("by mail: queued once, marked, past broken TLS", async () => {
  await using t = await bed([txt("v=TLSRPTv1; rua=mailto:tls@one.test")]);
  await t.send();
  await t.send();
  const queued = t.queued();
  assert.equal(queued.length, 1);
  const { recipient, tls, text } = queued[0]!;
  assert.equal(t.left(), 0);
  assert.deepEqual([recipient, tls], ["tls@one.test", "optional"]);
  assert.match(text, /^TLS-Report-Domain: one\.test\r$/m);
  assert.match(text, /^TLS-Report-Submitter: mx\.test\r$/m);
  assert.match(
    text,
    /^Subject: Report Domain: one\.test\r\n Submitter: mx\.test\r\n Report-ID: <2026-11-01\.one\.test@mx\.test>\r$/m,
  );
  assert.match(text, /filename="mx\.test!one\.test!1793491200!1793577599\.json\.gz"/);
  const report = JSON.parse(gunzipSync(attachmentOf(text)).toString());
  assert.equal(report.policies[0].summary["total-failure-session-count"], 2);
});

Deno.test("by mail: signed by the key of our own domain (RFC 8460 3)", async () => {
  await using t = await bed([txt("v=TLSRPTv1; rua=mailto:tls@one.test")]);
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const domain = {
    name: "mx.test",
    kind: "local",
    nextHop: "",
    catchAll: "",
    subaddressSeparators: "",
  } as const;
  await t.test.ok({ kind: "put-domain", domain });
  await t.test.ok({
    kind: "put-dkim-key",
    key: {
      ...{ domain: "mx.test", selector: "e1", kind: "ed25519", publicKey: "unused", state: "signing" },
      privateKey: privateKey.export({ format: "pem", type: "pkcs8" }).toString(),
    },
  });
  await t.send();
  const { text } = t.queued()[0]!;
  const spki = publicKey.export({ format: "der", type: "spki" });
  const dns = new MockResolver({
    "e1._domainkey.mx.test TXT": [txt(`v=DKIM1; k=ed25519; p=${spki.subarray(12).toString("base64")}`)],
  });
  const octets = encode(text), bodyAt = text.indexOf("\r\n\r\n") + 4;
  const verifier = new DkimVerifier(octets.subarray(0, bodyAt - 2));
  verifier.write(octets, bodyAt, octets.length);
  const results = await verifier.finish(dns, t.time.now);
  assert.deepEqual(results.map(({ result, domain }) => `${result} ${domain}`), ["pass mx.test"]);
});

Deno.test("by HTTPS: taken, or the next place; what nobody takes is tried again for a day", async () => {
  const asked: string[] = [];
  let takes = false;
  const record = [txt("v=TLSRPTv1; rua=https://a.test/r,https://b.test/r")];
  await using t = await bed(record, ({ host }) => {
    asked.push(host);
    return host === "a.test" ? Promise.reject(new Error("no answer")) : Promise.resolve(takes);
  });
  await t.send();
  assert.deepEqual([asked, t.left()], [["a.test", "b.test"], 1]);
  takes = true;
  await t.send();
  assert.deepEqual([asked.length, t.left()], [4, 0]);
});

Deno.test("given up after a day; forgotten at once where nobody asks", async () => {
  await using refused = await bed([txt("v=TLSRPTv1; rua=https://a.test/")], () => Promise.resolve(false));
  await refused.send();
  assert.equal(refused.left(), 1);
  refused.time.now += 2 * DAY_MS;
  await refused.send();
  assert.equal(refused.left(), 0);
  await using nobody = await bed(null);
  await nobody.send();
  assert.equal(nobody.left(), 0);
  await using silent = await bed("timeout");
  await silent.send();
  assert.equal(silent.left(), 1, "DNS did not answer: later");
});

Deno.test("a day that runs is not reported", async () => {
  await using t = await bed([txt("v=TLSRPTv1; rua=mailto:tls@one.test")]);
  t.time.now = DAY + 3_600_000;
  await t.send();
  assert.deepEqual([t.queued(), t.left()], [[], 1]);
});
