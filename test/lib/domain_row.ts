/** A local domain as the directory gives it. */
import type { DomainRow } from "../../storage/ops.ts";

export function domainRow(row: Partial<DomainRow> & { readonly name: string }): DomainRow {
  return {
    kind: "local",
    nextHop: "",
    catchAll: "",
    subaddressSeparators: "",
    aliasOf: "",
    subaddressFolder: "inbox",
    relayRecipients: "any",
    quotaOctets: 0,
    quotaMessages: 0,
    accountQuotaOctets: 0,
    accountQuotaMessages: 0,
    quotaSoftPercent: 90,
    overQuota: "defer",
    ...row,
  };
}
