/**
 * DKIM signatures of what we send, and ARC seals of what we hand on, by the keys of our domains.
 *
 * A domain's newest key of each kind that is `signing` signs: RSA for everybody, Ed25519 beside it (RFC 8463). A domain
 * without keys signs nothing; mail is sent all the same.
 */
import { createPrivateKey } from "node:crypto";
import type { ArcResult } from "../mailauth/arc.ts";
import { sealHeader } from "../mailauth/arc_seal.ts";
import { signHeader } from "../mailauth/dkim_sign.ts";
import { authorDomains } from "../mailauth/sender_check.ts";
import type { SigningKey } from "../mailauth/sign_octets.ts";
import { scanFields } from "../message/header.ts";
import { canonicalName, parentName } from "../dns/name.ts";
import type { DkimKeyRow } from "../storage/directory_view.ts";
import type { Store } from "../storage/store.ts";

const keys = new WeakMap<DkimKeyRow, SigningKey>();

/** RSA first. */
function signingKeys({ directory }: Pick<Store, "directory">, domain: string): SigningKey[] {
  const rows = directory.dkimKeys(domain).filter(({ state }) => state === "signing");
  return (["rsa", "ed25519"] as const).flatMap((kind) => {
    const row = rows.findLast((one) => one.kind === kind);
    return row === undefined ? [] : [signingKey(row)];
  });
}

function signingKey(row: DkimKeyRow): SigningKey {
  let key = keys.get(row);
  if (key === undefined) {
    const { domain, selector, kind, privateKey } = row;
    keys.set(row, key = { domain, selector, kind, key: createPrivateKey(privateKey) });
  }
  return key;
}

/**
 * The keys that sign for the author of this header: of the domain in From, or of the nearest one above that has some
 * (aligned by RFC 9989 4.4.1). Several authors of different domains are nobody's to sign for.
 */
export function authorKeys(store: Pick<Store, "directory">, header: Uint8Array): SigningKey[] {
  const [domain, another] = authorDomains(header, scanFields(header, 0, header.length));
  if (domain === undefined || another !== undefined) return [];
  for (let at: string | null = canonicalName(domain); at !== null && at !== "."; at = parentName(at)) {
    const found = signingKeys(store, at);
    if (found.length > 0) return found;
  }
  return [];
}

/** DKIM-Signature fields for the front of the header. */
export async function signFront(
  keys: readonly SigningKey[],
  { header, bodyHash, now }: {
    readonly header: Uint8Array;
    readonly bodyHash: Uint8Array;
    readonly now: number;
  },
): Promise<string> {
  return (await Promise.all(keys.map((key) => signHeader(header, { bodyHash, key, now })))).join("");
}

/** One ARC set for the front of the header, by the first of the domains that has a key; "" where none has. */
export async function sealFront(
  store: Pick<Store, "directory">,
  { domains, ...input }: {
    readonly domains: readonly string[];
    readonly header: Uint8Array;
    readonly bodyHash: Uint8Array;
    readonly chain: ArcResult;
    readonly results: string;
    readonly now: number;
  },
): Promise<string> {
  for (const domain of domains) {
    // One seal only (RFC 8617 5.1): by the kind of key that everybody can read.
    const [key] = signingKeys(store, domain);
    if (key !== undefined) return await sealHeader({ ...input, key }) ?? "";
  }
  return "";
}
