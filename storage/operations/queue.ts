/** Outcomes of delivery attempts and the operator's control of the queue. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

export function queueOutcomes(context: OperationContext, op: Op<"queue-outcomes">): WriteResult {
  for (const outcome of op.outcomes) {
    if (outcome.outcome === "deferred") {
      context.sql(
        "UPDATE queue_recipients SET attempts = attempts + 1, next_attempt_at = ?, delay_notified = ?, last_reply = ?, " +
          "last_remote = ?, held = max(held, ?) WHERE id = ?",
      ).run(
        outcome.nextAttemptAt,
        outcome.delayNotified ? 1 : 0,
        outcome.reply,
        outcome.remote,
        outcome.held === true ? 1 : 0,
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
        // Not before what the queue has looked at already.
        context.sql(
          "UPDATE queue_recipients SET held = 0, next_attempt_at = max(next_attempt_at, ?) WHERE id = ?",
        )
          .run(op.at, id);
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

export function putEvents(context: OperationContext, { events, at }: Op<"put-events">): WriteResult {
  const statement = context.sql(
    "INSERT INTO queue_events (hook, body, created_at, attempts, next_attempt_at) VALUES (?, ?, ?, 0, ?)",
  );
  for (const { hook, body } of events) statement.run(hook, body, at, at);
  context.changes.push({ kind: "queue" });
  return DONE;
}

export function eventOutcomes(context: OperationContext, { done, again }: Op<"event-outcomes">): WriteResult {
  for (const id of done) context.sql("DELETE FROM queue_events WHERE id = ?").run(id);
  for (const { id, nextAttemptAt } of again) {
    context.sql("UPDATE queue_events SET attempts = attempts + 1, next_attempt_at = ? WHERE id = ?")
      .run(nextAttemptAt, id);
  }
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
