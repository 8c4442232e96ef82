/**
 * Whether a set of records is signed by a key of its zone.
 *
 * RFC 4035 5.3: what a signature must fit, what it covers, and the TTL it allows; RFC 4034 3.1.8.1 and appendix B (key
 * tag). A zone cannot make us check without end: at most {@linkcode MAX_TAG_COLLISIONS} keys with one tag are tried for
 * a signature, at most {@linkcode MAX_FAILURES} signatures of a set may fail, and every check is taken from the
 * question's {@linkcode Work}.
 */
import { joined } from "../../bytes/joined.ts";
import { childName, isWithin, labelCount, lastLabels, nameOctets } from "../name.ts";
import { canonicalData } from "../rdata.ts";
import { type DnskeyData, type RrsigData, writeSignatureHead } from "../rdata_dnssec.ts";
import { EXTENDED_ERRORS, type ExtendedError } from "../resolver.ts";
import { canonicalOrder, type RrSet } from "../rrset.ts";
import { WireWriter } from "../wire.ts";
import type { Work } from "../work.ts";
import { type DnssecCrypto, isSupportedAlgorithm } from "./crypto.ts";

const MAX_TAG_COLLISIONS = 3;
export const MAX_FAILURES = 4;

/** RFC 4034 2.1.1, RFC 5011 3. */
export const ZONE_KEY = 0x0100, REVOKED = 0x0080, ENTRY_POINT = 0x0001;
const DNSSEC_PROTOCOL = 3;

export type SignatureCheck =
  | {
    readonly kind: "secure";
    /** What the signature allows it to be kept for. */
    readonly ttlSeconds: number;
    /** `*.example` when the records were made from it (RFC 4035 5.3.4); null when the name has them itself. */
    readonly wildcard: string | null;
    /** The key that signed. */
    readonly key: DnskeyData;
  }
  | { readonly kind: "bogus"; readonly reason: ExtendedError };

export interface SignatureContext {
  readonly crypto: DnssecCrypto;
  readonly work: Work;
  /** Seconds since 1970. */
  readonly nowSeconds: number;
  /** A revoked key may have signed: only to learn that it is revoked (RFC 5011 2.1). */
  readonly revoked?: boolean;
}

/** Checks `set` against `keys`, the DNSKEY records of `zone` that are trusted. */
/** `wallClock`: milliseconds since 1970. */
export function signatureContext(
  { crypto, wallClock }: { readonly crypto: DnssecCrypto; readonly wallClock: () => number },
  work: Work,
): SignatureContext {
  return { crypto, work, nowSeconds: Math.floor(wallClock() / 1000) };
}

export async function checkSignatures(
  set: RrSet,
  signer: { readonly zone: string; readonly keys: readonly DnskeyData[] },
  context: SignatureContext,
): Promise<SignatureCheck> {
  const { zone, keys } = signer;
  let reason = bogus(EXTENDED_ERRORS.RRSIGS_MISSING, `${set.name}: no signature of ${zone}`);
  let failures = 0;
  for (const signature of set.signatures) {
    const misfit = misfitOf(set, signature, zone, context.nowSeconds);
    if (misfit !== null) {
      reason = misfit;
      continue;
    }
    const fitting = keys.filter((key) =>
      (context.revoked === true || isZoneKey(key)) && key.algorithm === signature.algorithm &&
      keyTag(key) === signature.keyTag
    );
    if (fitting.length === 0) {
      reason = bogus(EXTENDED_ERRORS.DNSKEY_MISSING, `${set.name}: no key ${signature.keyTag} in ${zone}`);
      continue;
    }
    const data = signedData(set, signature);
    for (const key of fitting.slice(0, MAX_TAG_COLLISIONS)) {
      context.work.spend("validations", set.name);
      const good = await context.crypto.verify(signature.algorithm, {
        key: key.key as Uint8Array<ArrayBuffer>,
        signature: signature.signature as Uint8Array<ArrayBuffer>,
        data,
      });
      if (good) return { kind: "secure", key, ...allowed(set, signature, context.nowSeconds) };
      reason = bogus(
        EXTENDED_ERRORS.BOGUS,
        `${set.name}: the signature by key ${signature.keyTag} of ${zone} is wrong`,
      );
      if (++failures >= MAX_FAILURES) return { kind: "bogus", reason };
    }
  }
  return { kind: "bogus", reason };
}

