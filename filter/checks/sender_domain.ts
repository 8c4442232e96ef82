/** Senders whose domain does not exist: neither MX nor address, so nobody can answer them (RFC 5321 2.3.5, 5.1). */
import type { Check } from "../check.ts";
import { type Lookup, recordsOf } from "../lookup.ts";
import { type Action, CONTINUE, type Verdict } from "../verdict.ts";
import { domainOf } from "./null_mx.ts";

/** RFC 3463 3.2: X.1.8 is a sender's domain that does not exist. */
const NO_DOMAIN = { code: 550, enhanced: "5.1.8", text: "The sender's domain does not exist" };
const NO_DOMAIN_NOW = { ...NO_DOMAIN, code: 450, enhanced: "4.1.8" };
const TYPES = ["MX", "A", "AAAA"] as const;

/** `isLocal` spares our own domains the question. A resolver without an answer says nothing against anybody. */
export function senderDomain(
  { lookup, action, isLocal }: { lookup: Lookup; action: Action; isLocal: (domain: string) => boolean },
): Check {
  const judged = async (domain: string): Promise<Verdict> => {
    for (const type of TYPES) {
      const records = recordsOf(await lookup.resolve(domain, type));
      if (records === null || records.length > 0) return CONTINUE;
    }
    const reply = action === "defer" ? NO_DOMAIN_NOW : NO_DOMAIN;
    return { action, reason: `${domain} has neither MX nor address`, reply };
  };
  return {
    name: "sender-domain",
    stages: ["mail"],
    run({ sender }) {
      const domain = domainOf(sender ?? "");
      return domain === "" || domain.startsWith("[") || isLocal(domain) ? CONTINUE : judged(domain);
    },
  };
}
