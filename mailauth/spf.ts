/**
 * SPF (RFC 7208): may this address send for this domain?
 *
 * `check` evaluates the record of one domain. Limits of RFC 7208 4.6.4: {@linkcode MAX_LOOKUPS} terms that ask DNS,
 * {@linkcode MAX_VOID} look-ups without an answer, 10 names of an MX or PTR. Over a limit it is permerror, trouble of
 * DNS is temperror. The explanation of a domain is text of a stranger: it is cut and cleaned, and never of a shape that
 * could be mistaken for ours. Sockets and clocks are the resolver's.
 */
import { run, type Steps } from "../bytes/steps.ts";
import { ask } from "../dns/asking.ts";
import { formatIpv4, parseIpv4, parseIpv6 } from "../dns/ip_address.ts";
import { nameLabels } from "../dns/name.ts";
import type { DataOf } from "../dns/rdata.ts";
import { type Answer, ResolveError, type Resolver } from "../dns/resolver.ts";
import { checkExplanation, expand, expandDomain, type MacroFacts, readable } from "./spf_macro.ts";
import { isSpfRecord, type Mechanism, parseSpfRecord, type SpfRecord } from "./spf_record.ts";

export type SpfResult = "none" | "neutral" | "pass" | "fail" | "softfail" | "temperror" | "permerror";

export interface SpfOutcome {
  readonly result: SpfResult;
  /** The term that decided, as in "include:example.net"; "" where none did. */
  readonly mechanism: string;
  /** Words for a log or a reply: what went wrong, or the domain's own explanation of a fail. */
  readonly text: string;
}

export interface SpfInput {
  /** Of the client; IPv4-mapped addresses count as IPv4. */
  readonly address: string;
  /** Whose record is asked: of the reverse path, or the HELO name. */
  readonly domain: string;
  /** The reverse path; "" where there is none: then it is postmaster of the HELO name. */
  readonly sender: string;
  readonly helo: string;
  /** Our own name, for `%{r}`. */
  readonly receiver: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export const MAX_LOOKUPS = 10;
const MAX_VOID = 2;
const MAX_NAMES = 10;
const MAX_EXPLANATION = 400;

/** Ends the evaluation with a result of its own. */
class SpfFault extends Error {
  override readonly name = "SpfFault";
  readonly result: "temperror" | "permerror";
  constructor(result: "temperror" | "permerror", text: string) {
    super(text);
    this.result = result;
  }
}

/** At once where the names are known. Never rejects. */
export function checkSpf(resolver: Resolver, input: SpfInput): SpfOutcome | Promise<SpfOutcome> {
  return run(evaluated(resolver, input));
}

function* evaluated(resolver: Resolver, input: SpfInput): Steps<SpfOutcome> {
  if (!isCheckable(input.domain)) {
    return { result: "none", mechanism: "", text: "no domain that can be asked" };
  }
  const evaluation = new Evaluation(resolver, input);
  try {
    return yield* evaluation.run(input.domain.toLowerCase().replace(/\.$/, ""));
  } catch (error) {
    if (!(error instanceof SpfFault)) throw error;
    return { result: error.result, mechanism: "", text: error.message };
  }
}

/** RFC 7208 4.3: at least two labels that DNS can hold. */
function isCheckable(domain: string): boolean {
  if (!domain.includes(".") || domain.startsWith("[")) return false;
  const labels = nameLabels(domain);
  return labels !== null && labels.length >= 2 && !/[^\x21-\x7e]/.test(domain);
}

class Evaluation {
  readonly #resolver: Resolver;
  readonly #input: SpfInput;
  readonly #address: Uint8Array;
  readonly #text: string;
  #lookups: number;
  #voids: number;

  constructor(resolver: Resolver, input: SpfInput) {
    this.#resolver = resolver;
    this.#input = input;
    this.#address = addressOctets(input.address);
    this.#text = this.#address.length === 4 ? formatIpv4(this.#address) : readable(input.address);
    this.#lookups = 0;
    this.#voids = 0;
  }

