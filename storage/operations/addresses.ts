/** Further addresses of accounts, masked ones among them; and who has an address already. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;
type Holder = "accounts" | "aliases" | "addresses" | "groups";

/** Addresses of one account. */
const MAX_ADDRESSES = 10_000;
const NOUNS: Readonly<Record<Holder, string>> = {
  accounts: "an account",
  aliases: "an alias",
  addresses: "an address of an account",
  groups: "a group",
};

/** The refusal of an address that something other than `mine` has already, or whose domain is not ours. */
export function refuseTaken(context: OperationContext, address: string, mine: Holder): WriteResult | null {
  const domain = address.slice(address.lastIndexOf("@") + 1);
  const [kind, aliasOf] = context.rows("SELECT kind, alias_of FROM domains WHERE name = ?").get(domain) ?? [];
  if (kind !== "local") return refuse("no-such-domain", `${domain} is not a local domain`);
  if (aliasOf !== "") return refuse("no-such-domain", `${domain} is another name of ${aliasOf}`);
  for (const holder of Object.keys(NOUNS) as Holder[]) {
    if (holder === mine) continue;
    if (context.rows(`SELECT 1 FROM ${holder} WHERE address = ?`).get(address) !== undefined) {
      return refuse("already-exists", `${address} is ${NOUNS[holder]}`);
    }
  }
  return null;
}

export function putAddress(context: OperationContext, { address: row }: Op<"put-address">): WriteResult {
  const { address, accountId } = row;
  const taken = refuseTaken(context, address, "addresses");
  if (taken !== null) return taken;
  if (context.rows("SELECT 1 FROM accounts WHERE id = ?").get(accountId) === undefined) {
    return refuse("no-such-account", `account ${accountId}`);
  }
  const [owner] = context.rows("SELECT account_id FROM addresses WHERE address = ?").get(address) ?? [];
  if (owner !== undefined && owner !== accountId) {
    return refuse("already-exists", `${address} belongs to another account`);
  }
  const [count] = context.rows("SELECT count(*) FROM addresses WHERE account_id = ?").get(accountId) as [
    number,
  ];
  if (count >= MAX_ADDRESSES) return refuse("limit", `an account has at most ${MAX_ADDRESSES} addresses`);
  context.sql(
    "INSERT INTO addresses (address, domain, account_id, kind, enabled, note, created_at, last_used_at) " +
      "VALUES (?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT (address) DO UPDATE SET kind = excluded.kind, " +
      "enabled = excluded.enabled, note = excluded.note",
  ).run(
    address,
    address.slice(address.lastIndexOf("@") + 1),
    accountId,
    row.kind,
    row.enabled ? 1 : 0,
    row.note,
    context.clock(),
  );
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function removeAddress(context: OperationContext, { address }: Op<"remove-address">): WriteResult {
  if (context.sql("DELETE FROM addresses WHERE address = ?").run(address).changes === 0) {
    return refuse("no-such-address", address);
  }
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function touchAddress(context: OperationContext, { address, at }: Op<"touch-address">): WriteResult {
  context.sql("UPDATE addresses SET last_used_at = max(last_used_at, ?) WHERE address = ?").run(at, address);
  return DONE;
}
