/**
 * What goes in front of mail that a script sends on: our signature where it is ours to sign, else a seal (ARC) of what was found
 * when it came. Of mail that waited that stands in the message itself: above the Received that we wrote there is nothing of others.
 */
import { latin1 } from "../../bytes/decode.ts";
import type { ArcResult, ArcResultName } from "../../mailauth/arc.ts";
import { readSets, SEAL } from "../../mailauth/arc_set.ts";
import { claimsToBe, parseResults } from "../../mailauth/authentication_results.ts";
import { HeaderFields } from "../../mailauth/signed_fields.ts";
import type { MessageFacts } from "../../message/facts.ts";
import { fieldValue } from "../../message/header.ts";
import type { Spool, Store } from "../../storage/store.ts";
import { bodyDigest } from "../front_fields.ts";
import { authorKeys, sealFront, signFront } from "../signing.ts";

/** What was found of a message when it came. */
export interface Found {
  readonly chain: ArcResult;
  /** The value of Authentication-Results, with our name in front. */
  readonly results: string;
}

const ARC_RESULTS: readonly ArcResultName[] = ["none", "pass", "fail", "temperror"];

/** Field lines; "" for none. `found` is null where nobody looked, or it is sealed already. */
export async function redirectFront(
  { store, clock }: { readonly store: Store; readonly clock: () => number },
  { spool, message: { headerOctets }, domain, ours, found }: {
    readonly spool: Spool;
    readonly message: MessageFacts;
    /** Of the mailbox that sends it on. */
    readonly domain: string;
    /** A login or a network of ours sent it. */
    readonly ours: boolean;
    readonly found: Found | null;
  },
): Promise<string> {
  const now = clock();
  const header = await spool.read(0, headerOctets);
  if (ours) {
    const keys = authorKeys(store, header);
    return keys.length === 0
      ? ""
      : await signFront(keys, { header, bodyHash: await bodyDigest(spool, headerOctets), now });
  }
  if (found === null) return "";
  const bodyHash = await bodyDigest(spool, headerOctets);
  return await sealFront(store, { domains: [domain], header, bodyHash, now, ...found });
}

/** What we wrote into a message when it came, as far as it is to be sealed yet. */
export function foundInHeader(block: Uint8Array, hostname: string): Found | null {
  const header = new HeaderFields(block);
  const received = header.spans.findIndex(({ name }) => name === "received");
  const ours = header.spans.slice(0, Math.max(0, received));
  if (ours.some(({ name }) => name === SEAL)) return null;
  const field = ours.find((span) =>
    span.name === "authentication-results" && claimsToBe(fieldValue(block, span), hostname)
  );
  if (field === undefined) return null;
  const results = latin1(block, field.value, field.end).trim();
  const chain = chainOf(header, fieldValue(block, field));
  return chain === null ? null : { chain, results };
}

/** The chain as it came, by the result that was written then; null where it was not looked at. */
function chainOf(header: HeaderFields, results: string): ArcResult | null {
  const sets = readSets(header);
  const said = parseResults(results)?.results.find(({ method }) => method === "arc")?.result;
  if (typeof sets === "string") return { result: "fail", text: sets, sets: [] };
  if (said === undefined) return sets.length === 0 ? { result: "none", text: "", sets } : null;
  const result = ARC_RESULTS.find((one) => one === said);
  return result === undefined ? null : { result, text: "", sets };
}
