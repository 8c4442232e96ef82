/** COPY and MOVE: narrow rows only; the octets behind them are shared (`contents.refs`). */
import { FLAG_DELETED, FLAG_SEEN, type FlagState } from "../changes.ts";
import type { UidRanges, WriteOp, WriteResult } from "../ops.ts";
import { type OperationContext, refuse, uidCondition } from "./context.ts";
import { removeMessages } from "./expunge.ts";
import { addUsage, overQuota } from "./usage.ts";

export function copy(context: OperationContext, op: Extract<WriteOp, { kind: "copy" }>): WriteResult {
  const target = context.rows(
    "SELECT account_id, uid_next, uid_validity, highest_modseq + 1 FROM mailboxes WHERE id = ? AND selectable = 1",
  ).get(op.to) as [number, number, number, number] | undefined;
  if (target === undefined) return refuse("no-such-mailbox", `mailbox ${op.to}`);
  const [accountId, uidNext, uidValidity, modSeq] = target;
  const { where, parameters } = uidCondition(op.from, op.uids);
  const rows = op.uids.length === 0 ? [] : context.rows(
    `SELECT uid, flags, keywords, size_octets FROM messages WHERE ${where} ORDER BY uid`,
  ).all(...parameters) as [number, number, string, number][];
  if (rows.length === 0) return { ok: true, kind: "copied", uidValidity, from: [], to: [] };
  const size = rows.reduce((sum, row) => sum + row[3], 0);
  const more = { accountId, octets: size, messages: rows.length };
  if (!op.move) {
    const over = overQuota(context, more);
    if (over !== null) return over;
  }
  context.sql(
    `UPDATE contents SET refs = refs + c.n FROM (SELECT content_id, count(*) AS n FROM messages WHERE ${where} ` +
      "GROUP BY content_id) AS c WHERE contents.id = c.content_id",
  ).run(...parameters);
  context.sql(
    "INSERT INTO messages (mailbox_id, uid, modseq, flags, keywords, internal_date, saved_at, size_octets, content_id, prefix) " +
      "SELECT ?, ? + row_number() OVER (ORDER BY uid) - 1, ?, flags, keywords, internal_date, ?, size_octets, content_id, prefix " +
      `FROM messages WHERE ${where}`,
  ).run(op.to, uidNext, modSeq, context.clock(), ...parameters);
  const added: FlagState[] = rows.map(([, flags, keywords], i) => ({ uid: uidNext + i, flags, keywords }));
  const sum = (value: (row: [number, number, string, number]) => number) =>
    rows.reduce((n, row) => n + value(row), 0);
  context.sql(
    "UPDATE mailboxes SET uid_next = uid_next + ?, highest_modseq = ?, messages = messages + ?, unseen = unseen + ?, " +
      "deleted = deleted + ?, size_octets = size_octets + ? WHERE id = ?",
  ).run(
    rows.length,
    modSeq,
    rows.length,
    sum(([, flags]) => flags & FLAG_SEEN ? 0 : 1),
    sum(([, flags]) => flags & FLAG_DELETED ? 1 : 0),
    size,
    op.to,
  );
  addUsage(context, more);
  context.changes.push({ kind: "added", accountId, mailboxId: op.to, modSeq, messages: added });
  const from = rows.map(([uid]) => uid);
  if (op.move) removeMessages(context, op.from, toRanges(from));
  return { ok: true, kind: "copied", uidValidity, from, to: added.map(({ uid }) => uid) };
}

/** Ascending UIDs as ranges. */
export function toRanges(uids: readonly number[]): UidRanges {
  const ranges: [number, number][] = [];
  for (const uid of uids) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === uid - 1) last[1] = uid;
    else ranges.push([uid, uid]);
  }
  return ranges;
}
