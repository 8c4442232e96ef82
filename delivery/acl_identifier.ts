/**
 * Identifiers of access lists (RFC 4314 2) in the form that is kept: whom an operator or a client means by a name.
 *
 * Any address of an account means the account, that of a group its members; `@domain` is every account of a local domain,
 * `authenticated` every login, `anyone` strangers too. A dash before it takes rights away.
 */
import { accountOfLogin } from "../auth/login_name.ts";
import { normalizeAddress, normalizeDomain } from "../storage/address_form.ts";
import type { Directory } from "../storage/directory_view.ts";

/** Null when nobody here is meant. */
export function aclIdentifier(directory: Directory, text: string): string | null {
  if (text.startsWith("-")) {
    const whom = text.startsWith("--") ? null : aclIdentifier(directory, text.slice(1));
    return whom === null ? null : `-${whom}`;
  }
  const word = text.toLowerCase();
  if (word === "anyone" || word === "authenticated") return word;
  if (text.startsWith("@")) {
    const name = normalizeDomain(text.slice(1));
    const row = name === null ? null : directory.domain(name);
    return row?.kind !== "local" ? null : `@${row.aliasOf === "" ? row.name : row.aliasOf}`;
  }
  const account = accountOfLogin(directory, text);
  if (account !== null) return account.address;
  const address = normalizeAddress(text);
  return address !== null && directory.group(address) !== null ? address : null;
}
