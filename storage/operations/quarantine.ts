/**
 * Mail that checks have set aside: put there by a delivery, let go into the queue, given up.
 *
 * Each message holds one reference of its content; it leaves with its last recipient. Who is let go by two at the same
 * moment goes once: what is gone is left out.
 */
import type { QueueEntry, WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext } from "./context.ts";
import { wishOf } from "./spam.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

const NO_PREFIX = new Uint8Array(0);
/** Messages of one sweep. */
const SWEPT_MESSAGES = 500;

export function quarantine(
  context: OperationContext,
  entry: QueueEntry & { readonly quarantine: NonNullable<QueueEntry["quarantine"]> },
  contentId: number,
): void {
  const { sender, accountId, envelopeId, ret, tls = "", createdAt, recipients, quarantine } = entry;
  const [id] = context.rows(
    "INSERT INTO quarantine_messages (content_id, sender, account_id, envelope_id, ret, eight_bit, smtputf8, tls, " +
      "created_at, expires_at, reason, dangerous) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
  ).get(
    ...[contentId, sender, accountId, envelopeId, ret, entry.eightBit ? 1 : 0, entry.smtputf8 ? 1 : 0, tls],
    ...[createdAt, quarantine.expiresAt, quarantine.reason, quarantine.dangerous ? 1 : 0],
  )!;
  const insert = context.sql(
    "INSERT INTO quarantine_recipients (quarantine_id, recipient, destination, notify, original_recipient, told) " +
      "VALUES (?, ?, ?, ?, ?, 0)",
  );
  for (const { recipient, destination, notify, originalRecipient } of recipients) {
    insert.run(id as number, recipient, destination, notify, originalRecipient);
  }
}

export function quarantineControl(context: OperationContext, op: Op<"quarantine-control">): WriteResult {
  switch (op.action) {
    case "told":
      for (const id of op.recipientIds) {
        context.sql("UPDATE quarantine_recipients SET told = 1 WHERE id = ?").run(id);
      }
      return DONE;
    case "remove":
      for (const id of op.recipientIds) take(context, id);
      return DONE;
    case "release":
      return release(context, op);
    default:
      return op.action satisfies never;
  }
}

export function quarantineExpire(context: OperationContext, { at }: Op<"quarantine-expire">): WriteResult {
  const gone = context.rows(
    "DELETE FROM quarantine_messages WHERE id IN " +
      "(SELECT id FROM quarantine_messages WHERE expires_at <= ? ORDER BY expires_at LIMIT ?) RETURNING id, content_id",
  ).all(at, SWEPT_MESSAGES) as [number, number][];
  for (const [id, contentId] of gone) {
    context.sql("DELETE FROM quarantine_recipients WHERE quarantine_id = ?").run(id);
    context.sql("UPDATE contents SET refs = refs - 1 WHERE id = ?").run(contentId);
  }
  return DONE;
}

/** Into the queue, which files what is for mailboxes here and sends the rest. */
function release(context: OperationContext, op: Op<"quarantine-control">): WriteResult {
  /** Queue messages by those of the quarantine. */
  const queued = new Map<number, number>();
  const learners = new Map(op.lessons?.map(({ recipientId, accountId }) => [recipientId, accountId]));
  for (const recipientId of op.recipientIds) {
    const row = context.rows(
      "SELECT r.quarantine_id, q.content_id, r.recipient, r.destination, r.notify, r.original_recipient " +
        "FROM quarantine_recipients AS r JOIN quarantine_messages AS q ON q.id = r.quarantine_id WHERE r.id = ?",
    ).get(recipientId) as [number, number, string, string, string, string] | undefined;
    if (row === undefined) continue;
    const [id, contentId, recipient, destination, notify, originalRecipient] = row;
    const accountId = learners.get(recipientId);
    if (accountId !== undefined) wishOf(context, { accountId, contentId, prefix: NO_PREFIX, kind: "ham" });
    let queueId = queued.get(id);
    if (queueId === undefined) queued.set(id, queueId = enqueue(context, id, op));
    context.sql(
      "INSERT INTO queue_recipients (queue_id, recipient, destination, notify, original_recipient, held, attempts, " +
        "next_attempt_at, delay_notified, last_reply, last_remote) VALUES (?, ?, ?, ?, ?, 0, 0, ?, 0, '', '')",
    ).run(queueId, recipient, destination, notify, originalRecipient, op.at);
    take(context, recipientId);
  }
  if (queued.size > 0) context.changes.push({ kind: "queue" });
  return DONE;
}

function enqueue(context: OperationContext, id: number, { at, expiresAt }: Op<"quarantine-control">): number {
  const [queueId, contentId] = context.rows(
    "INSERT INTO queue_messages (content_id, sender, account_id, envelope_id, ret, eight_bit, smtputf8, created_at, " +
      "expires_at, tls) SELECT content_id, sender, account_id, envelope_id, ret, eight_bit, smtputf8, ?, ?, tls " +
      "FROM quarantine_messages WHERE id = ? RETURNING id, content_id",
  ).get(at, expiresAt, id) as [number, number];
  context.sql("UPDATE contents SET refs = refs + 1 WHERE id = ?").run(contentId);
  return queueId;
}

/** Removes a recipient, and its message with the last one. */
function take(context: OperationContext, recipientId: number): void {
  const row = context.rows("DELETE FROM quarantine_recipients WHERE id = ? RETURNING quarantine_id").get(
    recipientId,
  );
  if (row === undefined) return;
  const id = row[0] as number;
  const more = context.rows("SELECT 1 FROM quarantine_recipients WHERE quarantine_id = ? LIMIT 1").get(id);
  if (more !== undefined) return;
  const message = context.rows("DELETE FROM quarantine_messages WHERE id = ? RETURNING content_id").get(id);
  if (message !== undefined) {
    context.sql("UPDATE contents SET refs = refs - 1 WHERE id = ?").run(message[0] as number);
  }
}
