/**
 * Quotas: what an account may hold, what it holds, and what becomes of mail that would be too much.
 *
 * An account has its own hard limits or those its domain gives each account; the domain has limits for all of them
 * together. The soft limit is a share of the account's hard one: from there on the owner is told (quota_notice.ts),
 * nothing is refused. At RCPT the announced SIZE counts (RFC 1870 6.1), else one octet; several messages that are under
 * way at once may pass the limit by their number. RFC 3463: 4.2.2 and 5.2.2. Hot: without limits nothing is read; with
 * them two rows by key.
 */
import type { DomainRow, QuotaLevel } from "../storage/ops.ts";
import type { Account, Directory } from "../storage/directory_view.ts";
import { domainOf } from "../storage/address_form.ts";

export type QuotaDirectory = Pick<Directory, "domain" | "usage" | "domainUsage">;

/** One resource of an account, as IMAP QUOTA (RFC 9208) will show it; 0 is no limit. */
export interface QuotaResource {
  readonly used: number;
  readonly soft: number;
  readonly hard: number;
}

export interface QuotaState {
  readonly octets: QuotaResource;
  readonly messages: QuotaResource;
  readonly noticed: QuotaLevel;
}

/** Hard limits of an account; 0 is none. */
function limitsOf(
  account: Account,
  domain: DomainRow | null,
): { readonly octets: number; readonly messages: number } {
  return {
    octets: account.quotaOctets ?? domain?.accountQuotaOctets ?? 0,
    messages: account.quotaMessages ?? domain?.accountQuotaMessages ?? 0,
  };
}

/** What an account holds and may hold. */
export function quotaOf(directory: QuotaDirectory, account: Account): QuotaState {
  const domain = directory.domain(domainOf(account.address));
  const limits = limitsOf(account, domain);
  const { octets, messages, noticed } = directory.usage(account.id);
  const soft = (hard: number) => Math.floor(hard * (domain?.quotaSoftPercent ?? 0) / 100);
  return {
    octets: { used: octets, soft: soft(limits.octets), hard: limits.octets },
    messages: { used: messages, soft: soft(limits.messages), hard: limits.messages },
    noticed,
  };
}

/** How far an account has come: below its soft limit, above it, or without room for one octet more. */
export function levelOf({ octets, messages }: QuotaState): QuotaLevel {
  const reached = ({ used }: QuotaResource, limit: number) => limit > 0 && used >= limit;
  if (reached(octets, octets.hard) || reached(messages, messages.hard)) return 2;
  return reached(octets, octets.soft) || reached(messages, messages.soft) ? 1 : 0;
}

/** What the domain does with a message of so many octets that has no room; null where there is room. */
export function overQuota(
  directory: QuotaDirectory,
  account: Account,
  octets: number,
): { readonly rule: DomainRow["overQuota"]; readonly whose: "account" | "domain" } | null {
  const domain = directory.domain(domainOf(account.address));
  if (domain === null) return null;
  const limits = limitsOf(account, domain);
  const passed = (used: number, more: number, limit: number) => limit > 0 && used + more > limit;
  if (limits.octets > 0 || limits.messages > 0) {
    const usage = directory.usage(account.id);
    if (passed(usage.octets, octets, limits.octets) || passed(usage.messages, 1, limits.messages)) {
      return { rule: domain.overQuota, whose: "account" };
    }
  }
  if (domain.quotaOctets > 0 || domain.quotaMessages > 0) {
    const usage = directory.domainUsage(domain.name);
    if (passed(usage.octets, octets, domain.quotaOctets) || passed(usage.messages, 1, domain.quotaMessages)) {
      return { rule: domain.overQuota, whose: "domain" };
    }
  }
  return null;
}

/** True when an account is watched at all. */
export function hasQuota(directory: Pick<Directory, "domain">, account: Account): boolean {
  const { octets, messages } = limitsOf(account, directory.domain(domainOf(account.address)));
  return octets > 0 || messages > 0;
}
