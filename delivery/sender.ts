/**
 * Which sender addresses belong to a login: its own, aliases that deliver to it, addresses granted to it (`sendAs`),
 * and sub-addresses of its own and its aliases by the rules of their domain.
 */
import { formatPath, type Path } from "../protocols/smtp/path.ts";
import { domainOf, normalizeAddress } from "../storage/address_form.ts";
import type { Account, Directory } from "../storage/store.ts";
import { subaddressBases } from "./subaddress.ts";

export type SenderDirectory = Pick<Directory, "domain" | "alias">;

export function ownsPath(directory: SenderDirectory, account: Account, path: Path): boolean {
  return ownsAddress(directory, account, formatPath(path));
}

/** `address` in any spelling; what is no address belongs to nobody. */
export function ownsAddress(directory: SenderDirectory, account: Account, address: string): boolean {
  const normal = normalizeAddress(address);
  if (normal === null) return false;
  if (ownsExactly(directory, account, normal)) return true;
  if (account.sendAs.some((granted) => normalizeAddress(granted) === normal)) return true;
  const separators = directory.domain(domainOf(normal))?.subaddressSeparators ?? "";
  return subaddressBases(normal, separators).some((base) => ownsExactly(directory, account, base));
}

function ownsExactly(directory: SenderDirectory, account: Account, address: string): boolean {
  return address === account.address ||
    (directory.alias(address)?.targets.includes(account.address) ?? false);
}
