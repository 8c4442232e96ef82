/**
 * DKIM verification (RFC 6376 6; RFC 8301, 8463): the header at once, the body as it streams, the keys from DNS.
 *
 * At most {@linkcode MAX_SIGNATURES} signatures of a message are looked at, the newest first. Bodies are hashed once for
 * each canonical form and limit in use. A signature over part of the body only (`l=`) that leaves something out is
 * `policy`: what was added behind it is nobody's word. RSA with SHA-1 verifies nothing (RFC 8301 3.1).
 */
import { createHash, type KeyObject, timingSafeEqual, verify } from "node:crypto";
import { encodeLatin1 } from "../bytes/decode.ts";
import { fieldValue } from "../message/header.ts";
import type { Resolver } from "../dns/resolver.ts";
import { BodyHash, canonicalField } from "./dkim_canonical.ts";
import { type DkimKey, lookupKey } from "./dkim_key.ts";
import { type DkimSignature, parseSignature, withoutSignature } from "./dkim_signature.ts";
import { HeaderFields } from "./signed_fields.ts";

export const MAX_SIGNATURES = 8;
/** Clocks of others may be ahead by this much, seconds. */
const CLOCK_SKEW = 300;

export type DkimResultName = "pass" | "fail" | "policy" | "neutral" | "temperror" | "permerror";

/** One signature's result in the terms of RFC 8601 2.7.1. */
export interface DkimResult {
  readonly result: DkimResultName;
  /** d=, s=, i= and a=; "" where the signature cannot be read. */
  readonly domain: string;
  readonly selector: string;
  readonly identity: string;
  readonly algorithm: string;
  /** First eight characters of b=, to tell signatures apart (RFC 6008). */
  readonly prefix: string;
  readonly keyBits: number;
  /** The domain is trying DKIM out (t=y). */
  readonly testing: boolean;
  readonly text: string;
}

interface Pending {
  /** The whole field as it stands. */
  readonly field: string;
  readonly signature: DkimSignature | string;
  readonly body: BodyHash | null;
}

export class DkimVerifier {
  readonly #header: HeaderFields;
  readonly #pending: Pending[];
  readonly #bodies: Map<string, BodyHash>;

  /** `header` is the header block, kept until `finish`. */
  constructor(header: Uint8Array | HeaderFields) {
    this.#header = HeaderFields.of(header);
    this.#bodies = new Map();
    this.#pending = this.#header.named("dkim-signature").slice(0, MAX_SIGNATURES).map((span) => {
      const signature = parseSignature(fieldValue(this.#header.block, span));
      const body = typeof signature === "string" ? null : this.#bodyOf(signature);
      return { field: this.#header.text(span), signature, body };
    });
  }

  /** False when nothing is signed: the body need not be read. */
  get needsBody(): boolean {
    return this.#bodies.size > 0;
  }

  /** Octets of the body, in order, at any split. */
  write(bytes: Uint8Array, start: number, end: number): void {
    for (const body of this.#bodies.values()) body.write(bytes, start, end);
  }

  /** The results in the order of the fields; at once where there are none. Never rejects for what a peer did. `now` in milliseconds. */
  finish(resolver: Resolver, now: number): DkimResult[] | Promise<DkimResult[]> {
    return this.#pending.length === 0 ? [] : this.#verify(resolver, now);
  }

  async #verify(resolver: Resolver, now: number): Promise<DkimResult[]> {
    const digests = new Map<BodyHash, Uint8Array>();
    for (const body of this.#bodies.values()) digests.set(body, body.digest());
    return await Promise.all(this.#pending.map(async ({ field, signature, body }) => {
      if (typeof signature === "string") return refused("permerror", signature);
      const judged = judge(signature, now);
      if (judged !== null) return describe(signature, judged);
      const key = await lookupKey(resolver, signature.selector, signature.domain);
      if (!("key" in key)) return describe(signature, key);
      return await this.#check({ field, signature, key, octets: body!.octets, digest: digests.get(body!)! });
    }));
  }

