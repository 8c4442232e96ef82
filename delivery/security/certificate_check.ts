/**
 * Whether the certificate of a mail server is the one that its domain promised: by the roots of this machine, or by DANE.
 *
 * RFC 7672 3.1 (usages 2 and 3, all selectors and matchings) and 3.2 (names), RFC 8461 4.2, RFC 6125 6.4.3. DANE-EE looks
 * at nothing but the key: neither names nor dates. DANE-TA walks the chain that the server sent up to the promised
 * authority, which must be part of it (3.1.2), through at most {@linkcode MAX_CHAIN} certificates. Pure.
 */
import { createHash, timingSafeEqual, X509Certificate } from "node:crypto";
import { canonicalAddress } from "../../dns/ip_address.ts";
import { covers } from "../../dns/name.ts";
import type { DataOf } from "../../dns/rdata.ts";

/** Certificates of one server that are looked at. */
export const MAX_CHAIN = 10;

/** RFC 8460 4.3: what can be told of TLS that failed. */
export type TlsResult =
  | "starttls-not-supported"
  | "certificate-host-mismatch"
  | "certificate-expired"
  | "certificate-not-trusted"
  | "validation-failure"
  | "tlsa-invalid"
  | "dnssec-invalid"
  | "dane-required"
  | "sts-policy-fetch-error"
  | "sts-policy-invalid"
  | "sts-webpki-invalid";

export interface TlsProblem {
  readonly result: TlsResult;
  /** One line. */
  readonly text: string;
}

/** What a certificate is held against. */
export type CertificateCheck =
  /** Nothing: any will do (RFC 7435). */
  | { readonly kind: "none" }
  /** A trusted root, and one of the names. */
  | { readonly kind: "pkix"; readonly names: readonly string[] }
  /** One of the usable records; `names` are for usage 2. */
  | { readonly kind: "dane"; readonly records: readonly DataOf<"TLSA">[]; readonly names: readonly string[] };

/** What a handshake showed. */
export interface PeerCertificates {
  /** As sent, the server's own first, DER. */
  readonly chain: readonly Uint8Array[];
  /** Why the chain ends at no trusted root; null when it does. Names are not part of it. */
  readonly untrusted: string | null;
}

/** Null when the certificate is as promised. */
export function certificateProblem(
  check: CertificateCheck,
  peer: PeerCertificates,
  now: number,
): TlsProblem | null {
  if (check.kind === "none") return null;
  let chain: X509Certificate[];
  try {
    chain = peer.chain.slice(0, MAX_CHAIN).map((der) => new X509Certificate(der));
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return { result: "validation-failure", text: `the certificate cannot be read: ${error.message}` };
  }
  const [own] = chain;
  if (own === undefined) return { result: "validation-failure", text: "the server sent no certificate" };
  return check.kind === "pkix"
    ? nameProblem(own, check.names) ?? dateProblem(own, now) ?? trustProblem(peer.untrusted)
    : daneProblem(check, chain, now);
}

/** True for records that can be used with SMTP; others are as if there were none (RFC 7672 3.1.3, RFC 6698 4.1). */
export function isUsable({ usage, selector, matching, association }: DataOf<"TLSA">): boolean {
  if ((usage !== 2 && usage !== 3) || selector > 1) return false;
  return matching === 0
    ? association.length > 0
    : matching === 1
    ? association.length === 32
    : matching === 2 && association.length === 64;
}

function daneProblem(
  { records, names }: Extract<CertificateCheck, { kind: "dane" }>,
  chain: readonly X509Certificate[],
  now: number,
): TlsProblem | null {
  const [own] = chain;
  if (records.some((record) => record.usage === 3 && matches(record, own!))) return null;
  // The first problem of a chain that does lead to a promised authority says more than "nothing matches".
  let problem: TlsProblem | null = null;
  for (const [at, certificate] of chain.entries()) {
    if (at > 0 && !isIssued(chain[at - 1]!, certificate)) break;
    const end = dateProblem(certificate, now);
    if (!records.some((record) => record.usage === 2 && matches(record, certificate))) {
      if (end !== null) break;
      continue;
    }
    problem = end ?? nameProblem(own!, names);
    if (problem === null) return null;
  }
  return problem ?? {
    result: "certificate-not-trusted",
    text: "no TLSA record matches the certificate or its issuers",
  };
}

/** Signed by it, and it may sign (RFC 5280 4.2.1.9). */
function isIssued(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function matches({ selector, matching, association }: DataOf<"TLSA">, certificate: X509Certificate): boolean {
  const octets = selector === 0
    ? certificate.raw
    : certificate.publicKey.export({ format: "der", type: "spki" });
  const value = matching === 0
    ? octets
    : createHash(matching === 1 ? "sha256" : "sha512").update(octets).digest();
  return value.length === association.length && timingSafeEqual(value, association);
}

function nameProblem(certificate: X509Certificate, names: readonly string[]): TlsProblem | null {
  const presented = presentedNames(certificate);
  const addresses = names.map((name) => canonicalAddress(name)).filter((address) => address !== null);
  if (addresses.some((address) => presentedAddresses(certificate).includes(address))) return null;
  if (names.some((name) => presented.some((pattern) => covers(pattern, name.toLowerCase())))) return null;
  return {
    result: "certificate-host-mismatch",
    text: `the certificate is not for ${names.join(" or ")} but for ${presented.join(", ") || "nobody"}`,
  };
}

/** RFC 7672 3.2.3: the common name counts only where there is no DNS name. Names in quotes hold what no host name has. */
function presentedNames({ subjectAltName, subject }: X509Certificate): string[] {
  const names = (subjectAltName ?? "").split(", ").flatMap((entry) =>
    /^DNS:([^"\s]+)$/.exec(entry)?.[1]?.toLowerCase() ?? []
  );
  if (names.length > 0) return names;
  const common = /^CN=([^\s"]+)$/m.exec(subject)?.[1];
  return common === undefined ? [] : [common.toLowerCase()];
}

/** RFC 6125 B.2: a next hop stated as an address is named by an address. */
function presentedAddresses({ subjectAltName }: X509Certificate): (string | null)[] {
  return (subjectAltName ?? "").split(", ").map((entry) =>
    canonicalAddress(/^IP Address:(\S+)$/.exec(entry)?.[1] ?? "")
  );
}

function dateProblem({ validFrom, validTo }: X509Certificate, now: number): TlsProblem | null {
  if (Date.parse(validTo) < now) {
    return { result: "certificate-expired", text: `the certificate ended on ${validTo}` };
  }
  if (Date.parse(validFrom) > now) {
    return { result: "certificate-not-trusted", text: `the certificate begins on ${validFrom}` };
  }
  return null;
}

function trustProblem(untrusted: string | null): TlsProblem | null {
  return untrusted === null
    ? null
    : { result: "certificate-not-trusted", text: `the certificate is not trusted (${untrusted})` };
}
