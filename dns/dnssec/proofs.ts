/** The denials in a reply, NSEC and NSEC3, that a zone has signed, and what they prove (RFC 4035 5.4). */
import { TYPE_CODES } from "../rdata.ts";
import { EXTENDED_ERRORS, type ExtendedError } from "../resolver.ts";
import type { RrSet } from "../rrset.ts";
import type { Reply } from "../source.ts";
import { type Nsec, nsecDenies, nsecOf } from "./nsec.ts";
import { chainOf, type Nsec3, type Nsec3Denial, Nsec3Proofs } from "./nsec3.ts";
import { bogus, checkSignatures, type SignatureContext } from "./signature.ts";
import { MAX_STEP_TTL_SECONDS, type SecureZone } from "./trust.ts";

/** Sets of NSEC or NSEC3 of a reply that are looked at: three suffice for any proof, with room. */
const MAX_PROOFS = 8;

/** Denials of a secure zone, for use in other questions (RFC 8198). */
export interface ProvenProofs {
  readonly zone: string;
  readonly nsec: readonly Nsec[];
  readonly nsec3: readonly Nsec3[];
}

export interface Proofs {
  readonly zone: string;
  readonly nsec: readonly Nsec[];
  readonly nsec3: Nsec3Proofs;
  readonly nsec3Records: readonly Nsec3[];
  readonly ttlSeconds: number;
  /** Why one of them does not count. */
  readonly fault: ExtendedError | null;
}

export function proven({ zone, nsec, nsec3Records }: Proofs): ProvenProofs {
  return { zone, nsec, nsec3: nsec3Records };
}

/** The proofs in a reply that a zone has signed. */
export async function proofsOf(reply: Reply, zone: SecureZone, context: SignatureContext): Promise<Proofs> {
  const nsec: Nsec[] = [], nsec3: Nsec3[] = [];
  let ttlSeconds = MAX_STEP_TTL_SECONDS, fault: ExtendedError | null = null;
  const sets = reply.authorities.filter((set) =>
    isProof(set) && set.signatures.some(({ signer }) => signer === zone.zone)
  );
  for (const set of sets.slice(0, MAX_PROOFS)) {
    const check = await checkSignatures(set, zone, context);
    if (check.kind === "bogus") fault = check.reason;
    // A record that proves something stands at its own name.
    if (check.kind === "bogus" || check.wildcard !== null) continue;
    ttlSeconds = Math.min(ttlSeconds, check.ttlSeconds);
    for (const record of set.records) {
      if (record.type === "NSEC") nsec.push(nsecOf(set.name, record));
      else if (record.type === "NSEC3") nsec3.push({ owner: set.name, data: record });
    }
  }
  return {
    zone: zone.zone,
    nsec,
    nsec3: new Nsec3Proofs(chainOf(nsec3, zone.zone), zone.zone, context),
    nsec3Records: nsec3,
    ttlSeconds,
    fault,
  };
}

export function deny(proofs: Proofs, question: { name: string; type: number }): Nsec3Denial {
  const denial = nsecDenies(proofs.nsec, { ...question, zone: proofs.zone });
  return denial.kind === "missing" ? proofs.nsec3.denies(question) : denial;
}

export function isProof(set: RrSet): boolean {
  return set.type === TYPE_CODES.NSEC || set.type === TYPE_CODES.NSEC3;
}

export function tooManyIterations(zone: string): ExtendedError {
  return bogus(EXTENDED_ERRORS.UNSUPPORTED_NSEC3_ITERATIONS, `${zone}: too many NSEC3 iterations`);
}
