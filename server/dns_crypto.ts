/**
 * Cryptography of DNSSEC: WebCrypto, and node:crypto for the short hashes of NSEC3.
 *
 * Keys on the wire are in the forms of RFC 3110 (RSA), RFC 6605 (ECDSA) and RFC 8080 (Ed25519). Keys once read are kept
 * a while: reading one costs as much as checking a signature.
 */
import { createHash } from "node:crypto";
import { ALGORITHMS, DIGESTS, type DnssecCrypto } from "../dns/dnssec/crypto.ts";
import { latin1 } from "../bytes/decode.ts";

const MAX_KEPT_KEYS = 256;
/** RFC 3110 2: 4,096 bits are the most; what is shorter than this is no key. */
const MIN_MODULUS_OCTETS = 64, MAX_MODULUS_OCTETS = 512;
/** Larger exponents only cost time. */
const MAX_EXPONENT_OCTETS = 8;

interface Scheme {
  readonly importing: AlgorithmIdentifier | RsaHashedImportParams | EcKeyImportParams;
  readonly verifying: AlgorithmIdentifier | EcdsaParams;
}

const SCHEMES: Readonly<Record<number, Scheme>> = {
  [ALGORITHMS.RSASHA256]: rsa("SHA-256"),
  [ALGORITHMS.RSASHA512]: rsa("SHA-512"),
  [ALGORITHMS.ECDSAP256]: ecdsa("P-256", "SHA-256"),
  [ALGORITHMS.ECDSAP384]: ecdsa("P-384", "SHA-384"),
  [ALGORITHMS.ED25519]: { importing: "Ed25519", verifying: "Ed25519" },
};

function rsa(hash: string): Scheme {
  return { importing: { name: "RSASSA-PKCS1-v1_5", hash }, verifying: "RSASSA-PKCS1-v1_5" };
}

function ecdsa(namedCurve: string, hash: string): Scheme {
  return { importing: { name: "ECDSA", namedCurve }, verifying: { name: "ECDSA", hash } };
}

export function webDnssecCrypto(): DnssecCrypto {
  const kept = new Map<string, Promise<CryptoKey | null>>();
  const keyOf = (
    algorithm: number,
    scheme: Scheme,
    key: Uint8Array<ArrayBuffer>,
  ): Promise<CryptoKey | null> => {
    const id = `${algorithm} ${latin1(key)}`;
    const known = kept.get(id);
    if (known !== undefined) return known;
    const made = readKey(algorithm, scheme, key).catch(() => null); // no key: its signatures are wrong
    if (kept.size >= MAX_KEPT_KEYS) kept.delete(kept.keys().next().value!);
    kept.set(id, made);
    return made;
  };
  return {
    verify: async (algorithm, { key, signature, data }) => {
      const scheme = SCHEMES[algorithm];
      if (scheme === undefined) return false;
      const publicKey = await keyOf(algorithm, scheme, key);
      if (publicKey === null) return false;
      try {
        return await crypto.subtle.verify(scheme.verifying, publicKey, signature, data);
      } catch {
        return false; // a signature of a wrong length
      }
    },
    digest: async (digestType, data) =>
      new Uint8Array(await crypto.subtle.digest(digestType === DIGESTS.SHA384 ? "SHA-384" : "SHA-256", data)),
    sha1: (data) => createHash("sha1").update(data).digest(),
  };
}

async function readKey(
  algorithm: number,
  scheme: Scheme,
  key: Uint8Array<ArrayBuffer>,
): Promise<CryptoKey | null> {
  switch (algorithm) {
    case ALGORITHMS.RSASHA256:
    case ALGORITHMS.RSASHA512: {
      const jwk = rsaJwk(key);
      return jwk && await crypto.subtle.importKey("jwk", jwk, scheme.importing, false, ["verify"]);
    }
    case ALGORITHMS.ECDSAP256:
    case ALGORITHMS.ECDSAP384: {
      // RFC 6605 4: the point without the octet that says it is uncompressed.
      const point = new Uint8Array(key.length + 1);
      point[0] = 4;
      point.set(key, 1);
      return await crypto.subtle.importKey("raw", point, scheme.importing, false, ["verify"]);
    }
    default:
      return await crypto.subtle.importKey("raw", key, scheme.importing, false, ["verify"]);
  }
}

/** RFC 3110 2: the length of the exponent, in one octet or in three; the exponent; the modulus. */
function rsaJwk(key: Uint8Array): JsonWebKey | null {
  const long = key[0] === 0;
  const exponentLength = long ? key[1]! << 8 | key[2]! : key[0]!;
  const start = long ? 3 : 1;
  const exponent = key.subarray(start, start + exponentLength),
    modulus = key.subarray(start + exponentLength);
  if (exponentLength === 0 || exponentLength > MAX_EXPONENT_OCTETS) return null;
  if (modulus.length < MIN_MODULUS_OCTETS || modulus.length > MAX_MODULUS_OCTETS) return null;
  return {
    kty: "RSA",
    n: modulus.toBase64({ alphabet: "base64url", omitPadding: true }),
    e: exponent.toBase64({ alphabet: "base64url", omitPadding: true }),
  };
}