  #bodyOf(signature: DkimSignature): BodyHash {
    const { bodyForm, hash, bodyLimit } = signature;
    const name = `${bodyForm} ${hash} ${bodyLimit}`;
    let body = this.#bodies.get(name);
    if (body === undefined) {
      this.#bodies.set(name, body = new BodyHash(bodyForm, { algorithm: hash, limit: bodyLimit }));
    }
    return body;
  }

  async #check(check: {
    readonly field: string;
    readonly signature: DkimSignature;
    readonly key: DkimKey;
    readonly octets: number;
    readonly digest: Uint8Array;
  }): Promise<DkimResult> {
    const { field, signature, key, octets, digest } = check;
    const facts = { keyBits: key.bits, testing: key.testing };
    const misuse = keyMisuse(signature, key);
    if (misuse !== null) return describe(signature, { result: "permerror", text: misuse }, facts);
    const { bodyHash, bodyLimit } = signature;
    if (bodyHash.length !== digest.length || !timingSafeEqual(bodyHash, digest)) {
      return describe(signature, { result: "fail", text: "the body was changed" }, facts);
    }
    const signed = this.#header.select(signature.fields)
      .map((text) => canonicalField(withLineEnd(text), signature.headerForm)).join("") +
      canonicalField(withLineEnd(withoutSignature(field)), signature.headerForm).replace(/\r\n$/, "");
    if (!await verifies(signature, key, encodeLatin1(signed))) {
      return describe(signature, { result: "fail", text: "the signature does not fit the header" }, facts);
    }
    if (bodyLimit !== null && bodyLimit < octets) {
      const text = `only ${bodyLimit} of ${octets} octets of the body are signed`;
      return describe(signature, { result: "policy", text }, facts);
    }
    return describe(signature, { result: "pass", text: "" }, facts);
  }
}

const RSA = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
const imported = new WeakMap<KeyObject, Promise<CryptoKey>>();

/** By SHA-256. RSA is computed off this thread, which it would hold for 0.4 ms; Ed25519 signs the hash (RFC 8463 3). */
export async function verifies(
  { keyKind, signature }: Pick<DkimSignature, "keyKind" | "signature">,
  { key }: DkimKey,
  octets: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  if (keyKind === "ed25519") {
    return verify(null, createHash("sha256").update(octets).digest(), key, signature);
  }
  let rsa = imported.get(key);
  if (rsa === undefined) {
    const der = new Uint8Array(key.export({ format: "der", type: "spki" }));
    imported.set(key, rsa = crypto.subtle.importKey("spki", der, RSA, false, ["verify"]));
  }
  return await crypto.subtle.verify(RSA.name, await rsa, new Uint8Array(signature), octets);
}

/** What needs no key. */
function judge(signature: DkimSignature, now: number): { result: DkimResultName; text: string } | null {
  const seconds = now / 1000;
  if (signature.hash === "sha1") return { result: "permerror", text: "SHA-1 is not accepted" };
  if (signature.expiresAt !== null && signature.expiresAt < seconds) {
    return { result: "fail", text: "the signature has expired" };
  }
  if (signature.signedAt !== null && signature.signedAt > seconds + CLOCK_SKEW) {
    return { result: "fail", text: "the signature is from the future" };
  }
  return null;
}

function keyMisuse(signature: DkimSignature, key: DkimKey): string | null {
  if (key.kind !== signature.keyKind) return "the key is of another kind than the signature";
  if (key.hashes.length > 0 && !key.hashes.includes(signature.hash)) {
    return `the key is not for ${signature.hash}`;
  }
  const of = signature.identity.slice(signature.identity.lastIndexOf("@") + 1).toLowerCase();
  if (key.strict && of !== signature.domain) return "the key is for its very domain only";
  return null;
}

/** A last field may lack its line end. */
export function withLineEnd(field: string): string {
  return field.endsWith("\r\n") ? field : `${field.replace(/[\r\n]+$/, "")}\r\n`;
}

function describe(
  signature: DkimSignature,
  outcome: { readonly result: DkimResultName; readonly text: string },
  facts: { readonly keyBits: number; readonly testing: boolean } = { keyBits: 0, testing: false },
): DkimResult {
  const { domain, selector, identity, algorithm } = signature;
  const prefix = signature.signature.toBase64().slice(0, 8);
  return { ...outcome, domain, selector, identity, algorithm, prefix, ...facts };
}

function refused(result: DkimResultName, text: string): DkimResult {
  const nothing = { domain: "", selector: "", identity: "", algorithm: "", prefix: "" };
  return { result, text, ...nothing, keyBits: 0, testing: false };
}
