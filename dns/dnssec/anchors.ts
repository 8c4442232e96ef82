/**
 * The trust anchors of the root: built in as DS, kept up to date by RFC 5011.
 *
 * A new key-signing key that the trusted ones vouch for is trusted itself after {@linkcode ADD_HOLD_SECONDS} in which
 * every valid key set had it (RFC 5011 2.2, 2.4.1); one that its owner revokes is never trusted again, built in or not
 * (2.1). A key that is merely gone stays trusted. What has been seen is kept by the caller as one text; text that cannot
 * be read counts as none. Pure.
 */
import { decodeBase64Strict, encodeBase64 } from "../../bytes/base64.ts";
import { nameOctets } from "../name.ts";
import { canonicalData } from "../rdata.ts";
import type { DnskeyData, DsData } from "../rdata_dnssec.ts";
import { compareOctets } from "../rrset.ts";
import { type DnssecCrypto, isSupportedAlgorithm, isSupportedDigest } from "./crypto.ts";
import { ENTRY_POINT, keyTag, REVOKED, ZONE_KEY } from "./signature.ts";

export const ADD_HOLD_SECONDS = 30 * 86_400;
/** Keys remembered; the root has had three at most. */
const MAX_KEYS = 16;

/** IANA, root-anchors.xml: the key-signing keys of 2017 and 2024. */
export const ROOT_ANCHORS: readonly string[] = [
  "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
  "38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
];

