/** QUOTA and QUOTAROOT responses (RFC 9208 4.2). Pure. */
import { formatMailbox } from "./list.ts";
import { formatString } from "./string.ts";

/** One resource; STORAGE counts in units of 1,024 octets (RFC 9208 5.1). */
export interface QuotaItem {
  readonly resource: "STORAGE" | "MESSAGE";
  readonly used: number;
  readonly limit: number;
}

export function formatQuota(root: string, items: readonly QuotaItem[]): string {
  const text = items.map(({ resource, used, limit }) => `${resource} ${used} ${limit}`).join(" ");
  return `* QUOTA ${formatString(root)} (${text})\r\n`;
}

export function formatQuotaRoot(mailbox: string, root: string, utf8: boolean): string {
  return `* QUOTAROOT ${formatMailbox(mailbox, utf8)} ${formatString(root)}\r\n`;
}
