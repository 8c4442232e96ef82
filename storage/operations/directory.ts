/** Domains, accounts, aliases and tokens. Addresses arrive in their normal form. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";
import { removeMessages } from "./expunge.ts";
import { createStandardMailboxes } from "./mailbox.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

function domainOf(address: string): string {
  return address.slice(address.lastIndexOf("@") + 1);
}

export function putDomain(context: OperationContext, { domain }: Op<"put-domain">): WriteResult {
  context.sql(
    "INSERT INTO domains (name, kind, next_hop, catch_all, subaddress_separators) VALUES (?, ?, ?, ?, ?) " +
      "ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, next_hop = excluded.next_hop, catch_all = excluded.catch_all, " +
      "subaddress_separators = excluded.subaddress_separators",
  ).run(domain.name, domain.kind, domain.nextHop, domain.catchAll, domain.subaddressSeparators);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function removeDomain(context: OperationContext, op: Op<"remove-domain">): WriteResult {
  for (const table of ["accounts", "aliases"]) {
    const [used] = context.rows(`SELECT address FROM ${table} WHERE domain = ? LIMIT 1`).get(op.name) ?? [];
    if (used !== undefined) return refuse("domain-in-use", `${used} is in ${op.name}`);
  }
  const removed = context.sql("DELETE FROM domains WHERE name = ?").run(op.name).changes;
  if (removed === 0) return refuse("no-such-domain", op.name);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function putAccount(context: OperationContext, { account }: Op<"put-account">): WriteResult {
  const domain = domainOf(account.address);
  const [kind] = context.rows("SELECT kind FROM domains WHERE name = ?").get(domain) ?? [];
  if (kind !== "local") return refuse("no-such-domain", `${domain} is not a local domain`);
  if (context.rows("SELECT 1 FROM aliases WHERE address = ?").get(account.address) !== undefined) {
    return refuse("already-exists", `${account.address} is an alias`);
  }
  const [known] = context.rows("SELECT id FROM accounts WHERE address = ?").get(account.address) ?? [];
  let id = known as number | undefined;
  if (id === undefined) {
    [id] = context.rows(
      "INSERT INTO accounts (address, domain, display_name, password_hash, enabled, send_as, created_at) " +
        "VALUES (?, ?, '', NULL, 1, '', ?) RETURNING id",
    ).get(account.address, domain, context.clock()) as [number];
    createStandardMailboxes(context, id);
  }
  if (account.passwordHash !== undefined) {
    context.sql("UPDATE accounts SET password_hash = ? WHERE id = ?").run(account.passwordHash, id);
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
  context.changes.push({ kind: "directory", accountId: id });
  return { ok: true, kind: "account", accountId: id };
}

export function removeAccount(context: OperationContext, op: Op<"remove-account">): WriteResult {
  const [id] = context.rows("SELECT id FROM accounts WHERE address = ?").get(op.address) ?? [];
  if (typeof id !== "number") return refuse("no-such-account", op.address);
  const mailboxes = context.rows("SELECT id FROM mailboxes WHERE account_id = ?").all(id).map((row) =>
    row[0] as number
  );
  for (const mailbox of mailboxes) {
    removeMessages(context, mailbox, [[1, 0xffffffff]]);
    context.sql("DELETE FROM expunged WHERE mailbox_id = ?").run(mailbox);
  }
  for (const table of ["mailboxes", "subscriptions", "retired_names"]) {
    context.sql(`DELETE FROM ${table} WHERE account_id = ?`).run(id);
  }
  context.sql("DELETE FROM accounts WHERE id = ?").run(id);
  context.changes.push({ kind: "mailboxes", accountId: id, deleted: mailboxes }, {
    kind: "directory",
    accountId: id,
  });
  return DONE;
}

export function putAlias(context: OperationContext, op: Op<"put-alias">): WriteResult {
  const domain = domainOf(op.address);
  const [kind] = context.rows("SELECT kind FROM domains WHERE name = ?").get(domain) ?? [];
  if (kind !== "local") return refuse("no-such-domain", `${domain} is not a local domain`);
  if (context.rows("SELECT 1 FROM accounts WHERE address = ?").get(op.address) !== undefined) {
    return refuse("already-exists", `${op.address} is an account`);
  }
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
