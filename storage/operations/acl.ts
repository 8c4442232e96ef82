/**
 * Access lists (RFC 4314): their changes, and what new mailboxes inherit. Limit: {@linkcode MAX_ENTRIES} of a mailbox.
 *
 * Identifiers arrive in their normal form. The list belongs to the mailbox, not to its name: RENAME leaves it as it is,
 * DELETE removes it.
 */
import type { WriteOp, WriteResult } from "../ops.ts";
import { NO_RIGHTS, orderedRights, withoutRights } from "../rights.ts";
import { BELOW, boundsBelow } from "./below.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

export const MAX_ENTRIES = 1_000;

type SetAcl = Extract<WriteOp, { kind: "set-acl" }>;

export function setAcl(context: OperationContext, op: SetAcl): WriteResult {
  const found = context.rows("SELECT account_id, name FROM mailboxes WHERE id = ?").get(op.mailboxId);
  if (found === undefined) return refuse("no-such-mailbox", `mailbox ${op.mailboxId}`);
  const [accountId, name] = found as [number, string];
  const mailboxIds = op.subtree === true
    ? context.rows(
      `SELECT id FROM mailboxes WHERE account_id = ? AND (name = ? OR ${BELOW}) ORDER BY name`,
    ).all(accountId, name, ...boundsBelow(name)).map((row) => row[0] as number)
    : [op.mailboxId];
  const changed: number[] = [];
  for (const mailboxId of mailboxIds) {
    const outcome = setOne(context, mailboxId, op);
    if (outcome === "full") return refuse("limit", `an access list has at most ${MAX_ENTRIES} entries`);
    if (outcome === "changed") changed.push(mailboxId);
  }
  if (changed.length > 0) context.changes.push({ kind: "acl", accountId, mailboxIds: changed });
  return DONE;
}

function setOne(
  context: OperationContext,
  mailboxId: number,
  { identifier, rights, mode }: SetAcl,
): "changed" | "same" | "full" {
  const [before] = context.rows("SELECT rights FROM acl WHERE mailbox_id = ? AND identifier = ?")
    .get(mailboxId, identifier) ?? [];
  const old = before === undefined ? NO_RIGHTS : String(before);
  const next = mode === "replace"
    ? orderedRights(rights)
    : mode === "add"
    ? orderedRights(old + rights)
    : withoutRights(old, rights);
  if (next === old) return "same";
  if (next === NO_RIGHTS) {
    context.sql("DELETE FROM acl WHERE mailbox_id = ? AND identifier = ?").run(mailboxId, identifier);
    return "changed";
  }
  context.sql(
    "INSERT INTO acl (mailbox_id, identifier, rights) VALUES (?, ?, ?) " +
      "ON CONFLICT (mailbox_id, identifier) DO UPDATE SET rights = excluded.rights",
  ).run(mailboxId, identifier, next);
  if (before !== undefined) return "changed";
  const [count] = context.rows("SELECT count(*) FROM acl WHERE mailbox_id = ?").get(mailboxId) as [number];
  return count > MAX_ENTRIES ? "full" : "changed";
}

/** A new mailbox has the list of the one above it (RFC 4314 4); null: there is none. */
export function inheritAcl(context: OperationContext, mailboxId: number, parentId: number | null): void {
  if (parentId === null) return;
  context.sql(
    "INSERT INTO acl (mailbox_id, identifier, rights) SELECT ?, identifier, rights FROM acl WHERE mailbox_id = ? " +
      "AND NOT EXISTS (SELECT 1 FROM acl WHERE mailbox_id = ?)",
  ).run(mailboxId, parentId, mailboxId);
}

/** What hangs on a mailbox that goes: its list, and what its readers had of their own. */
export function dropSharing(context: OperationContext, mailboxId: number): void {
  for (const table of ["acl", "seen_by", "annotations"]) {
    context.sql(`DELETE FROM ${table} WHERE mailbox_id = ?`).run(mailboxId);
  }
}

/** An address is no account and no group any more: whoever gets it next has none of its rights. */
export function dropIdentifier(context: OperationContext, address: string): void {
  const rows = context.rows(
    "DELETE FROM acl WHERE identifier IN (?, ?) RETURNING mailbox_id, (SELECT account_id FROM mailboxes WHERE id = mailbox_id)",
  ).all(address, `-${address}`);
  const byAccount = Map.groupBy(rows, ([, accountId]) => accountId as number);
  for (const [accountId, gone] of byAccount) {
    const mailboxIds = gone.map(([mailboxId]) => mailboxId as number);
    context.changes.push({ kind: "acl", accountId, mailboxIds });
  }
}
