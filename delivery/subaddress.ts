/**
 * Sub-addressing (RFC 5233 1): `user+detail@domain` belongs to `user@domain` where the domain has separators.
 *
 * Several separators may stand in one local part; the longest base comes first, so that `mary-jane-list` finds
 * `mary-jane` before `mary`.
 */

/** Addresses that `address` (normal form) may be a sub-address of; at most one for each of its octets. */
export function subaddressBases(address: string, separators: string): string[] {
  if (separators === "" || address.startsWith('"')) return [];
  const bases: string[] = [];
  const at = address.lastIndexOf("@");
  for (let i = at - 1; i > 0; i--) {
    if (separators.includes(address[i]!)) bases.push(address.slice(0, i) + address.slice(at));
  }
  return bases;
}

/** Longest name of a folder that a stranger may name. */
const MAX_FOLDER = 64;

/** The folder that a detail names, in lower case; "" when it names none that mail may come to by itself. */
export function folderOf(detail: string): string {
  const plain = detail.trim();
  if (plain === "" || plain.length > MAX_FOLDER || plain === "inbox") return "";
  // deno-lint-ignore no-control-regex
  return /[\x00-\x1f\x7f/%*"\\]/.test(plain) || plain.startsWith(".") ? "" : plain;
}
