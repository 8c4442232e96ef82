/**
 * What DNSSEC needs from cryptography, and which of it is supported. `server/dns_crypto.ts` is the real one (WebCrypto).
 *
 * RFC 8624 3.1 and 3.3. RSASHA1 and SHA-1 digests are not supported: a zone with nothing else is insecure, not bogus
 * (RFC 4035 5.2, RFC 6840 5.2).
 */

/** Algorithm numbers of DNSKEY and RRSIG. */
export const ALGORITHMS = { RSASHA256: 8, RSASHA512: 10, ECDSAP256: 13, ECDSAP384: 14, ED25519: 15 } as const;
/** Digest types of DS. */
export const DIGESTS = { SHA256: 2, SHA384: 4 } as const;

const SUPPORTED_ALGORITHMS: ReadonlySet<number> = new Set(Object.values(ALGORITHMS));
const SUPPORTED_DIGESTS: ReadonlySet<number> = new Set(Object.values(DIGESTS));

export interface DnssecCrypto {
  /**
   * True when `signature` over `data` was made with `key`, in the forms of DNSKEY and RRSIG (RFC 3110, RFC 5702,
   * RFC 6605, RFC 8080). A key or signature that cannot be read is false.
   */
  verify(
    algorithm: number,
    parts: {
      readonly key: Uint8Array<ArrayBuffer>;
      readonly signature: Uint8Array<ArrayBuffer>;
      readonly data: Uint8Array<ArrayBuffer>;
    },
  ): Promise<boolean>;
  digest(digestType: number, data: Uint8Array<ArrayBuffer>): Promise<Uint8Array>;
  /** For NSEC3: many small ones, so it does not leave the thread. */
  sha1(data: Uint8Array): Uint8Array;
}

export function isSupportedAlgorithm(algorithm: number): boolean {
  return SUPPORTED_ALGORITHMS.has(algorithm);
}

export function isSupportedDigest(digestType: number): boolean {
  return SUPPORTED_DIGESTS.has(digestType);
}