/** RFC 4034 2.1.1, 2.1.2: a key for zone data; RFC 5011 2.1: not revoked. */
export function isZoneKey(key: DnskeyData): boolean {
  return (key.flags & ZONE_KEY) !== 0 && (key.flags & REVOKED) === 0 && key.protocol === DNSSEC_PROTOCOL;
}

/** RFC 4034 appendix B. */
export function keyTag(key: DnskeyData): number {
  const octets = canonicalData(key);
  let sum = 0;
  for (let at = 0; at < octets.length; at++) sum += (at & 1) === 0 ? octets[at]! << 8 : octets[at]!;
  sum += sum >>> 16 & 0xffff;
  return sum & 0xffff;
}

/** Why a signature cannot count before anything is calculated; null when it may. RFC 4035 5.3.1. */
function misfitOf(set: RrSet, signature: RrsigData, zone: string, now: number): ExtendedError | null {
  if (signature.signer !== zone || !isWithin(set.name, zone)) {
    return bogus(EXTENDED_ERRORS.BOGUS, `${set.name}: signed by ${signature.signer}, not by ${zone}`);
  }
  if (signature.labels > ownerLabels(set.name)) {
    return bogus(EXTENDED_ERRORS.BOGUS, `${set.name}: a signature for a longer name`);
  }
  if (!isSupportedAlgorithm(signature.algorithm)) {
    return bogus(
      EXTENDED_ERRORS.UNSUPPORTED_ALGORITHM,
      `${set.name}: signed with algorithm ${signature.algorithm}`,
    );
  }
  // RFC 4034 3.1.5: serial number arithmetic.
  if ((signature.expiration - now | 0) < 0) {
    return bogus(
      EXTENDED_ERRORS.SIGNATURE_EXPIRED,
      `${set.name}: the signature ended ${dateText(signature.expiration)}`,
    );
  }
  if ((now - signature.inception | 0) < 0) {
    return bogus(
      EXTENDED_ERRORS.SIGNATURE_NOT_YET_VALID,
      `${set.name}: the signature begins ${dateText(signature.inception)}`,
    );
  }
  return null;
}

function allowed(
  set: RrSet,
  signature: RrsigData,
  now: number,
): { ttlSeconds: number; wildcard: string | null } {
  return {
    ttlSeconds: Math.min(set.ttlSeconds, signature.originalTtlSeconds, signature.expiration - now | 0), // RFC 4035 5.3.3
    wildcard: signature.labels < ownerLabels(set.name)
      ? childName("*", lastLabels(set.name, signature.labels))
      : null,
  };
}

/** RFC 4034 3.1.3: a leading `*` does not count. */
function ownerLabels(name: string): number {
  return labelCount(name) - (name === "*" || name.startsWith("*.") ? 1 : 0);
}

/** RFC 4034 3.1.8.1. */
export function signedData(set: RrSet, signature: RrsigData): Uint8Array<ArrayBuffer> {
  const owner = signature.labels < ownerLabels(set.name)
    ? childName("*", lastLabels(set.name, signature.labels))
    : set.name;
  const ownerOctets = nameOctets(owner)!;
  const records = canonicalOrder(set.records);
  // Longer than a message can be, since owners are not compressed here.
  const head = new WireWriter({ compression: false });
  writeSignatureHead(head, signature);
  const headOctets = head.take();
  const parts: Uint8Array[] = [headOctets];
  for (const record of records) {
    const fixed = new WireWriter();
    fixed.u16(set.type);
    fixed.u16(1);
    fixed.u32(signature.originalTtlSeconds);
    fixed.u16(record.length);
    parts.push(ownerOctets, fixed.take(), record);
  }
  return joined(parts);
}

/** What is wrong with something signed, in words. */
export function bogus(code: number, text: string): ExtendedError {
  return { code, text };
}

function dateText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19) + "Z";
}
