/** Signatures by RSA and Ed25519 (RFC 8301, RFC 8463). RSA is computed off this thread: it takes a millisecond. */
import { Buffer } from "node:buffer";
import { createHash, type KeyObject, sign } from "node:crypto";

export interface SigningKey {
  readonly domain: string;
  readonly selector: string;
  readonly kind: "rsa" | "ed25519";
  readonly key: KeyObject;
}

const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const imported = new WeakMap<KeyObject, Promise<CryptoKey>>();

/** Base64 of the signature; `text` is one character an octet. */
export async function signText({ kind, key }: SigningKey, text: string): Promise<string> {
  const octets = Buffer.from(text, "latin1");
  if (kind === "ed25519") {
    // RFC 8463 3: the hash is signed.
    return sign(null, createHash("sha256").update(octets).digest(), key).toString("base64");
  }
  let rsa = imported.get(key);
  if (rsa === undefined) imported.set(key, rsa = importRsa(key));
  return new Uint8Array(await crypto.subtle.sign(RSA.name, await rsa, octets)).toBase64();
}

async function importRsa(key: KeyObject): Promise<CryptoKey> {
  const der = new Uint8Array(key.export({ format: "der", type: "pkcs8" }));
  return await crypto.subtle.importKey("pkcs8", der, RSA, false, ["sign"]);
}
