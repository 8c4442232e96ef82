/** Keys that sign for our domains, reports about them, and what we saw of other domains. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

/** Different rows of one policy domain in one day; a flood of forged mail must not fill the disk. */
const MAX_OBSERVED_ROWS = 10_000;
/** Reports removed by one operation. */
const REMOVED_AT_ONCE = 500;

export function putDkimKey(context: OperationContext, { key }: Op<"put-dkim-key">): WriteResult {
  const { domain, selector, kind, privateKey, publicKey, state } = key;
  const known = context.rows("SELECT 1 FROM domains WHERE name = ?").get(domain);
  if (known === undefined) return refuse("no-such-domain", domain);
  const now = context.clock();
  const made = context.sql(
    "INSERT OR IGNORE INTO dkim_keys (domain, selector, kind, private_key, public_key, state, created_at, changed_at) " +
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
  ).run(domain, selector, kind, privateKey, publicKey, state, now, now);
  if (made.changes === 0) return refuse("already-exists", `${selector}._domainkey.${domain}`);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function setDkimKeyState(context: OperationContext, op: Op<"set-dkim-key-state">): WriteResult {
  const { domain, selector, state } = op;
  const revoked = state === "revoked";
  const changed = context.sql(
    `UPDATE dkim_keys SET state = ?, changed_at = ?${revoked ? ", private_key = ''" : ""} ` +
      "WHERE domain = ? AND selector = ? AND state <> 'revoked'",
  ).run(state, context.clock(), domain, selector);
  if (changed.changes === 0) return refuse("no-such-key", `${selector}._domainkey.${domain}`);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function removeDkimKey(context: OperationContext, op: Op<"remove-dkim-key">): WriteResult {
  const removed = context.sql("DELETE FROM dkim_keys WHERE domain = ? AND selector = ?")
    .run(op.domain, op.selector);
  if (removed.changes === 0) return refuse("no-such-key", `${op.selector}._domainkey.${op.domain}`);
  context.changes.push({ kind: "directory", accountId: null });
  return DONE;
}

export function putReport(context: OperationContext, { report }: Op<"put-report">): WriteResult {
  const row = context.rows(
    "INSERT INTO auth_reports (kind, domain, organization, report_id, sender, begin_at, end_at, received_at, policy) " +
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
  ).get(
    ...[report.kind, report.domain, report.organization, report.reportId, report.sender],
    ...[report.beginAt, report.endAt, report.receivedAt, report.policy],
  );
  if (row === undefined) return refuse("already-exists", report.reportId);
  const statement = context.sql(
    "INSERT INTO auth_report_rows (report_id, position, source, count, result, detail) VALUES (?, ?, ?, ?, ?, ?)",
  );
  for (const [position, { source, count, result, detail }] of report.rows.entries()) {
    statement.run(row[0] as number, position, source, count, result, detail);
  }
  return DONE;
}

export function removeReports(
  context: OperationContext,
  { receivedBefore }: Op<"remove-reports">,
): WriteResult {
  const old = "SELECT id FROM auth_reports WHERE received_at < ? ORDER BY received_at LIMIT ?";
  context.sql(`DELETE FROM auth_report_rows WHERE report_id IN (${old})`).run(
    receivedBefore,
    REMOVED_AT_ONCE,
  );
  context.sql(`DELETE FROM auth_reports WHERE id IN (${old})`).run(receivedBefore, REMOVED_AT_ONCE);
  return DONE;
}

export function observe(context: OperationContext, { of, rows }: Op<"observe">): WriteResult {
  for (const { day, policyDomain, row, count } of rows) {
    const added = context.sql(
      "UPDATE observed SET count = count + ? WHERE kind = ? AND day = ? AND policy_domain = ? AND row = ?",
    ).run(count, of, day, policyDomain, row);
    if (added.changes > 0) continue;
    context.sql(
      "INSERT INTO observed (kind, day, policy_domain, row, count) SELECT ?, ?, ?, ?, ? WHERE " +
        "(SELECT count(*) FROM observed WHERE kind = ? AND day = ? AND policy_domain = ?) < ?",
    ).run(of, day, policyDomain, row, count, of, day, policyDomain, MAX_OBSERVED_ROWS);
  }
  return DONE;
}

export function removeObserved(context: OperationContext, op: Op<"remove-observed">): WriteResult {
  context.sql("DELETE FROM observed WHERE kind = ? AND day = ? AND policy_domain = ?")
    .run(op.of, op.day, op.policyDomain);
  return DONE;
}
