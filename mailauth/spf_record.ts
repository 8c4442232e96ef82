/**
 * SPF records: one string to mechanisms and modifiers (RFC 7208 4.6.1 and 12). Pure.
 *
 * Any mistake makes the whole record unusable (permerror), wherever it stands. Limit: {@linkcode MAX_TERMS}.
 */
import { parseIpv4, parseIpv6 } from "../dns/ip_address.ts";
import { checkMacroString } from "./spf_macro.ts";

export type Qualifier = "pass" | "fail" | "softfail" | "neutral";

export type Mechanism =
  | { readonly kind: "all"; readonly qualifier: Qualifier }
  | { readonly kind: "include" | "exists"; readonly qualifier: Qualifier; readonly domainSpec: string }
  /** `domainSpec` is "" for the current domain. */
  | {
    readonly kind: "a" | "mx";
    readonly qualifier: Qualifier;
    readonly domainSpec: string;
    readonly bits4: number;
    readonly bits6: number;
  }
  | { readonly kind: "ptr"; readonly qualifier: Qualifier; readonly domainSpec: string }
  | {
    readonly kind: "ip";
    readonly qualifier: Qualifier;
    readonly network: Uint8Array;
    readonly bits: number;
  };

export interface SpfRecord {
  readonly mechanisms: readonly Mechanism[];
  readonly redirect: string | null;
  readonly explanation: string | null;
}

const MAX_TERMS = 500;
const QUALIFIERS: Readonly<Record<string, Qualifier>> = {
  "+": "pass",
  "-": "fail",
  "~": "softfail",
  "?": "neutral",
};
const TERM = /^([+\-~?]?)([a-z][a-z0-9_.-]*)(?:([:/=])(.*))?$/i;
const MODIFIER = /^([a-z][a-z0-9_.-]*)=(.*)$/i;

/** True for a TXT record that is an SPF record of version 1 (RFC 7208 4.5). */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/** Null when it breaks the grammar anywhere. */
export function parseSpfRecord(text: string): SpfRecord | null {
  const terms = text.slice("v=spf1".length).split(" ").filter((term) => term !== "");
  if (terms.length > MAX_TERMS) return null;
  const mechanisms: Mechanism[] = [];
  let redirect: string | null = null, explanation: string | null = null;
  for (const term of terms) {
    const modifier = MODIFIER.exec(term);
    if (modifier !== null) {
      const [, name, value] = modifier as unknown as [string, string, string];
      if (!checkMacroString(value)) return null;
      if (name.toLowerCase() === "redirect") {
        if (redirect !== null || !isDomainSpec(value)) return null;
        redirect = value;
      } else if (name.toLowerCase() === "exp") {
        if (explanation !== null || !isDomainSpec(value)) return null;
        explanation = value;
      }
      continue;
    }
    const mechanism = parseMechanism(term);
    if (mechanism === null) return null;
    mechanisms.push(mechanism);
  }
  return { mechanisms, redirect, explanation };
}

function parseMechanism(term: string): Mechanism | null {
  const match = TERM.exec(term);
  if (match === null) return null;
  const [, sign, name, separator, rest] = match;
  const qualifier = QUALIFIERS[sign || "+"]!;
  const argument = separator === undefined ? "" : separator + rest;
  switch (name!.toLowerCase()) {
    case "all":
      return argument === "" ? { kind: "all", qualifier } : null;
    case "include":
    case "exists": {
      const domainSpec = argument.slice(1);
      if (!argument.startsWith(":") || !isDomainSpec(domainSpec)) return null;
      return { kind: name!.toLowerCase() as "include" | "exists", qualifier, domainSpec };
    }
    case "ptr": {
      if (argument === "") return { kind: "ptr", qualifier, domainSpec: "" };
      const domainSpec = argument.slice(1);
      return argument.startsWith(":") && isDomainSpec(domainSpec)
        ? { kind: "ptr", qualifier, domainSpec }
        : null;
    }
    case "a":
    case "mx":
      return hosts(name!.toLowerCase() as "a" | "mx", qualifier, argument);
    case "ip4":
    case "ip6":
      return network(name!.toLowerCase() === "ip4" ? 32 : 128, qualifier, argument);
    default:
      return null;
  }
}

/** `[":" domain-spec] [ip4-cidr-length] ["/" ip6-cidr-length]` (RFC 7208 5.3, 5.4). */
function hosts(kind: "a" | "mx", qualifier: Qualifier, argument: string): Mechanism | null {
  const match = /^(?::(.*?))?(?:\/(\d{1,2}))?(?:\/\/(\d{1,3}))?$/.exec(argument);
  if (match === null) return null;
  const [, domainSpec, four, six] = match;
  if (domainSpec !== undefined && !isDomainSpec(domainSpec)) return null;
  const bits4 = prefixLength(four, 32), bits6 = prefixLength(six, 128);
  if (bits4 === null || bits6 === null) return null;
  return { kind, qualifier, domainSpec: domainSpec ?? "", bits4, bits6 };
}

function network(most: 32 | 128, qualifier: Qualifier, argument: string): Mechanism | null {
  const match = /^:([^/]+)(?:\/(\d{1,3}))?$/.exec(argument);
  if (match === null) return null;
  const octets = most === 32 ? parseIpv4(match[1]!) : parseIpv6(match[1]!);
  const bits = prefixLength(match[2], most);
  return octets === null || bits === null ? null : { kind: "ip", qualifier, network: octets, bits };
}

/** Without leading zeros, at most `most`; the whole address when left out. */
function prefixLength(digits: string | undefined, most: number): number | null {
  if (digits === undefined) return most;
  if (digits.length > 1 && digits.startsWith("0")) return null;
  return Number(digits) <= most ? Number(digits) : null;
}

/** domain-spec: a macro string that ends in a macro or in a top label that is no number (RFC 7208 7.1). */
function isDomainSpec(text: string): boolean {
  if (text === "" || !checkMacroString(text)) return false;
  if (/%(?:\{[^}]*\}|[%_-])$/.test(text)) return true;
  const top = /\.([a-z0-9-]+)\.?$/i.exec(text)?.[1];
  return top !== undefined && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(top) && !/^\d+$/.test(top);
}
