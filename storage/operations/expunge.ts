/** EXPUNGE and every other removal of message rows: the log of what went, the counters, the shared octets' refs. */
import { FLAG_DELETED, FLAG_SEEN } from "../changes.ts";
import type { UidRanges, WriteOp, WriteResult } from "../ops.ts";
import { type OperationContext, refuse, uidCondition } from "./context.ts";
import { addUsage } from "./usage.ts";

const EVERYTHING: UidRanges = [[1, 0xffffffff]];

export function expunge(context: OperationContext, op: Extract<WriteOp, { kind: "expunge" }>): WriteResult {
  const known = context.rows("SELECT highest_modseq, deleted FROM mailboxes WHERE id = ?").get(op.mailboxId);
  if (known === undefined) return refuse("no-such-mailbox", `mailbox ${op.mailboxId}`);
  const [modSeq, deleted] = known as [number, number];
  if (op.onlyDeleted && deleted === 0) return { ok: true, kind: "expunged", modSeq, uids: [] };
  const removed = removeMessages(context, op.mailboxId, op.uids ?? EVERYTHING, {
    onlyDeleted: op.onlyDeleted,
  });
  if (
    op.strict && !(op.uids ?? []).every(([from, to]) => removed.uids.some((uid) => from <= uid && uid <= to))
  ) {
    return refuse("no-such-message", `mailbox ${op.mailboxId}`);
  }
  return removed;
}

/** Removes messages of one mailbox in the running transaction. `moved`: others point at what these pointed at. */
export function removeMessages(
  context: OperationContext,
  mailboxId: number,
  uids: UidRanges,
  { onlyDeleted = false, moved = false } = {},
): Extract<WriteResult, { kind: "expunged" }> {
  const condition = uidCondition(mailboxId, uids);
  const where = condition.where + (onlyDeleted ? ` AND (flags & ${FLAG_DELETED}) != 0` : "");
  const { parameters } = condition;
  const [accountId, modSeq] = context.rows(
    "SELECT account_id, highest_modseq + 1 FROM mailboxes WHERE id = ?",
  )
    .get(mailboxId) as [number, number];
  // One row of JSON: a quarter of the time that as many rows take.
  const [found, unseen, deleted, size] = uids.length === 0 ? ["[]", 0, 0, 0] : context.rows(
    `SELECT json_group_array(uid), sum((flags & ${FLAG_SEEN}) = 0), sum((flags & ${FLAG_DELETED}) != 0), ` +
      `sum(size_octets) FROM (SELECT uid, flags, size_octets FROM messages WHERE ${where} ORDER BY uid)`,
  ).get(...parameters) as [string, number, number, number];
  const gone = JSON.parse(found) as number[];
  if (gone.length === 0) return { ok: true, kind: "expunged", modSeq: modSeq - 1, uids: [] };
  if (!moved) {
    context.sql(
      `UPDATE contents SET refs = refs - c.n FROM (SELECT content_id, count(*) AS n FROM messages WHERE ${where} ` +
        "GROUP BY content_id) AS c WHERE contents.id = c.content_id",
    ).run(...parameters);
  }
  context.sql(
    `INSERT INTO expunged (mailbox_id, modseq, uid) SELECT mailbox_id, ?, uid FROM messages WHERE ${where}`,
  )
    .run(modSeq, ...parameters);
  // Few mailboxes have any.
  if (context.rows("SELECT 1 FROM kept_uidls WHERE mailbox_id = ? LIMIT 1").get(mailboxId) !== undefined) {
    context.sql(
      `DELETE FROM kept_uidls WHERE mailbox_id = ? AND uid IN (SELECT uid FROM messages WHERE ${where})`,
    ).run(mailboxId, ...parameters);
  }
  context.sql(`DELETE FROM messages WHERE ${where}`).run(...parameters);
  context.sql(
    "UPDATE mailboxes SET highest_modseq = ?, messages = messages - ?, unseen = unseen - ?, deleted = deleted - ?, " +
      "size_octets = size_octets - ? WHERE id = ?",
  ).run(modSeq, gone.length, unseen, deleted, size, mailboxId);
  addUsage(context, { accountId, octets: -size, messages: -gone.length });
  context.changes.push({ kind: "expunged", accountId, mailboxId, modSeq, uids: gone });
  return { ok: true, kind: "expunged", modSeq, uids: gone };
}
