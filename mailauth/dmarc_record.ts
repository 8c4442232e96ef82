/**
 * DMARC policy records (RFC 9989 4.7 and 4.8): one TXT string to tags. Pure.
 *
 * Unknown tags are ignored, `pct` among them (RFC 9989 A.6), which RFC 7489 had; it is kept for those who evaluate by
 * that. A tag with a wrong value counts as not there, except `p`, `sp` and `np`: see {@linkcode DmarcRecord.policy}.
 */
import { parseTagList } from "./tag_list.ts";

export type DmarcPolicy = "none" | "quarantine" | "reject";
export type AlignmentMode = "relaxed" | "strict";

export interface DmarcRecord {
  readonly policy: DmarcPolicy;
  /** Null where `sp=` or `np=` is missing. */
  readonly subdomainPolicy: DmarcPolicy | null;
  readonly nonExistentPolicy: DmarcPolicy | null;
  readonly dkimAlignment: AlignmentMode;
  readonly spfAlignment: AlignmentMode;
  /** `psd=`: "y" a public suffix, "n" an organizational domain, "u" not said. */
  readonly psd: "y" | "n" | "u";
  /** `t=y`: the policy is to be applied one step milder. */
  readonly testing: boolean;
  /** Where aggregate reports are wanted, addresses of mailto URIs. */
  readonly aggregateAddresses: readonly string[];
  /** RFC 7489 6.3, 0 to 100. */
  readonly percent: number;
  /** As it was published. */
  readonly text: string;
}

const MAX_URIS = 10;
const VERSION = /^v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|$)/;
const ADDRESS = /^[^\s@<>,;:"\\]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;

/** True for a record of this version: `v=DMARC1` comes first, in this very case (RFC 9989 4.7). */
export function isDmarcRecord(text: string): boolean {
  return VERSION.test(text);
}

/** Null where DMARC is not to be applied for it (RFC 9989 4.10.1: no usable policy and nobody to report to). */
export function parseDmarcRecord(text: string): DmarcRecord | null {
  if (!isDmarcRecord(text)) return null;
  const tags = parseTagList(text);
  if (tags === null) return null;
  const aggregateAddresses = mailtoAddresses(tags.get("rua") ?? "");
  const [p, sp, np] = ["p", "sp", "np"].map((name) => policyOf(tags.get(name)));
  // RFC 9989 4.10.1: a policy that cannot be read is "none" where a report can tell the owner.
  const usable = p !== null && p !== undefined && sp !== undefined && np !== undefined;
  if (!usable && aggregateAddresses.length === 0) return null;
  const psd = tags.get("psd")?.toLowerCase();
  return {
    policy: usable ? p : "none",
    subdomainPolicy: usable ? sp : null,
    nonExistentPolicy: usable ? np : null,
    dkimAlignment: alignmentOf(tags.get("adkim")),
    spfAlignment: alignmentOf(tags.get("aspf")),
    psd: psd === "y" || psd === "n" ? psd : "u",
    testing: tags.get("t")?.toLowerCase() === "y",
    aggregateAddresses,
    percent: percentOf(tags.get("pct")),
    text,
  };
}

/** Null when missing, undefined when it is no policy. */
function policyOf(value: string | undefined): DmarcPolicy | null | undefined {
  if (value === undefined) return null;
  const policy = value.toLowerCase();
  return policy === "none" || policy === "quarantine" || policy === "reject" ? policy : undefined;
}

function alignmentOf(value: string | undefined): AlignmentMode {
  return value?.toLowerCase() === "s" ? "strict" : "relaxed";
}

function percentOf(value: string | undefined): number {
  return value !== undefined && /^\d{1,3}$/.test(value) ? Math.min(100, Number(value)) : 100;
}

/** Other schemes are not served; the size that RFC 7489 6.2 let stand behind an address is dropped. */
function mailtoAddresses(value: string): string[] {
  const addresses: string[] = [];
  for (const item of value.split(",").slice(0, MAX_URIS)) {
    const match = /^mailto:([^?!]+)(?:!\d+[kmgt]?)?$/i.exec(item.trim());
    const address = match === null ? null : decoded(match[1]!);
    if (address !== null && ADDRESS.test(address)) addresses.push(address);
  }
  return addresses;
}

function decoded(text: string): string | null {
  try {
    return decodeURIComponent(text);
  } catch {
    return null; // a percent sign that escapes nothing
  }
}
