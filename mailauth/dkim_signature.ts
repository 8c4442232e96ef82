/** The DKIM-Signature field (RFC 6376 3.5): its tags, checked. Pure. */
import { base64Value, colonList, parseTagList } from "./tag_list.ts";
import type { Canonicalization } from "./dkim_canonical.ts";

export interface DkimSignature {
  /** As in "rsa-sha256". */
  readonly algorithm: string;
  readonly keyKind: "rsa" | "ed25519";
  readonly hash: "sha256" | "sha1";
  readonly signature: Uint8Array;
  readonly bodyHash: Uint8Array;
  readonly headerForm: Canonicalization;
  readonly bodyForm: Canonicalization;
  /** d=, lower case. */
  readonly domain: string;
  /** s= */
  readonly selector: string;
  /** i=, or "@" and the domain. */
  readonly identity: string;
  /** h=, lower case, in order. */
  readonly fields: readonly string[];
  /** l=: octets of the canonical body that are signed; null: all. */
  readonly bodyLimit: number | null;
  /** t= and x= in seconds. */
  readonly signedAt: number | null;
  readonly expiresAt: number | null;
}

const MAX_FIELDS = 300;
const DOMAIN = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?$/;

/** A text says why it cannot be used. `value` is unfolded. */
export function parseSignature(value: string): DkimSignature | string {
  const tags = parseTagList(value);
  if (tags === null) return "the signature is no list of tags";
  if (tags.get("v") !== "1") return "the version is not 1";
  const [algorithm, methods] = [tags.get("a")?.toLowerCase() ?? "", tags.get("q") ?? "dns/txt"];
  const [kind, hash] = algorithm.split("-");
  if ((kind !== "rsa" && kind !== "ed25519") || (hash !== "sha256" && !(hash === "sha1" && kind === "rsa"))) {
    return `the algorithm ${algorithm || "(none)"} is not known`;
  }
  if (!colonList(methods).includes("dns/txt")) return "the key is not in DNS";
  const signature = base64Value(tags.get("b")), bodyHash = base64Value(tags.get("bh"));
  if (signature === null || bodyHash === null) return "b= or bh= is missing or no base64";
  const domain = tags.get("d")?.toLowerCase() ?? "", selector = tags.get("s") ?? "";
  if (!DOMAIN.test(domain) || !DOMAIN.test(selector)) return "d= or s= is missing or malformed";
  const identity = tags.get("i") ?? `@${domain}`;
  const of = identity.slice(identity.lastIndexOf("@") + 1).toLowerCase();
  if (!identity.includes("@") || (of !== domain && !of.endsWith(`.${domain}`))) {
    return "i= is not of the domain d=";
  }
  const fields = colonList(tags.get("h") ?? "").map((name) => name.toLowerCase());
  if (fields.length > MAX_FIELDS) return `h= names more than ${MAX_FIELDS} fields`;
  if (!fields.includes("from")) return "From is not signed";
  const [headerForm, bodyForm = "simple"] = (tags.get("c") ?? "simple/simple").toLowerCase().split("/");
  if (!isForm(headerForm) || !isForm(bodyForm)) return "the canonical form is not known";
  const limit = numberOf(tags.get("l")),
    signedAt = numberOf(tags.get("t")),
    expiresAt = numberOf(tags.get("x"));
  if (limit === undefined || signedAt === undefined || expiresAt === undefined) {
    return "l=, t= or x= is no number";
  }
  if (signedAt !== null && expiresAt !== null && expiresAt < signedAt) return "x= is before t=";
  return {
    ...{ algorithm, keyKind: kind, hash, signature, bodyHash, headerForm, bodyForm },
    ...{ domain, selector, identity, fields, bodyLimit: limit, signedAt, expiresAt },
  };
}

function isForm(text: string | undefined): text is Canonicalization {
  return text === "simple" || text === "relaxed";
}

/** Null when the tag is missing, undefined when it is no number. */
function numberOf(text: string | undefined): number | null | undefined {
  if (text === undefined) return null;
  return /^\d{1,76}$/.test(text) ? Math.min(Number(text), Number.MAX_SAFE_INTEGER) : undefined;
}

/** The field without the value of its b= tag (RFC 6376 3.7). */
export function withoutSignature(field: string): string {
  return field.replace(/((?:^|[;:])[ \t\r\n]*b[ \t\r\n]*=)[^;]*?(?=;|(?:\r\n)?$)/, "$1");
}
