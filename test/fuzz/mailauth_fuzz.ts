/**
 * Seeded mutation of everything that strangers choose in sender authentication: header fields, DNS records, bodies, reports.
 *
 * Checked: nothing throws, results are of their sets, fields that we write are one field, and the body hash is the same
 * however the body is cut.
 */
import assert from "node:assert/strict";
import { encodeLatin1, latin1 } from "../../bytes/decode.ts";
import { parseAggregateReport } from "../../mailauth/aggregate_report.ts";
import { HeaderFields } from "../../mailauth/signed_fields.ts";
import { readSets } from "../../mailauth/arc_set.ts";
import { claimsToBe, parseResults, resultsField } from "../../mailauth/authentication_results.ts";
import { BodyHash } from "../../mailauth/dkim_canonical.ts";
import { parseKey } from "../../mailauth/dkim_key.ts";
import { parseSignature } from "../../mailauth/dkim_signature.ts";
import { parseDmarcRecord } from "../../mailauth/dmarc_record.ts";
import { SenderCheck } from "../../mailauth/sender_check.ts";
import { parseSpfRecord } from "../../mailauth/spf_record.ts";
import { reportText } from "../../mailauth/report_archive.ts";
import { MockResolver, txt } from "../lib/mock_resolver.ts";
import { Finding, mutate, Random } from "./fuzzing.ts";

const ARC = "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=a.test; s=s; b=AAAA\r\n" +
  "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=a.test; s=s; h=from:to; bh=AAAA; b=AAAA\r\n" +
  "ARC-Authentication-Results: i=1; a.test; dmarc=pass header.from=a.test\r\n";
const DKIM =
  "v=1; a=rsa-sha256; c=relaxed/simple; d=a.test; s=s; i=@a.test; l=5; t=1; x=2; h=from:to; bh=AAAA; b=AAAA";
const SEEDS = [
  "v=spf1 include:a.test ip4:192.0.2.0/24 a:%{d2}/24//64 exists:%{ir}.%{v}.x.test redirect=b.test exp=e.test -all",
  "v=DMARC1; p=reject; sp=none; np=quarantine; psd=n; t=y; adkim=s; rua=mailto:a@b.test!10m,mailto:c@d.test",
  "v=DKIM1; k=rsa; h=sha256; s=email; t=y:s; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCB",
  DKIM,
  'example.com 1 (c (d)); dkim=pass reason="x" header.d=a.test; spf=fail smtp.mailfrom="a b"@c.test',
  `${ARC}DKIM-Signature: ${DKIM}\r\nReceived: from x (x [192.0.2.7]) by y; date\r\nFrom: A <a@a.test>, b@b.test\r\n\r\nHi  \r\n\r\n`,
  "<feedback><report_metadata><report_id>1</report_id></report_metadata><record/></feedback>",
  '{"report-id":"1","date-range":{"start-datetime":"2026-01-01T00:00:00Z"},"policies":[{"policy":{}}]}',
  "PK\x03\x04\x14\x00\x00\x00\x08\x00",
  "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xcbH\xcd\xc9\xc9\x07\x00",
];
const TOKENS = [
  "; ",
  "=",
  "%{",
  "}",
  '"',
  "(",
  ")",
  "\\",
  "\r\n",
  "\r\n\t",
  "\x00",
  "\xff",
  "i=99",
  ":",
  "a".repeat(300),
];
const RESULTS = /^(none|pass|fail|softfail|neutral|temperror|permerror|policy)$/;

export async function fuzzMailauth(seed: number, runs: number): Promise<void> {
  const random = new Random(seed);
  for (let run = 0; run < runs; run++) {
    const input = encodeLatin1(mutate(random, random.pick(SEEDS), { tokens: TOKENS, maxChanges: 6 }));
    try {
      await checkMailauth(input);
    } catch (cause) {
      throw new Finding(`seed ${seed}, run ${run}`, { input, cause });
    }
  }
}

export async function checkMailauth(input: Uint8Array): Promise<void> {
  const text = latin1(input);
  parseSpfRecord(text);
  parseDmarcRecord(text);
  parseKey(text);
  parseSignature(text);
  parseResults(text);
  claimsToBe(text, "mx.test");
  readSets(new HeaderFields(input));
  parseAggregateReport(text);
  reportText(input);
  const field = resultsField("mx.test", [{
    method: "spf",
    result: "pass",
    comment: text,
    properties: [["a.b", text]],
  }]);
  assert.doesNotMatch(field.slice(0, -2), /\r\n(?![\t ])|\r(?!\n)|(?<!\r)\n/);
  assert.equal(
    parseResults(field.slice(field.indexOf(":") + 1).replace(/\r\n/g, ""))?.results[0]?.method,
    "spf",
  );
  for (const form of ["simple", "relaxed"] as const) {
    const whole = new BodyHash(form, { algorithm: "sha256", limit: null });
    whole.write(input, 0, input.length);
    const cut = new BodyHash(form, { algorithm: "sha256", limit: null });
    for (let at = 0; at < input.length; at++) cut.write(input, at, at + 1);
    assert.deepEqual(cut.digest(), whole.digest());
  }
  const resolver = new MockResolver({
    "a.test TXT": [txt(text.replace(/[^\x20-\x7e]/g, "").slice(0, 400))],
    "_dmarc.a.test TXT": [txt("v=DMARC1; p=reject")],
    "s._domainkey.a.test TXT": [txt(text.replace(/[^\x20-\x7e]/g, "").slice(0, 400))],
  });
  const check = new SenderCheck({
    ...{ resolver, hostname: "mx.test", iprev: true, spf: true, dkim: true, arc: true, deadlineMs: 10_000 },
    ...{ dmarc: { standard: "rfc9989", random: () => 0.5 }, isRelay: (address) => address === "192.0.2.1" },
  }, { address: "192.0.2.1", heloName: "x.test", sender: "a@a.test", now: 0 });
  const middle = input.length >> 1;
  check.write(input, 0, middle);
  check.write(input, middle, input.length);
  const { iprev, spf, dkim, arc, dmarc } = await check.finish();
  for (const one of [iprev, spf, arc, dmarc, ...dkim ?? []]) {
    if (one !== null) assert.match(one.result, RESULTS);
  }
}
