/**
 * Lists of the operator: networks of clients, their names, domains of senders, and regular expressions whose
 * time grows in a straight line with the text, whatever the expression (patterns.ts).
 *
 * Who is welcome (`accept`) by what a client says of itself, its EHLO name or the sender, must be proven to come from there
 * (proven.ts); a network and a verified name are proof themselves.
 */
import { Blocks } from "../address_block.ts";
import type { PatternEngine } from "../patterns.ts";
import type { Check, CheckFacts } from "../check.ts";
import { type Action, CONTINUE, type Stage, type Verdict } from "../verdict.ts";
import { domainOf } from "./null_mx.ts";

export interface ListOptions {
  readonly name: string;
  readonly stage: Exclude<Stage, "message" | "data">;
  readonly action: Action;
  readonly networks: readonly string[];
  /** Of clients, as EHLO or verified reverse DNS gives them; a leading dot means all below. */
  readonly names: readonly string[];
  /** Of senders, or at RCPT of recipients. */
  readonly domains: readonly string[];
  /** Looked for in the subject of the stage: address, EHLO name, sender, recipient. */
  readonly patterns: readonly string[];
  /** What the client hears; "" has usual words. */
  readonly text: string;
  /** This client may speak for the domain; of the reverse path, or "" for its EHLO name. */
  readonly proven: (facts: CheckFacts, domain: string, sender: string) => boolean | Promise<boolean>;
}

interface Found {
  readonly reason: string;
  /** What the client only says: a domain, and the sender in it. Null: it is so. */
  readonly claim: { readonly domain: string; readonly sender: string } | null;
}

/** `engine` is there where there are patterns. */
export function list(options: ListOptions, engine: PatternEngine | null): Check {
  const { name, stage, action, text } = options;
  const blocks = new Blocks(options.networks);
  const names = new Names(options.names);
  const domains = new Names(options.domains);
  if (options.patterns.length > 0 && engine === null) throw new Error("patterns without their engine");
  const patterns = options.patterns.map((source) => ({ source, matches: engine!(source) }));
  const found = (facts: CheckFacts): Found | null => {
    const { client, notes } = facts;
    const sender = facts.sender ?? "";
    const named = { domain: client.heloName, sender: "" };
    if (blocks.includes(client.address)) return { reason: `client ${client.address}`, claim: null };
    const reverse = notes.get("reverse-name") ?? "";
    if (names.some && reverse !== "" && names.has(reverse)) {
      return { reason: `client name ${reverse}`, claim: null };
    }
    if (names.some && stage !== "connect" && names.has(client.heloName)) {
      return { reason: `EHLO ${client.heloName}`, claim: named };
    }
    const written = stage === "rcpt" ? null : { domain: domainOf(sender), sender };
    if (domains.some) {
      const domain = domainOf(stage === "rcpt" ? facts.recipient : sender);
      if (domain !== "" && domains.has(domain)) return { reason: `domain ${domain}`, claim: written };
    }
    const subject = subjectOf(facts);
    for (const { source, matches } of patterns) {
      if (!matches(subject)) continue;
      const claim = stage === "connect" ? null : stage === "ehlo" ? named : written;
      return { reason: `${subject} matches ${source}`, claim };
    }
    return null;
  };
  const reply = text === "" ? {} : {
    reply: action === "defer"
      ? { code: 451, enhanced: "4.7.1", text }
      : { code: 550, enhanced: "5.7.1", text },
  };
  return {
    name,
    stages: [stage],
    run(facts) {
      const one = found(facts);
      if (one === null) return CONTINUE;
      const { reason, claim } = one;
      const verdict = { action, reason, ...reply };
      if (action !== "accept" || claim === null) return verdict;
      const unproven: Verdict = { action: "tag", reason: `${reason}, which SPF does not prove`, points: 0 };
      const proven = options.proven(facts, claim.domain, claim.sender);
      return proven instanceof Promise
        ? proven.then((yes) => yes ? verdict : unproven)
        : proven
        ? verdict
        : unproven;
    },
  };
}

function subjectOf({ stage, client, sender, recipient }: CheckFacts): string {
  switch (stage) {
    case "connect":
      return client.address;
    case "ehlo":
      return client.heloName;
    case "rcpt":
      return recipient;
    default:
      return sender ?? "";
  }
}

/** Names in lower case; `.example.org` is every name below. */
class Names {
  #exact: Set<string>;
  #below: Set<string>;

  constructor(names: readonly string[]) {
    const lower = names.map((name) => name.toLowerCase().replace(/\.$/, ""));
    this.#exact = new Set(lower.filter((name) => !name.startsWith(".")));
    this.#below = new Set(lower.filter((name) => name.startsWith(".")));
  }

  get some(): boolean {
    return this.#exact.size + this.#below.size > 0;
  }

  has(name: string): boolean {
    const lower = name.toLowerCase();
    if (this.#exact.has(lower)) return true;
    for (let dot = lower.indexOf("."); dot >= 0; dot = lower.indexOf(".", dot + 1)) {
      if (this.#below.has(lower.slice(dot))) return true;
    }
    return false;
  }
}
