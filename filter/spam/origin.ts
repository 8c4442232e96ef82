/**
 * Where a message came from, as what users did with past mail is remembered by: the author's address and domain, the network of
 * the client, the domain that signed.
 *
 * At delivery it is known from the checks; when a user teaches, from the lines those checks left in the stored message. Both make
 * the same tokens, which the learner counts with the others.
 */
import { networkOf } from "../address_block.ts";
import { registered } from "./domains.ts";
import { hashOf } from "./learner/tokens.ts";
import type { Mail } from "./mail.ts";
import type { ReputationKind } from "./surroundings.ts";

const KIND = 0x100;
const JUDGED = /;\s*iprev=\w+\s*(?:\((?:[^()\\]|\\.)*\)\s*)?policy\.iprev="?([0-9a-f:.]+)/i;

export type Origin = Readonly<Record<ReputationKind, string>>;

export function originOf(
  mail: Mail,
  known: { readonly address: string; readonly signers: readonly string[] } | null,
): Origin {
  const { from } = mail;
  const client = known?.address ?? clientOf(mail);
  const signer = known === null ? signerOf(mail.first("authentication-results")) : known.signers[0] ?? "";
  return {
    address: from.address,
    domain: from.domain === "" ? "" : registered(from.domain),
    network: client === "" ? "" : networkOf(client),
    signer: signer.toLowerCase(),
  };
}

/** 0 where nothing is known. */
export function originToken(kind: ReputationKind, value: string): number {
  return value === "" ? 0 : hashOf(`${kind} ${value}`, KIND);
}

export function originTokens(origin: Origin): number[] {
  return Object.entries(origin).map(([kind, value]) => originToken(kind as ReputationKind, value)).filter((
    token,
  ) => token !== 0);
}

/** The address that was judged, which is not that of a relay of ours; where it is not said, the one in our own Received line. */
function clientOf(mail: Mail): string {
  const judged = JUDGED.exec(mail.first("authentication-results"))?.[1];
  return judged ?? /\[(?:IPv6:)?([0-9a-f:.]+)\]/i.exec(mail.first("received"))?.[1] ?? "";
}

function signerOf(results: string): string {
  return /\bdkim=pass\b[^;]*?\bheader\.d=([a-z0-9._-]+)/i.exec(results)?.[1] ?? "";
}
