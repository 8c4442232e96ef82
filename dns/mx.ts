/**
 * Where mail for a domain goes: MX records, implicit MX, null MX, and the addresses of a host.
 *
 * RFC 5321 5.1 (order by preference, random among equals, implicit MX, our own names), RFC 7505 (null MX). Address
 * look-ups are left until a host is tried, except where the answer depends on them. Limits: {@linkcode MAX_HOSTS}
 * exchanges of a domain, {@linkcode MAX_ADDRESSES} addresses of a host.
 */
import { canonicalAddress } from "./ip_address.ts";
import { ResolveError, type Resolver, type Security } from "./resolver.ts";

/** The best this many exchanges are used; a zone of thousands would keep the queue busy for days. */
export const MAX_HOSTS = 50;
/** Of each family. */
export const MAX_ADDRESSES = 20;

/** Uniform in [0, 1). */
export type Random = () => number;

/** Hosts of one preference, shuffled: try them in this order. */
export interface MxGroup {
  readonly preference: number;
  /** Lower case, without final dot. */
  readonly hosts: readonly string[];
}

export type MxResult =
  /**
   * Groups from the best preference to the worst; `implicit`: no MX record, the domain itself is the host; `secure`:
   * DNSSEC vouches for the names of the hosts, or for there being no MX record (RFC 7672 2.2.1).
   */
  | {
    readonly kind: "hosts";
    readonly groups: readonly MxGroup[];
    readonly implicit: boolean;
    readonly secure: boolean;
  }
  /** The domain takes no mail: 5.1.10 (RFC 7505 3). Permanent. */
  | { readonly kind: "null-mx" }
  /** NXDOMAIN: 5.1.2. Permanent. */
  | { readonly kind: "no-such-domain" }
  /** The domain exists but has neither an address nor an MX record that names a host: 5.4.4. Permanent. */
  | { readonly kind: "no-host" }
  /** DNS could not be asked: 4.4.3 when temporary; a name that is no name is permanent. `reason` is for a DSN. */
  | { readonly kind: "failed"; readonly temporary: boolean; readonly reason: string };

export type AddressResult =
  /**
   * IPv6 and IPv4, each family shuffled, IPv6 first. `secure`: DNSSEC vouches for all of them and for the aliases on the
   * way to `canonicalName`.
   */
  | {
    readonly kind: "addresses";
    readonly addresses: readonly string[];
    readonly canonicalName: string;
    readonly secure: boolean;
  }
  /** The host does not exist or has no address: try the next one. */
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly temporary: boolean; readonly reason: string };

/** How we can be reached; `localhost`, 0.0.0.0 and :: are ours always. */
export interface Ourselves {
  /** Lower case. */
  readonly names: ReadonlySet<string>;
  readonly addresses: ReadonlySet<string>;
  /** A listener on all addresses: all of 127.0.0.0/8 leads to us. */
  readonly loopback?: boolean;
}

/** The hosts for a domain (A-labels, not an address literal). Never rejects for a reason outside of us. */
export async function lookupMx(resolver: Resolver, domain: string, random: Random): Promise<MxResult> {
  if (endsWithNumber(domain)) return { kind: "no-such-domain" };
  try {
    const answer = await resolver.resolve(domain, "MX");
    switch (answer.status) {
      case "no-such-domain":
        return { kind: "no-such-domain" };
      case "no-data":
        return await implicitMx(resolver, answer, random);
      case "found": {
        // RFC 7505 3: a single record with the root as exchange. Among others "." is no host and is left out.
        if (answer.records.every((record) => record.exchange === ".")) return { kind: "null-mx" };
        const groups = grouped(answer.records, random);
        return groups.length === 0
          ? { kind: "no-host" }
          : { kind: "hosts", groups, implicit: false, secure: answer.security === "secure" };
      }
      default:
        return answer.status satisfies never;
    }
  } catch (error) {
    return failure(domain, error);
  }
}

/** RFC 5321 5.1: without MX the domain is its own host, if it has an address. */
async function implicitMx(
  resolver: Resolver,
  answer: { readonly name: string; readonly security: Security },
  random: Random,
): Promise<MxResult> {
  const domain = answer.name;
  const result = await lookupAddresses(resolver, domain, random);
  switch (result.kind) {
    case "addresses":
      return {
        kind: "hosts",
        groups: [{ preference: 0, hosts: [domain] }],
        implicit: true,
        secure: answer.security === "secure",
      };
    case "none":
      return { kind: "no-host" };
    case "failed":
      return result;
    default:
      return result satisfies never;
  }
}

