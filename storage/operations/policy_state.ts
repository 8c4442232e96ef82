/** What the checks of incoming mail remember. Only greylisting is announced: of all else whoever reads it reads the table. */
import type { PolicyRow, WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

/** Rows of one sweep. */
const SWEPT_ROWS = 2_000;

const INSERT = "INSERT INTO policy_state (kind, key, first_at, last_at, count, expires_at, note) " +
  "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET last_at = excluded.last_at, " +
  "expires_at = excluded.expires_at, note = excluded.note, ";
const ADD = `${INSERT}count = count + excluded.count`;
const REPLACE = `${INSERT}count = excluded.count, first_at = excluded.first_at`;

export function putState(context: OperationContext, { rows, add }: Op<"put-state">): WriteResult {
  const statement = context.sql(add ? ADD : REPLACE);
  for (const { kind, key, firstAt, lastAt, count, expiresAt, note } of rows) {
    statement.run(kind, key, firstAt, lastAt, count, expiresAt, note);
  }
  const greylisted = rows.filter(({ kind }) => kind === "greylist").map(({ key }) => key);
  if (greylisted.length > 0) context.changes.push({ kind: "greylist", keys: greylisted });
  return DONE;
}

export function removeState(context: OperationContext, { of, keys }: Op<"remove-state">): WriteResult {
  const statement = context.sql("DELETE FROM policy_state WHERE kind = ? AND key = ?");
  for (const key of keys) statement.run(of, key);
  if (of === "greylist") context.changes.push({ kind: "greylist", keys });
  return DONE;
}

export function sweepState(context: OperationContext, { at }: Op<"sweep-state">): WriteResult {
  context.sql(
    "DELETE FROM policy_state WHERE (kind, key) IN " +
      "(SELECT kind, key FROM policy_state WHERE expires_at < ? LIMIT ?)",
  ).run(at, SWEPT_ROWS);
  return DONE;
}

/** Notes the row; false where it is there and has not ended. */
export function claim(context: OperationContext, row: PolicyRow): boolean {
  const known = context.rows("SELECT 1 FROM policy_state WHERE kind = ? AND key = ? AND expires_at > ?")
    .get(row.kind, row.key, context.clock());
  if (known !== undefined) return false;
  putState(context, { kind: "put-state", rows: [row], add: false });
  return true;
}
