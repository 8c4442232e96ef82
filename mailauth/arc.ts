/**
 * The Authenticated Received Chain (RFC 8617): is the chain whole, and did nothing change since its last sealer?
 *
 * {@linkcode ArcVerifier} hashes the body while it streams, like DKIM. Of the message signatures only the newest is
 * checked; it is what the result rests on (5.2 step 4), all seals are (step 6). Trouble of DNS is `temperror`, which is
 * no state of a chain: who seals then seals nothing.
 */
import { timingSafeEqual } from "node:crypto";
import { encodeLatin1 } from "../bytes/decode.ts";
import type { Resolver } from "../dns/resolver.ts";
import { type ArcSet, readSets } from "./arc_set.ts";
import { BodyHash, canonicalField } from "./dkim_canonical.ts";
import { lookupKey } from "./dkim_key.ts";
import { withoutSignature } from "./dkim_signature.ts";
import { verifies, withLineEnd } from "./dkim_verify.ts";
import { HeaderFields } from "./signed_fields.ts";

export type ArcResultName = "none" | "pass" | "fail" | "temperror";

export interface ArcResult {
  readonly result: ArcResultName;
  readonly text: string;
  /** The chain as it was found; empty where there is none or it is no chain. */
  readonly sets: readonly ArcSet[];
}

export class ArcVerifier {
  readonly #header: HeaderFields;
  readonly #sets: ArcSet[] | string;
  readonly #body: BodyHash | null;

  /** `header` is the header block, kept until `finish`. */
  constructor(header: Uint8Array | HeaderFields) {
    this.#header = HeaderFields.of(header);
    this.#sets = readSets(this.#header);
    const newest = typeof this.#sets === "string" ? undefined : this.#sets.at(-1);
    this.#body = newest === undefined ? null : new BodyHash(newest.messageSignature.bodyForm, {
      algorithm: "sha256",
      limit: newest.messageSignature.bodyLimit,
    });
  }

  get needsBody(): boolean {
    return this.#body !== null;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    this.#body?.write(bytes, start, end);
  }

  /** At once where nothing has to be verified. Never rejects for what a peer did. */
  finish(resolver: Resolver): ArcResult | Promise<ArcResult> {
    const sets = this.#sets;
    if (typeof sets === "string") return { result: "fail", text: sets, sets: [] };
    const newest = sets.at(-1);
    if (newest === undefined || this.#body === null) return { result: "none", text: "", sets };
    const broken = this.#statusFault(sets) ?? this.#bodyFault(newest, this.#body);
    if (broken !== null) return { result: "fail", text: broken, sets };
    return this.#verify(resolver, { sets, newest });
  }

  async #verify(
    resolver: Resolver,
    { sets, newest }: { readonly sets: ArcSet[]; readonly newest: ArcSet },
  ): Promise<ArcResult> {
    const checks = await Promise.all([
      checkField(resolver, `the message signature ${newest.instance}`, {
        ...newest.messageSignature,
        octets: this.#messageOctets(newest),
      }),
      ...sets.map(({ seal, instance }) =>
        checkField(resolver, `the seal ${instance}`, { ...seal, octets: sealOctets(sets, instance) })
      ),
    ]);
    return {
      ...(checks.find(({ result }) => result === "fail") ??
        checks.find(({ result }) => result === "temperror") ??
        { result: "pass", text: "" }),
      sets,
    };
  }

  /** RFC 8617 5.2 steps 2 and 3: a chain that failed stays failed; the first is none, all others pass. */
  #statusFault(sets: readonly ArcSet[]): string | null {
    for (const { instance, seal } of sets) {
      if (seal.status === (instance === 1 ? "none" : "pass")) continue;
      return `the seal ${instance} says cv=${seal.status}`;
    }
    return null;
  }

  #bodyFault({ messageSignature: { bodyHash, bodyLimit } }: ArcSet, body: BodyHash): string | null {
    const digest = body.digest();
    if (bodyHash.length !== digest.length || !timingSafeEqual(bodyHash, digest)) {
      return "the body was changed";
    }
    return bodyLimit !== null && bodyLimit < body.octets ? "only a part of the body is signed" : null;
  }

  #messageOctets({ messageSignature: { fields, headerForm }, messageSignatureField }: ArcSet): string {
    return this.#header.select(fields).map((text) => canonicalField(withLineEnd(text), headerForm)).join("") +
      unsigned(messageSignatureField, headerForm);
  }
}

/** What a seal signs: all sets up to its own, its own b= empty (RFC 8617 5.1.1). Also of a set that is being made. */
export function sealOctets(
  sets: readonly Pick<ArcSet, "instance" | "resultsField" | "messageSignatureField" | "sealField">[],
  instance: number,
): string {
  let text = "";
  for (const set of sets.slice(0, instance)) {
    const last = set.instance === instance;
    text += relaxed(set.resultsField) + relaxed(set.messageSignatureField) +
      (last ? unsigned(set.sealField, "relaxed") : relaxed(set.sealField));
  }
  return text;
}

function relaxed(field: string): string {
  return canonicalField(withLineEnd(field), "relaxed");
}

function unsigned(field: string, form: "simple" | "relaxed"): string {
  return canonicalField(withLineEnd(withoutSignature(field)), form).replace(/\r\n$/, "");
}

async function checkField(
  resolver: Resolver,
  what: string,
  { algorithm, domain, selector, signature, octets }: {
    readonly algorithm: string;
    readonly domain: string;
    readonly selector: string;
    readonly signature: Uint8Array;
    readonly octets: string;
  },
): Promise<{ readonly result: ArcResultName; readonly text: string }> {
  const key = await lookupKey(resolver, selector, domain);
  if (!("key" in key)) {
    return { result: key.result === "temperror" ? "temperror" : "fail", text: `${what}: ${key.text}` };
  }
  const keyKind = algorithm === "rsa-sha256" ? "rsa" : "ed25519";
  if (key.kind !== keyKind) return { result: "fail", text: `${what}: the key is of another kind` };
  const fits = await verifies({ keyKind, signature }, key, encodeLatin1(octets));
  return fits ? { result: "pass", text: "" } : { result: "fail", text: `${what} does not fit` };
}