/**
 * Addresses of one host, both families asked side by side. One family that fails is left out when the other has
 * addresses: a broken AAAA must not hold mail up.
 */
export async function lookupAddresses(
  resolver: Resolver,
  host: string,
  random: Random,
): Promise<AddressResult> {
  const [six, four] = await Promise.allSettled([
    resolver.resolve(host, "AAAA"),
    resolver.resolve(host, "A"),
  ]);
  const addresses: string[] = [];
  let canonicalName = host;
  let secure = true;
  for (const answer of [six, four]) {
    if (answer.status === "rejected") continue;
    const family = answer.value.records.map((record) => record.address);
    if (family.length === 0) continue;
    canonicalName = answer.value.canonicalName;
    secure &&= answer.value.security === "secure";
    addresses.push(...shuffled(family, random).slice(0, MAX_ADDRESSES));
  }
  if (addresses.length > 0) return { kind: "addresses", addresses, canonicalName, secure };
  if (six.status === "rejected") return failure(host, six.reason);
  if (four.status === "rejected") return failure(host, four.reason);
  return { kind: "none" };
}

/**
 * Drops the preference at which we stand ourselves and all worse ones, so that mail never runs in a circle
 * (RFC 5321 5.1). An empty result means that only we are left: 5.4.6. Hosts whose addresses cannot be had stay.
 */
export async function withoutOurselves(
  resolver: Resolver,
  groups: readonly MxGroup[],
  ours: Ourselves,
): Promise<readonly MxGroup[]> {
  for (const [at, group] of groups.entries()) {
    for (const host of group.hosts) {
      if (isOurName(host, ours)) return groups.slice(0, at);
    }
    const found = await Promise.all(group.hosts.map((host) => lookupAddresses(resolver, host, () => 0)));
    const own = found.some((result) =>
      result.kind === "addresses" && result.addresses.some((address) => isOurAddress(address, ours))
    );
    if (own) return groups.slice(0, at);
  }
  return groups;
}

function isOurName(host: string, ours: Ourselves): boolean {
  return ours.names.has(host) || host === "localhost" || host.endsWith(".localhost");
}

function isOurAddress(given: string, ours: Ourselves): boolean {
  // A mapped IPv4 address leads to the same place (RFC 4291 2.5.5.2).
  const address = given.startsWith("::ffff:") ? canonicalAddress(given.slice(7)) ?? given : given;
  if (address === "0.0.0.0" || address === "::") return true;
  return ours.addresses.has(address) || (ours.loopback === true && address.startsWith("127."));
}

/** No top-level domain is a number (RFC 3696 2): such a "name" is an address that was not written as one. */
function endsWithNumber(name: string): boolean {
  return /(^|\.)[0-9]+\.?$/.test(name);
}

/**
 * RFC 5321 5.1: an exchange is the name of a host. One that looks like an address would be connected to without a
 * look-up, and so without being compared with ours.
 */
function isHostName(exchange: string): boolean {
  return /^[a-z0-9_.-]+$/.test(exchange) && exchange !== "." && !endsWithNumber(exchange);
}

function grouped(records: readonly { preference: number; exchange: string }[], random: Random): MxGroup[] {
  const byPreference = new Map<number, Set<string>>();
  const best = records.filter((record) => isHostName(record.exchange)).toSorted((a, b) =>
    a.preference - b.preference
  );
  for (const { preference, exchange } of best.slice(0, MAX_HOSTS)) {
    const hosts = byPreference.get(preference);
    if (hosts === undefined) byPreference.set(preference, new Set([exchange]));
    else hosts.add(exchange);
  }
  return [...byPreference].map(([preference, hosts]) => ({
    preference,
    hosts: shuffled([...hosts], random),
  }));
}

/** Fisher and Yates: every order is as likely. */
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const at = Math.floor(random() * (last + 1));
    [result[last], result[at]] = [result[at]!, result[last]!];
  }
  return result;
}

/** The sender reads the reason: it names no server of ours. */
function failure(name: string, error: unknown): { kind: "failed"; temporary: boolean; reason: string } {
  if (!(error instanceof ResolveError)) throw error;
  return { kind: "failed", temporary: error.temporary, reason: `${name}: ${error.plain}` };
}