  /** check_host() of a domain, redirects followed. */
  *run(domain: string): Steps<SpfOutcome> {
    const record = yield* this.#record(domain);
    if (record === null) return { result: "none", mechanism: "", text: `${domain} has no SPF record` };
    for (const mechanism of record.mechanisms) {
      if (!(yield* this.#matches(mechanism, domain))) continue;
      const text = mechanism.qualifier === "fail" && record.explanation !== null
        ? yield* this.#explain(record.explanation, domain)
        : "";
      return { result: mechanism.qualifier, mechanism: describe(mechanism), text };
    }
    if (record.redirect === null) return { result: "neutral", mechanism: "", text: "" };
    this.#count("redirect");
    const next = yield* expandDomain(record.redirect, this.#facts(domain));
    if (!isCheckable(next)) throw new SpfFault("permerror", `redirect leads to ${next}, which is no domain`);
    const outcome = yield* this.run(next);
    if (outcome.result === "none") {
      throw new SpfFault("permerror", `redirect leads to ${next} without a record`);
    }
    return outcome;
  }

  *#record(domain: string): Steps<SpfRecord | null> {
    const { records } = yield* this.#ask(domain, "TXT", { countVoid: false });
    const texts = records.map(joined).filter(isSpfRecord);
    if (texts.length === 0) return null;
    if (texts.length > 1) throw new SpfFault("permerror", `${domain} has ${texts.length} SPF records`);
    const record = /[^\x20-\x7e]/.test(texts[0]!) ? null : parseSpfRecord(texts[0]!);
    if (record === null) throw new SpfFault("permerror", `the SPF record of ${domain} breaks the grammar`);
    return record;
  }

  *#matches(mechanism: Mechanism, domain: string): Steps<boolean> {
    switch (mechanism.kind) {
      case "all":
        return true;
      case "ip":
        return within(this.#address, mechanism.network, mechanism.bits);
      case "include": {
        this.#count("include");
        const target = yield* this.#target(mechanism.domainSpec, domain);
        if (!isCheckable(target)) throw new SpfFault("permerror", `include of ${target}, which is no domain`);
        const { result, text } = yield* this.run(target);
        if (result === "none") {
          throw new SpfFault("permerror", `include of ${target}, which has no SPF record`);
        }
        if (result === "temperror" || result === "permerror") throw new SpfFault(result, text);
        return result === "pass";
      }
      case "a": {
        this.#count("a");
        return yield* this.#hostMatches(yield* this.#target(mechanism.domainSpec, domain), mechanism);
      }
      case "mx": {
        this.#count("mx");
        const target = yield* this.#target(mechanism.domainSpec, domain);
        const { records } = yield* this.#ask(target, "MX");
        if (records.length > MAX_NAMES) {
          throw new SpfFault("permerror", `${target} has more than ${MAX_NAMES} MX records`);
        }
        for (const { exchange } of records.toSorted((x, y) => x.preference - y.preference)) {
          // A null MX names nobody (RFC 7505).
          if (exchange !== "" && exchange !== "." && (yield* this.#hostMatches(exchange, mechanism))) {
            return true;
          }
        }
        return false;
      }
      case "exists": {
        this.#count("exists");
        const { records } = yield* this.#ask(yield* this.#target(mechanism.domainSpec, domain), "A");
        return records.length > 0;
      }
      case "ptr": {
        this.#count("ptr");
        const target = yield* this.#target(mechanism.domainSpec, domain);
        return (yield* this.#validatedNames()).some((name) => isBelow(name, target));
      }
      default:
        return mechanism satisfies never;
    }
  }

  *#target(domainSpec: string, domain: string): Steps<string> {
    return domainSpec === "" ? domain : yield* expandDomain(domainSpec, this.#facts(domain));
  }

  *#hostMatches(host: string, { bits4, bits6 }: { bits4: number; bits6: number }): Steps<boolean> {
    const four = this.#address.length === 4;
    const { records } = yield* this.#ask(host, four ? "A" : "AAAA");
    return records.some(({ address }) => within(this.#address, addressOctets(address), four ? bits4 : bits6));
  }

  /** Names of the client's address that lead back to it (RFC 7208 5.5). Trouble of DNS is no name here. */
  *#validatedNames(): Steps<string[]> {
    const valid: string[] = [];
    let names: readonly DataOf<"PTR">[];
    try {
      names = (yield* this.#ask(reverseName(this.#address), "PTR")).records;
    } catch (error) {
      if (error instanceof SpfFault && error.result === "temperror") return [];
      throw error;
    }
    for (const { target } of names.slice(0, MAX_NAMES)) {
      try {
        if (yield* this.#hostMatches(target, { bits4: 32, bits6: 128 })) {
          valid.push(target.toLowerCase().replace(/\.$/, ""));
        }
      } catch (error) {
        if (!(error instanceof SpfFault && error.result === "temperror")) throw error;
      }
    }
    return valid;
  }

  #facts(domain: string): MacroFacts {
    const { sender, helo, receiver, now } = this.#input;
    const given = sender === "" ? `postmaster@${helo}` : sender;
    return {
      sender: given.includes("@")
        ? (given.startsWith("@") ? `postmaster${given}` : given)
        : `postmaster@${given}`,
      domain,
      address: this.#text,
      helo,
      receiver,
      seconds: Math.floor(now / 1000),
      validatedName: () => this.#validatedName(domain),
    };
  }

  /** `%{p}`. */
  *#validatedName(domain: string): Steps<string> {
    const names = yield* this.#validatedNames();
    return names.find((name) => name === domain) ?? names.find((name) => isBelow(name, domain)) ??
      names[0] ?? "unknown";
  }

  /** RFC 7208 6.2: whatever goes wrong, there is just no explanation. */
  *#explain(domainSpec: string, domain: string): Steps<string> {
    try {
      const facts = this.#facts(domain);
      const target = yield* expandDomain(domainSpec, facts);
      const { records } = yield* this.#ask(target, "TXT", { countVoid: false });
      const [only] = records;
      if (only === undefined || records.length > 1) return "";
      const text = joined(only);
      if (!checkExplanation(text)) return "";
      return (yield* expand(text, facts)).replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_EXPLANATION);
    } catch (error) {
      if (!(error instanceof SpfFault)) throw error;
      return "";
    }
  }

  #count(term: string): void {
    if (++this.#lookups > MAX_LOOKUPS) {
      throw new SpfFault("permerror", `more than ${MAX_LOOKUPS} terms ask DNS (at ${term})`);
    }
  }

