/**
 * Normal forms: how domains and addresses are spelled in the directory, so that equal ones compare equal.
 *
 * A domain is its A-labels in lower case (RFC 5890 2.3.2.1). An address is `local-part@domain`: the local part in
 * ASCII lower case (local mailboxes do not tell cases apart), NFC beyond ASCII (RFC 6532 3.1), without quotes where
 * a dot-atom says the same (RFC 5321 4.1.2). Not for foreign recipients on the wire: their local part is theirs.
 * Pure. Limits: RFC 5321 4.5.3.1 (local part 64 octets, domain 255) and RFC 1035 2.3.4 (label 63).
 */
import { domainToASCII } from "node:url";

const MAX_LOCAL_PART_OCTETS = 64;
/** 255 octets on the wire are 253 characters of text. */
const MAX_DOMAIN_OCTETS = 253;
const USUAL = /^[a-z0-9][a-z0-9_+=-]*(?:\.[a-z0-9_+=-]+)*@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$/;
/** Where a label would be empty, or begin or end with a hyphen. */
const LABEL_EDGE = /[.-]\.|\.-/;
const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
// deno-lint-ignore no-control-regex -- the productions of RFC 5322 and RFC 6532 in terms of what they leave out
const DOT_ATOM = /^[^\x00-\x20"(),.:;<>@[\\\]\x7f]+(?:\.[^\x00-\x20"(),.:;<>@[\\\]\x7f]+)*$/;
const UPPER = /[A-Z]+/g;
// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/;

/** The domain in A-labels, lower case; null when it is none (an address literal is none either). */
export function normalizeDomain(text: string): string | null {
  const name = NOT_ASCII.test(text) ? domainToASCII(text) : text.toLowerCase();
  if (name.length === 0 || name.length > MAX_DOMAIN_OCTETS) return null;
  for (const label of name.split(".")) if (!LABEL.test(label)) return null;
  return name;
}

/** `local-part@domain` as the directory spells it; null when it is no address. */
export function normalizeAddress(text: string): string | null {
  // What nearly every login and recipient looks like; at this length no part can be too long.
  if (text.length <= MAX_LOCAL_PART_OCTETS && USUAL.test(text) && !LABEL_EDGE.test(text)) return text;
  const at = text.lastIndexOf("@");
  if (at <= 0) return null;
  const domain = normalizeDomain(text.slice(at + 1));
  const localPart = normalizeLocalPart(text.slice(0, at));
  return domain === null || localPart === null ? null : `${localPart}@${domain}`;
}

/** The local part in its normal form, quoted only where it must be; null when it is none. */
export function normalizeLocalPart(text: string): string | null {
  const plain = unquote(text);
  if (plain === null || CONTROL.test(plain)) return null;
  const folded = plain.replace(UPPER, (letters) => letters.toLowerCase()).normalize("NFC");
  if (new TextEncoder().encode(folded).length > MAX_LOCAL_PART_OCTETS) return null;
  return DOT_ATOM.test(folded) ? folded : `"${folded.replace(/["\\]/g, "\\$&")}"`;
}

/** The domain of an address in normal form. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

/** What a local part says without its quotes; null when it is neither a dot-atom nor a quoted string. */
function unquote(text: string): string | null {
  if (!text.startsWith('"')) return DOT_ATOM.test(text) ? text : null;
  const inside = /^"((?:[^"\\]|\\.)*)"$/.exec(text)?.[1];
  return inside === undefined ? null : inside.replace(/\\(.)/g, "$1");
}
