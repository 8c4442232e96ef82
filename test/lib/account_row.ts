/** An account as the directory gives it. */
import type { Account } from "../../storage/directory_view.ts";

export function accountRow(row: Partial<Account> = {}): Account {
  return {
    id: 1,
    address: "alice@example.test",
    displayName: "",
    passwordHash: null,
    enabled: true,
    sendAs: [],
    createdAt: 0,
    quotaOctets: null,
    quotaMessages: null,
    subaddressFolder: null,
    scram: null,
    hiddenCapabilities: [],
    shared: false,
    ...row,
  };
}
