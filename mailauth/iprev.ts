/** Reverse DNS that leads back to the address (RFC 8601 3, iprev). */
import { run, type Steps } from "../bytes/steps.ts";
import { ask } from "../dns/asking.ts";
import { canonicalAddress } from "../dns/ip_address.ts";
import { ResolveError, type Resolver } from "../dns/resolver.ts";
import { addressOctets, reverseName } from "./spf.ts";

export interface IprevOutcome {
  readonly result: "pass" | "fail" | "temperror" | "permerror";
  /** The name that was confirmed, else the first one that was not; "" without any. */
  readonly name: string;
  readonly text: string;
}

/** PTR names that are tried; RFC 7208 4.6.4 has the same limit. */
const MAX_NAMES = 10;

/** At once where the names are known. Never rejects for what DNS says. */
export function checkIprev(resolver: Resolver, address: string): IprevOutcome | Promise<IprevOutcome> {
  return run(iprev(resolver, address));
}

function* iprev(resolver: Resolver, address: string): Steps<IprevOutcome> {
  const wanted = canonicalAddress(address);
  if (wanted === null) return { result: "permerror", name: "", text: "no address" };
  const octets = addressOctets(address);
  let name = "";
  try {
    const { records } = yield* ask(resolver, reverseName(octets), "PTR");
    const [first] = records;
    if (first === undefined) return { result: "permerror", name: "", text: "the address has no name" };
    name = first.target;
    for (const { target } of records.slice(0, MAX_NAMES)) {
      const answer = yield* ask(resolver, target, octets.length === 4 ? "A" : "AAAA");
      for (const record of answer.records) {
        if (sameAddress(record.address, octets)) return { result: "pass", name: target, text: "" };
      }
    }
    return { result: "fail", name, text: "no name of the address leads back to it" };
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    return { result: error.temporary ? "temperror" : "permerror", name, text: error.plain };
  }
}

function sameAddress(text: string, octets: Uint8Array): boolean {
  const other = addressOctets(text);
  return other.length === octets.length && other.every((octet, at) => octet === octets[at]);
}
