/** What the checks found, as the methods of an Authentication-Results field (RFC 8601 2.7). Pure. */
import type { MethodResult } from "./authentication_results.ts";
import type { Envelope, SenderFindings } from "./sender_check.ts";

type Properties = MethodResult["properties"];

export function methodResults(
  findings: SenderFindings,
  { sender }: Pick<Envelope, "sender">,
): MethodResult[] {
  const { iprev, spf, dkim, arc, dmarc, judged } = findings;
  const results: MethodResult[] = [];
  const add = (method: string, result: string, comment: string, properties: Properties) =>
    results.push({ method, result, comment, properties });
  if (iprev !== null && judged !== null) {
    add("iprev", iprev.result, iprev.result === "pass" ? iprev.name : iprev.text, [[
      "policy.iprev",
      judged.address,
    ]]);
  }
  if (spf !== null && judged !== null) {
    const identity: Properties = sender === ""
      ? [["smtp.helo", judged.heloName]]
      : [["smtp.mailfrom", sender], ["smtp.helo", judged.heloName]];
    add("spf", spf.result, spf.text === "" ? spf.mechanism : spf.text, identity);
  }
  for (const one of dkim ?? []) {
    add("dkim", one.result, one.text === "" ? `${one.keyBits}-bit key` : one.text, [
      ["header.d", one.domain],
      ["header.s", one.selector],
      ["header.a", one.algorithm],
      ["header.b", one.prefix],
    ]);
  }
  // RFC 8601 2.7.1: a message without signatures is "none".
  if (dkim?.length === 0) add("dkim", "none", "", []);
  if (dmarc !== null) {
    const words = dmarc.record === null ? dmarc.text : `p=${dmarc.published} applied=${dmarc.policy}`;
    add("dmarc", dmarc.result, words, [["header.from", dmarc.authorDomain], [
      "policy.published-domain-policy",
      dmarc.record === null ? "" : dmarc.published,
    ]]);
  }
  if (arc !== null && arc.result !== "none") add("arc", arc.result, arc.text, []);
  if (findings.headerTooLarge) add("dkim", "permerror", "the header is too large", []);
  return results;
}
