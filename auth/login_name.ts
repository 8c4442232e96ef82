/**
 * Which account a login means: its primary or a further address, in any spelling, also by another name of its domain.
 *
 * The same for every mechanism: a client that chooses another one must not find another account, or none. A masked
 * address tells nobody whose it is, so it logs nobody in.
 */
import { domainOf, normalizeAddress } from "../storage/address_form.ts";
import type { Account, Directory } from "../storage/directory_view.ts";

/** Null when there is none, or nobody logs in as it. */
export function accountOfLogin(directory: Directory, login: string): Account | null {
  const account = named(directory, login);
  return account?.shared === true ? null : account;
}

function named(directory: Directory, login: string): Account | null {
  const address = normalizeAddress(login);
  if (address === null) return null;
  const primary = directory.account(address);
  if (primary !== null) return primary;
  const other = directory.domain(domainOf(address))?.aliasOf ?? "";
  const spelled = other === "" ? address : `${address.slice(0, address.lastIndexOf("@"))}@${other}`;
  return directory.address(spelled)?.kind === "masked" ? null : directory.owner(spelled);
}
