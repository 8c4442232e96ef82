/** Domains, accounts, aliases, tokens and secrets. Addresses arrive in their normal form. */
import type { DomainOptions, WriteOp, WriteResult } from "../ops.ts";
import { refuseTaken } from "./addresses.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";
import { removeMessages } from "./expunge.ts";
import { dropIdentifier, dropSharing } from "./acl.ts";
import { createSharedInbox, createStandardMailboxes } from "./mailbox.ts";
import { settleUsage } from "./usage.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

const DOMAIN_OPTIONS = {
  aliasOf: "alias_of",
  subaddressFolder: "subaddress_folder",
  relayRecipients: "relay_recipients",
  quotaOctets: "quota_octets",
  quotaMessages: "quota_messages",
  accountQuotaOctets: "account_quota_octets",
  accountQuotaMessages: "account_quota_messages",
  quotaSoftPercent: "quota_soft_percent",
  overQuota: "over_quota",
} as const satisfies Record<keyof DomainOptions, string>;

export function putDomain(context: OperationContext, { domain }: Op<"put-domain">): WriteResult {
  const { name, aliasOf = "" } = domain;
  if (aliasOf !== "") {
    const [kind, other] = context.rows("SELECT kind, alias_of FROM domains WHERE name = ?").get(aliasOf) ??
      [];
    if (kind !== "local" || other !== "" || aliasOf === name) {
      return refuse("no-such-domain", `${aliasOf} is not a local domain of its own`);
    }
    const used = userOf(context, name);
    if (used !== null) return refuse("domain-in-use", `${used} is in ${name}`);
  }
  context.sql(
    "INSERT INTO domains (name, kind, next_hop, catch_all, subaddress_separators) VALUES (?, ?, ?, ?, ?) " +
      "ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, next_hop = excluded.next_hop, catch_all = excluded.catch_all, " +
      "subaddress_separators = excluded.subaddress_separators",
  ).run(name, domain.kind, domain.nextHop, domain.catchAll, domain.subaddressSeparators);
  for (const [option, column] of Object.entries(DOMAIN_OPTIONS) as [keyof DomainOptions, string][]) {
    const value = domain[option];
    if (value !== undefined) context.sql(`UPDATE domains SET ${column} = ? WHERE name = ?`).run(value, name);
  }
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

/** An address or name that needs the domain; null when nothing does. */
function userOf(context: OperationContext, domain: string): string | null {
  for (const table of ["accounts", "aliases", "addresses", "groups"]) {
    const [used] = context.rows(`SELECT address FROM ${table} WHERE domain = ? LIMIT 1`).get(domain) ?? [];
    if (typeof used === "string") return used;
  }
  const [other] = context.rows("SELECT name FROM domains WHERE alias_of = ? LIMIT 1").get(domain) ?? [];
  return typeof other === "string" ? other : null;
}

export function removeDomain(context: OperationContext, op: Op<"remove-domain">): WriteResult {
  const used = userOf(context, op.name);
  if (used !== null) return refuse("domain-in-use", `${used} needs ${op.name}`);
  const removed = context.sql("DELETE FROM domains WHERE name = ?").run(op.name).changes;
  if (removed === 0) return refuse("no-such-domain", op.name);
  context.sql("DELETE FROM dkim_keys WHERE domain = ?").run(op.name);
  context.sql("DELETE FROM sieve_scripts WHERE scope = 'domain' AND owner = ?").run(op.name);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function putAccount(context: OperationContext, { account }: Op<"put-account">): WriteResult {
  const domain = domainOf(account.address);
  const taken = refuseTaken(context, account.address, "accounts");
  if (taken !== null) return taken;
  const [known, knownHash] =
    context.rows("SELECT id, password_hash FROM accounts WHERE address = ?").get(account.address) ?? [];
  let id = known as number | undefined;
  if (id === undefined) {
    [id] = context.rows(
      "INSERT INTO accounts (address, domain, display_name, password_hash, enabled, send_as, created_at, shared) " +
        "VALUES (?, ?, '', NULL, 1, '', ?, ?) RETURNING id",
    ).get(account.address, domain, context.clock(), account.shared === true ? 1 : 0) as [number];
    if (account.shared === true) createSharedInbox(context, id);
    else createStandardMailboxes(context, id);
  }
  if (account.passwordHash !== undefined) {
    context.sql("UPDATE accounts SET password_hash = ?, scram = ? WHERE id = ?")
      .run(account.passwordHash, account.scram ?? null, id);
  }
  if (account.displayName !== undefined) {
    context.sql("UPDATE accounts SET display_name = ? WHERE id = ?").run(account.displayName, id);
  }
  if (account.enabled !== undefined) {
    context.sql("UPDATE accounts SET enabled = ? WHERE id = ?").run(account.enabled ? 1 : 0, id);
  }
  if (account.sendAs !== undefined) {
    context.sql("UPDATE accounts SET send_as = ? WHERE id = ?").run(account.sendAs.join("\n"), id);
  }
  if (account.quotaOctets !== undefined) {
    context.sql("UPDATE accounts SET quota_octets = ? WHERE id = ?").run(account.quotaOctets, id);
  }
  if (account.quotaMessages !== undefined) {
    context.sql("UPDATE accounts SET quota_messages = ? WHERE id = ?").run(account.quotaMessages, id);
  }
  if (account.subaddressFolder !== undefined) {
    context.sql("UPDATE accounts SET subaddress_folder = ? WHERE id = ?").run(account.subaddressFolder, id);
  }
  if (account.hiddenCapabilities !== undefined) {
    context.sql("UPDATE accounts SET hidden_capabilities = ? WHERE id = ?")
      .run(account.hiddenCapabilities.join(" "), id);
  }
  context.changes.push({ kind: "directory", accountId: id });
  const hash = account.passwordHash === undefined ? knownHash ?? null : account.passwordHash;
  return { ok: true, kind: "account", accountId: id, hasPassword: hash !== null };
}

export function removeAccount(context: OperationContext, op: Op<"remove-account">): WriteResult {
  const [id] = context.rows("SELECT id FROM accounts WHERE address = ?").get(op.address) ?? [];
  if (typeof id !== "number") return refuse("no-such-account", op.address);
  settleUsage(context); // what came in this group leaves with the rest
  const mailboxes = context.rows("SELECT id FROM mailboxes WHERE account_id = ?").all(id).map((row) =>
    row[0] as number
  );
  for (const mailbox of mailboxes) {
    removeMessages(context, mailbox, [[1, 0xffffffff]]);
    context.sql("DELETE FROM expunged WHERE mailbox_id = ?").run(mailbox);
    dropSharing(context, mailbox);
  }
  for (
    const table of [
      "mailboxes",
      "annotations",
      "imported_items",
      "subscriptions",
      "seen_by",
      "retired_names",
      "addresses",
      "client_certificates",
      "spam_wishes",
      "spam_lessons",
      "spam_journal",
      "spam_knowledge",
    ]
  ) {
    context.sql(`DELETE FROM ${table} WHERE account_id = ?`).run(id);
  }
  context.sql("DELETE FROM sieve_scripts WHERE scope = 'user' AND owner = ?").run(String(id));
  context.sql("DELETE FROM accounts WHERE id = ?").run(id);
  dropIdentifier(context, op.address);
  context.changes.push({ kind: "mailboxes", accountId: id, deleted: mailboxes }, {
    kind: "directory",
    accountId: id,
  });
  return DONE;
}

export function putAlias(context: OperationContext, op: Op<"put-alias">): WriteResult {
  const domain = domainOf(op.address);
  const taken = refuseTaken(context, op.address, "aliases");
  if (taken !== null) return taken;
  dropAlias(context, op.address);
  context.sql("INSERT INTO aliases (address, domain, targets) VALUES (?, ?, ?)")
    .run(op.address, domain, op.targets.join("\n"));
  for (const target of new Set(op.targets)) {
    context.sql("INSERT INTO alias_targets (target, address) VALUES (?, ?)").run(target, op.address);
  }
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function removeAlias(context: OperationContext, op: Op<"remove-alias">): WriteResult {
  if (dropAlias(context, op.address) === 0) return refuse("no-such-alias", op.address);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

function dropAlias(context: OperationContext, address: string): number {
  context.sql("DELETE FROM alias_targets WHERE address = ?").run(address);
  return context.sql("DELETE FROM aliases WHERE address = ?").run(address).changes;
}

export function putToken(context: OperationContext, { token }: Op<"put-token">): WriteResult {
  context.sql("INSERT INTO tokens (id, name, hash, scopes, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)")
    .run(token.id, token.name, token.hash, token.scopes.join(" "), token.createdAt, token.expiresAt);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function removeToken(context: OperationContext, op: Op<"remove-token">): WriteResult {
  if (context.sql("DELETE FROM tokens WHERE id = ?").run(op.id).changes === 0) {
    return refuse("no-such-token", op.id);
  }
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function rotateSecret(context: OperationContext, op: Op<"rotate-secret">): WriteResult {
  const { name, value, ifBefore, keep } = op;
  const [newest] = context.rows("SELECT max(created_at) FROM secrets WHERE name = ?").get(name) as [
    number | null,
  ];
  if (newest !== null && newest >= ifBefore) return refuse("already-exists", `${name} has a newer key`);
  const createdAt = Math.max(context.clock(), (newest ?? 0) + 1);
  context.sql("INSERT INTO secrets (name, created_at, value) VALUES (?, ?, ?)").run(name, createdAt, value);
  context.sql(
    "DELETE FROM secrets WHERE name = ? AND created_at NOT IN " +
      "(SELECT created_at FROM secrets WHERE name = ? ORDER BY created_at DESC LIMIT ?)",
  ).run(name, name, keep);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}
