/** Rate limits: token buckets on any combination of facts. A recipient counts once it is asked for. */
import { networkOf } from "../address_block.ts";
import type { Buckets } from "../buckets.ts";
import type { Check, CheckFacts } from "../check.ts";
import { type Action, CONTINUE } from "../verdict.ts";
import { domainOf } from "./null_mx.ts";

export const RATE_FACTS = [
  "address",
  "network",
  "helo",
  "sender",
  "sender-domain",
  "recipient",
  "recipient-domain",
  "login",
] as const;
export type RateFact = (typeof RATE_FACTS)[number];

export interface RateOptions {
  readonly name: string;
  readonly by: readonly RateFact[];
  readonly limit: number;
  readonly perMs: number;
  /** What is counted: messages (MAIL) or recipients (RCPT). */
  readonly stage: "mail" | "rcpt";
  readonly action: Action;
  readonly buckets: Buckets;
  readonly now: () => number;
}

const TOO_FAST = { code: 450, enhanced: "4.7.1", text: "Rate limit exceeded, try again later" };
const TOO_FAST_FOR_GOOD = { code: 550, enhanced: "5.7.1", text: "Rate limit exceeded" };

export function rate(options: RateOptions): Check {
  const { name, by, limit, perMs, stage, action, buckets, now } = options;
  return {
    name,
    stages: [stage],
    run(facts) {
      let key = name;
      for (const fact of by) {
        const value = valueOf(fact, facts);
        if (value === null) return CONTINUE; // a limit of logins does not concern who has none
        key += ` ${value}`;
      }
      if (buckets.take(key, options, now())) return CONTINUE;
      return {
        action,
        reason: `more than ${limit} in ${perMs / 1_000} s by ${by.join(" and ")}`,
        reply: action === "reject" ? TOO_FAST_FOR_GOOD : TOO_FAST,
      };
    },
  };
}

function valueOf(fact: RateFact, { client, sender, recipient }: CheckFacts): string | null {
  switch (fact) {
    case "address":
      return client.address;
    case "network":
      return networkOf(client.address);
    case "helo":
      return client.heloName.toLowerCase();
    case "sender":
      return sender?.toLowerCase() ?? null;
    case "sender-domain":
      return sender === null ? null : domainOf(sender);
    case "recipient":
      return recipient === "" ? null : recipient.toLowerCase();
    case "recipient-domain":
      return recipient === "" ? null : domainOf(recipient);
    case "login":
      return client.login;
  }
}