/** `TAG ALGORITHM DIGEST-TYPE HEX`, as in a zone file; null when it is none. */
export function parseDs(text: string): DsData | null {
  const [, tag, algorithm, digestType, hex] =
    /^\s*(?:\.\s+IN\s+DS\s+)?(\d{1,5})\s+(\d{1,3})\s+(\d{1,3})\s+([0-9a-fA-F\s]+)$/.exec(text) ?? [];
  const digits = hex?.replace(/\s+/g, "") ?? "";
  if (digits === "" || digits.length % 2 !== 0) return null;
  const digest = Uint8Array.from(
    { length: digits.length / 2 },
    (_, at) => parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
  return {
    type: "DS",
    keyTag: Number(tag),
    algorithm: Number(algorithm),
    digestType: Number(digestType),
    digest,
  };
}

/** The keys of `owner` that one of the DS records names; RFC 4034 5.1.4, RFC 4509. */
export async function keysNamedBy(
  records: readonly DsData[],
  zone: { readonly owner: string; readonly keys: readonly DnskeyData[] },
  crypto: DnssecCrypto,
): Promise<DnskeyData[]> {
  const named: DnskeyData[] = [];
  const owner = nameOctets(zone.owner)!;
  for (const key of zone.keys) {
    const tag = keyTag(key);
    for (const ds of records) {
      if (ds.keyTag !== tag || ds.algorithm !== key.algorithm) continue;
      if (!isSupportedAlgorithm(ds.algorithm) || !isSupportedDigest(ds.digestType)) continue;
      const data = canonicalData(key);
      const input = new Uint8Array(owner.length + data.length);
      input.set(owner);
      input.set(data, owner.length);
      if (compareOctets(await crypto.digest(ds.digestType, input), ds.digest) !== 0) continue;
      named.push(key);
      break;
    }
  }
  return named;
}

interface KnownKey {
  readonly flags: number;
  readonly algorithm: number;
  readonly key: Uint8Array;
  state: "pending" | "trusted" | "revoked";
  /** When it was first seen, seconds since 1970. */
  readonly since: number;
}

export class TrustAnchors {
  readonly #builtIn: readonly DsData[];
  #keys: KnownKey[];

  /** `text` as {@linkcode serialize} made it; null: nothing has been seen yet. */
  constructor(builtIn: readonly DsData[], text: string | null) {
    this.#builtIn = builtIn;
    this.#keys = text === null ? [] : parseState(text);
  }

  /** False: there is nothing to trust, so nothing can be secure. */
  get any(): boolean {
    return this.#builtIn.length > 0 || this.#keys.some(({ state }) => state === "trusted");
  }

  /** The keys of the root's set that may sign it. */
  async entryPoints(keys: readonly DnskeyData[], crypto: DnssecCrypto): Promise<DnskeyData[]> {
    const named = new Set(await keysNamedBy(this.#builtIn, { owner: ".", keys }, crypto));
    return keys.filter((key) => {
      if ((key.flags & REVOKED) !== 0) return false;
      const known = this.#known(key);
      return known?.state !== "revoked" && (known?.state === "trusted" || named.has(key));
    });
  }

  /**
   * Takes in a valid key set (RFC 5011 2.3, 4). `signedItself` are those of its keys that signed it: only so can a key
   * be revoked. True when {@linkcode serialize} has something new to say.
   */
  async observe(
    set: { readonly keys: readonly DnskeyData[]; readonly signedItself: readonly DnskeyData[] },
    context: { readonly crypto: DnssecCrypto; readonly nowSeconds: number },
  ): Promise<boolean> {
    const { nowSeconds } = context;
    const before = this.serialize();
    const named = new Set(await keysNamedBy(this.#builtIn, { owner: ".", keys: set.keys }, context.crypto));
    const entryPoints = set.keys.filter(({ flags, algorithm }) =>
      (flags & ZONE_KEY) !== 0 && (flags & ENTRY_POINT) !== 0 && isSupportedAlgorithm(algorithm)
    );
    for (const key of entryPoints) {
      const known = this.#known(key);
      if ((key.flags & REVOKED) !== 0) {
        if (!set.signedItself.includes(key)) continue;
        if (known !== undefined) known.state = "revoked";
        else this.#add(key, "revoked", nowSeconds);
      } else if (known === undefined) {
        this.#add(key, named.has(key) ? "trusted" : "pending", nowSeconds);
      } else if (known.state === "pending" && nowSeconds - known.since >= ADD_HOLD_SECONDS) {
        known.state = "trusted";
      }
    }
    // RFC 5011 4.2: a key that goes away while it waits begins anew.
    this.#keys = this.#keys.filter((known) =>
      known.state !== "pending" || entryPoints.some((key) => same(key, known))
    );
    return this.serialize() !== before;
  }

  serialize(): string {
    return JSON.stringify({
      keys: this.#keys.map(({ flags, algorithm, key, state, since }) => ({
        flags,
        algorithm,
        key: encodeBase64(key),
        state,
        since,
      })),
    });
  }

  #known(key: DnskeyData): KnownKey | undefined {
    return this.#keys.find((known) => same(key, known));
  }

  #add(key: DnskeyData, state: KnownKey["state"], since: number): void {
    if (this.#keys.length >= MAX_KEYS) return;
    const { flags, algorithm } = key;
    this.#keys.push({ flags: flags & ~REVOKED, algorithm, key: key.key, state, since });
  }
}

/** Revocation changes the flags and so the tag; the key stays the same. */
function same(a: { algorithm: number; key: Uint8Array }, b: { algorithm: number; key: Uint8Array }): boolean {
  return a.algorithm === b.algorithm && compareOctets(a.key, b.key) === 0;
}

function parseState(text: string): KnownKey[] {
  try {
    const { keys } = JSON.parse(text) as { keys: unknown };
    if (!Array.isArray(keys)) return [];
    return keys.flatMap((entry: Record<string, unknown>): KnownKey[] => {
      const { flags, algorithm, key, state, since } = entry;
      const octets = typeof key === "string" ? decodeBase64Strict(key) : null;
      if (typeof flags !== "number" || typeof algorithm !== "number" || octets === null) return [];
      if (state !== "pending" && state !== "trusted" && state !== "revoked") return [];
      return typeof since === "number" ? [{ flags, algorithm, key: octets, state, since }] : [];
    });
  } catch {
    return [];
  }
}