  *#ask<T extends "A" | "AAAA" | "MX" | "PTR" | "TXT">(
    name: string,
    type: T,
    options: { countVoid: boolean } = { countVoid: true },
  ): Steps<Pick<Answer<T>, "records">> {
    try {
      const answer = yield* ask(this.#resolver, name, type);
      if (answer.status === "found") return answer;
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      if (error.temporary) throw new SpfFault("temperror", `${name} ${type}: ${error.plain}`);
      // A name that cannot be is a name without records.
    }
    if (options.countVoid && ++this.#voids > MAX_VOID) {
      throw new SpfFault("permerror", `more than ${MAX_VOID} look-ups found nothing (at ${name} ${type})`);
    }
    return { records: [] };
  }
}

function describe(mechanism: Mechanism): string {
  return "domainSpec" in mechanism && mechanism.domainSpec !== ""
    ? `${mechanism.kind}:${mechanism.domainSpec}`
    : mechanism.kind;
}

function joined({ strings }: DataOf<"TXT">): string {
  return strings.map((octets) => String.fromCharCode(...octets)).join("");
}

/** 4 or 16 octets. */
export function addressOctets(text: string): Uint8Array {
  const octets = parseIpv4(text) ?? parseIpv6(text);
  if (octets === null) throw new TypeError(`${text} is no IP address`);
  const mapped = octets.length === 16 && octets.subarray(0, 10).every((octet) => octet === 0) &&
    octets[10] === 0xff && octets[11] === 0xff;
  return mapped ? octets.subarray(12) : octets;
}

function within(address: Uint8Array, network: Uint8Array, bits: number): boolean {
  if (address.length !== network.length) return false;
  for (let at = 0; at < address.length && at * 8 < bits; at++) {
    const mask = 0xff << Math.max(0, 8 - (bits - at * 8)) & 0xff;
    if (((address[at]! ^ network[at]!) & mask) !== 0) return false;
  }
  return true;
}

/** `name` is the domain or below it. */
function isBelow(name: string, domain: string): boolean {
  const parent = domain.toLowerCase().replace(/\.$/, "");
  return name === parent || name.endsWith(`.${parent}`);
}

/** The name to ask for PTR (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(address: Uint8Array): string {
  if (address.length === 4) return `${[...address].reverse().join(".")}.in-addr.arpa`;
  const nibbles = [...address].flatMap((octet) => [octet >> 4, octet & 15]).reverse();
  return `${nibbles.map((nibble) => nibble.toString(16)).join(".")}.ip6.arpa`;
}
