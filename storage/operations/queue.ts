/** Outcomes of delivery attempts and the operator's control of the queue. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

export function queueOutcomes(context: OperationContext, op: Op<"queue-outcomes">): WriteResult {
  for (const outcome of op.outcomes) {
    if (outcome.outcome === "deferred") {
      context.sql(
        "UPDATE queue_recipients SET attempts = attempts + 1, next_attempt_at = ?, delay_notified = ?, last_reply = ?, " +
          "last_remote = ? WHERE id = ?",
      ).run(
        outcome.nextAttemptAt,
        outcome.delayNotified ? 1 : 0,
        outcome.reply,
        outcome.remote,
        outcome.recipientId,
      );
    } else removeRecipient(context, outcome.recipientId);
  }
  return DONE;
}

export function queueControl(context: OperationContext, op: Op<"queue-control">): WriteResult {
  for (const id of op.recipientIds) {
    switch (op.action) {
      case "retry":
        context.sql("UPDATE queue_recipients SET next_attempt_at = ?, held = 0 WHERE id = ?").run(op.at, id);
        break;
      case "hold":
        context.sql("UPDATE queue_recipients SET held = 1 WHERE id = ?").run(id);
        break;
      case "release":
        context.sql("UPDATE queue_recipients SET held = 0 WHERE id = ?").run(id);
        break;
      case "remove":
        removeRecipient(context, id);
        break;
      default:
        op.action satisfies never;
    }
  }
  context.changes.push({ kind: "queue" });
  return DONE;
}

/** Removes a recipient, and its message with the last one. */
function removeRecipient(context: OperationContext, recipientId: number): void {
  const row = context.rows("DELETE FROM queue_recipients WHERE id = ? RETURNING queue_id").get(recipientId);
  if (row === undefined) return;
  const queueId = row[0] as number;
  if (context.rows("SELECT 1 FROM queue_recipients WHERE queue_id = ? LIMIT 1").get(queueId) !== undefined) {
    return;
  }
  const message = context.rows("DELETE FROM queue_messages WHERE id = ? RETURNING content_id").get(queueId);
  if (message !== undefined) {
    context.sql("UPDATE contents SET refs = refs - 1 WHERE id = ?").run(message[0] as number);
  }
}
