/**
 * Sealing (RFC 8617 5.1): the three fields that say what we saw of a message before we hand it on.
 *
 * A chain that failed is sealed once more with cv=fail over the new set alone (5.1.2), and then no more: who gets it
 * knows enough. The signing covers what DKIM covers, and the DKIM signatures that came with the message (4.1.2).
 */
import { type ArcResult, sealOctets } from "./arc.ts";
import { type ArcSet, MAX_INSTANCES } from "./arc_set.ts";
import { canonicalField } from "./dkim_canonical.ts";
import { foldBase64, foldList, SIGNED_FIELDS } from "./dkim_sign.ts";
import { withLineEnd } from "./dkim_verify.ts";
import { type SigningKey, signText } from "./sign_octets.ts";
import { HeaderFields } from "./signed_fields.ts";

export interface SealInput {
  /** The header as it is handed on. */
  readonly header: Uint8Array;
  /** SHA-256 of the relaxed body as it is handed on. */
  readonly bodyHash: Uint8Array;
  /** The chain as it came. */
  readonly chain: ArcResult;
  /** The value of Authentication-Results, unfolded or folded, with our name in front. */
  readonly results: string;
  readonly key: SigningKey;
  /** In milliseconds. */
  readonly now: number;
}

/** Fields with their line ends, to stand in front of the header; null where nothing is to be sealed. */
export async function sealHeader(
  { header, bodyHash, chain, results, key, now }: SealInput,
): Promise<string | null> {
  const { sets } = chain;
  if (chain.result === "temperror") return null;
  // A chain that is broken beyond reading has no number to go on from.
  if (chain.result === "fail" && sets.length === 0) return null;
  if (sets.at(-1)?.seal.status === "fail" || sets.length >= MAX_INSTANCES) return null;
  const instance = sets.length + 1;
  const status = sets.length === 0 ? "none" : chain.result;
  const seconds = Math.floor(now / 1000);
  const resultsField = `ARC-Authentication-Results: i=${instance}; ${results}\r\n`;
  const messageSignatureField = await signMessage({ header, bodyHash, key, instance, seconds });
  const unsigned = [
    `ARC-Seal: i=${instance}; a=${key.kind}-sha256; cv=${status}; d=${key.domain};`,
    `\ts=${key.selector}; t=${seconds};`,
    "\tb=",
  ].join("\r\n");
  const made = { instance, resultsField, messageSignatureField, sealField: `${unsigned}\r\n` };
  const octets = status === "fail" ? sealOctets([made], instance) : sealOctets([...sets, made], instance);
  return `${unsigned}${foldBase64(await signText(key, octets))}\r\n${messageSignatureField}${resultsField}`;
}

async function signMessage({ header, bodyHash, key, instance, seconds }: {
  readonly header: Uint8Array;
  readonly bodyHash: Uint8Array;
  readonly key: SigningKey;
  readonly instance: number;
  readonly seconds: number;
}): Promise<string> {
  const fields = new HeaderFields(header);
  const names = [...SIGNED_FIELDS, "dkim-signature"].flatMap((name) => fields.named(name).map(() => name));
  const unsigned = [
    `ARC-Message-Signature: i=${instance}; a=${key.kind}-sha256; c=relaxed/relaxed;`,
    `\td=${key.domain}; s=${key.selector}; t=${seconds};`,
    `\th=${foldList(names)};`,
    `\tbh=${bodyHash.toBase64()};`,
    "\tb=",
  ].join("\r\n");
  const octets = fields.select(names).map((text) => canonicalField(withLineEnd(text), "relaxed")).join("") +
    canonicalField(`${unsigned}\r\n`, "relaxed").replace(/\r\n$/, "");
  return `${unsigned}${foldBase64(await signText(key, octets))}\r\n`;
}

/** What the AAR of the newest set says of a method: `pass`, for one; null where it says nothing. */
export function sealedResult(sets: readonly ArcSet[], method: string): string | null {
  const text = sets.at(-1)?.results ?? "";
  return new RegExp(`(?:^|;)\\s*${method}\\s*=\\s*([a-z]+)`, "i").exec(text)?.[1]?.toLowerCase() ?? null;
}
