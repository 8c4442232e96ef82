/**
 * DKIM keys from DNS (RFC 6376 3.6; Ed25519: RFC 8463; RSA sizes: RFC 8301).
 *
 * RSA keys come as SubjectPublicKeyInfo, and from some as the bare RSAPublicKey, which RFC 6376 meant at first.
 */
import { Buffer } from "node:buffer";
import { createPublicKey, type KeyObject } from "node:crypto";
import type { DataOf } from "../dns/rdata.ts";
import { ResolveError, type Resolver } from "../dns/resolver.ts";
import { base64Value, colonList, parseTagList } from "./tag_list.ts";

/** Smaller RSA keys verify nothing (RFC 8301 3.2). */
const MIN_RSA_BITS = 1_024;
const MAX_RSA_BITS = 16_384;

export interface DkimKey {
  readonly kind: "rsa" | "ed25519";
  readonly key: KeyObject;
  readonly bits: number;
  /** Hash algorithms it may be used with; empty: all. */
  readonly hashes: readonly string[];
  /** `t=y`: the domain is trying DKIM out. */
  readonly testing: boolean;
  /** `t=s`: the signing identity must be of the very domain. */
  readonly strict: boolean;
}

export type KeyFault = { readonly result: "temperror" | "permerror"; readonly text: string };

/** The key of a selector; several records are tried in order, as the RFC leaves their order open. */
export async function lookupKey(
  resolver: Resolver,
  selector: string,
  domain: string,
): Promise<DkimKey | KeyFault> {
  const name = `${selector}._domainkey.${domain}`;
  let records: readonly DataOf<"TXT">[];
  try {
    records = (await resolver.resolve(name, "TXT")).records;
  } catch (error) {
    if (!(error instanceof ResolveError)) throw error;
    return { result: error.temporary ? "temperror" : "permerror", text: `${name}: ${error.plain}` };
  }
  if (records.length === 0) return { result: "permerror", text: `no key at ${name}` };
  let last: DkimKey | KeyFault = { result: "permerror", text: `no key at ${name}` };
  for (const { strings } of records.slice(0, 10)) {
    const key = knownKey(strings.map((octets) => String.fromCharCode(...octets)).join(""));
    if ("key" in key) return key;
    last = key;
  }
  return last;
}

/** Records seen of late: to read a key costs more than to verify by it. */
const known = new Map<string, DkimKey | KeyFault>();
const MAX_KNOWN = 1_000;

function knownKey(text: string): DkimKey | KeyFault {
  let key = known.get(text);
  if (key !== undefined) return key;
  if (known.size >= MAX_KNOWN) known.clear();
  known.set(text, key = parseKey(text));
  return key;
}

export function parseKey(text: string): DkimKey | KeyFault {
  const bad = (why: string): KeyFault => ({ result: "permerror", text: why });
  const tags = parseTagList(text);
  if (tags === null) return bad("the key record is malformed");
  const version = tags.get("v");
  if (version !== undefined && (version !== "DKIM1" || [...tags.keys()][0] !== "v")) {
    return bad("unknown version");
  }
  const services = tags.get("s");
  if (services !== undefined && !colonList(services).some((one) => one === "*" || one === "email")) {
    return bad("the key is not for mail");
  }
  const published = tags.get("p");
  if (published === undefined) return bad("the key record has no key");
  if (published === "") return bad("the key was revoked");
  const octets = base64Value(published);
  if (octets === null) return bad("the key is no base64");
  const kind = tags.get("k") ?? "rsa";
  const flags = colonList(tags.get("t") ?? "");
  const common = {
    hashes: tags.has("h") ? colonList(tags.get("h")!) : [],
    testing: flags.includes("y"),
    strict: flags.includes("s"),
  };
  if (kind === "ed25519") {
    const key = octets.length === 32 ? importKey(ed25519Info(octets)) : null;
    return key === null ? bad("the key is no Ed25519 key") : { kind, key, bits: 256, ...common };
  }
  if (kind !== "rsa") return bad("the key is of an unknown kind");
  const key = importKey(octets) ?? importKey(rsaInfo(octets));
  if (key === null || key.asymmetricKeyType !== "rsa") return bad("the key is no RSA key");
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (bits < MIN_RSA_BITS) return bad(`the RSA key has ${bits} bits, ${MIN_RSA_BITS} are the least`);
  if (bits > MAX_RSA_BITS) return bad(`the RSA key has ${bits} bits, ${MAX_RSA_BITS} are the most`);
  return { kind, key, bits, ...common };
}

function importKey(info: Uint8Array): KeyObject | null {
  try {
    return createPublicKey({ key: Buffer.from(info), format: "der", type: "spki" });
  } catch {
    return null; // the library's only way to say that it is no key
  }
}

/** SubjectPublicKeyInfo of a raw Ed25519 key (RFC 8410 4). */
function ed25519Info(key: Uint8Array): Uint8Array {
  return new Uint8Array([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00, ...key]);
}

/** SubjectPublicKeyInfo around a bare RSAPublicKey (RFC 3279 2.3.1). */
function rsaInfo(key: Uint8Array): Uint8Array {
  const algorithm = [
    0x30,
    0x0d,
    0x06,
    0x09,
    0x2a,
    0x86,
    0x48,
    0x86,
    0xf7,
    0x0d,
    0x01,
    0x01,
    0x01,
    0x05,
    0x00,
  ];
  const bits = [0x03, ...derLength(key.length + 1), 0x00, ...key];
  return new Uint8Array([0x30, ...derLength(algorithm.length + bits.length), ...algorithm, ...bits]);
}

function derLength(length: number): number[] {
  if (length < 0x80) return [length];
  return length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
}
