/**
 * Which sender addresses belong to a login: its own, further ones of it, aliases that deliver to it, addresses granted
 * to it (`sendAs`), sub-addresses of these but the last by the rules of their domain, and all of them in domains that are
 * another name of theirs.
 */
import { formatPath, type Path } from "../protocols/smtp/path.ts";
import { domainOf, normalizeAddress } from "../storage/address_form.ts";
import type { Account, Directory } from "../storage/directory_view.ts";
import { subaddressBases } from "./subaddress.ts";

export type SenderDirectory = Pick<Directory, "domain" | "alias" | "address">;

export function ownsPath(directory: SenderDirectory, account: Account, path: Path): boolean {
  return ownsAddress(directory, account, formatPath(path));
}

/** `address` in any spelling; what is no address belongs to nobody. */
export function ownsAddress(directory: SenderDirectory, account: Account, address: string): boolean {
  const given = normalizeAddress(address);
  if (given === null) return false;
  const named = directory.domain(domainOf(given));
  const other = named === null || named.aliasOf === "" ? null : directory.domain(named.aliasOf);
  const normal = other === null ? given : `${given.slice(0, given.lastIndexOf("@"))}@${other.name}`;
  if (ownsExactly(directory, account, normal)) return true;
  if (account.sendAs.some((granted) => normalizeAddress(granted) === given)) return true;
  const separators = (other ?? named)?.subaddressSeparators ?? "";
  return subaddressBases(normal, separators).some((base) => ownsExactly(directory, account, base));
}

function ownsExactly(directory: SenderDirectory, account: Account, address: string): boolean {
  if (address === account.address) return true;
  const further = directory.address(address);
  if (further !== null) return further.accountId === account.id && further.enabled;
  return directory.alias(address)?.targets.includes(account.address) ?? false;
}
