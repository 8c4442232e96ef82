/**
 * The TLSA records of one host (RFC 7672 2.2): where to look, and what their absence or trouble means.
 *
 * Only hosts that DNSSEC vouches for, address records and aliases included, are asked about (2.2.2); then an answer that
 * cannot be had or is bogus means that the host must not be used now (2.1.2), because it may hide records.
 */
import type { DataOf } from "../../dns/rdata.ts";
import { ResolveError, type Resolver } from "../../dns/resolver.ts";
import { isUsable } from "./certificate_check.ts";

export type DaneRecords =
  /** There are none to go by. */
  | { readonly kind: "none" }
  /**
   * TLS there must be. `usable` empty: any certificate will do (RFC 7672 2.2). `base`: the name they were found at, which
   * the handshake asks for.
   */
  | {
    readonly kind: "found";
    readonly base: string;
    readonly all: readonly DataOf<"TLSA">[];
    readonly usable: readonly DataOf<"TLSA">[];
  }
  | { readonly kind: "failed"; readonly bogus: boolean; readonly reason: string };

/** `canonicalName`: where the aliases of `host` end, DNSSEC vouching for each. */
export async function lookupDane(
  resolver: Resolver,
  { host, canonicalName, port }: {
    readonly host: string;
    readonly canonicalName: string;
    readonly port: number;
  },
): Promise<DaneRecords> {
  for (const base of new Set([canonicalName, host])) {
    try {
      const answer = await resolver.resolve(`_${port}._tcp.${base}`, "TLSA");
      if (answer.security !== "secure" || answer.status !== "found") continue;
      return { kind: "found", base, all: answer.records, usable: answer.records.filter(isUsable) };
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      return { kind: "failed", bogus: error.fault === "bogus", reason: `${base}: ${error.plain}` };
    }
  }
  return { kind: "none" };
}

/** RFC 6698 2.2, as reports show it (RFC 8460 4.5). */
export function tlsaText({ usage, selector, matching, association }: DataOf<"TLSA">): string {
  return `${usage} ${selector} ${matching} ${association.toHex()}`;
}
