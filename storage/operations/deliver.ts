/**
 * Files one message in mailboxes and queues it, in one go. The hot path: five statements, nothing read in between
 * (bench/micro/storage_bench.ts).
 */
import { FLAG_DELETED, FLAG_SEEN } from "../changes.ts";
import type { AppendedUid, NewContent, QueueEntry, WriteOp, WriteResult } from "../ops.ts";
import { type OperationContext, refuse } from "./context.ts";
import { overQuota } from "./usage.ts";

const NO_FORWARDS: readonly QueueEntry[] = [];

/** Below Drizzle, which would cost more than the statements themselves. */
function prepare(context: OperationContext) {
  return {
    content: context.rows(
      "INSERT INTO contents (refs, segment, offset, length, header_octets, sent_at, imap, preview, subject, sender, " +
        "message_id, reference_ids, trace_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    ),
    mailbox: context.rows(
      "UPDATE mailboxes SET uid_next = uid_next + 1, highest_modseq = highest_modseq + 1, messages = messages + 1, " +
        "unseen = unseen + ?, deleted = deleted + ?, size_octets = size_octets + ? WHERE id = ? AND selectable = 1 " +
        "RETURNING uid_next, highest_modseq, uid_validity, account_id",
    ),
    message: context.sql(
      "INSERT INTO messages (mailbox_id, uid, modseq, flags, keywords, internal_date, saved_at, size_octets, " +
        "content_id, prefix) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ),
    queued: context.rows(
      "INSERT INTO queue_messages (content_id, sender, account_id, envelope_id, ret, eight_bit, smtputf8, created_at, " +
        "expires_at, tls) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
    ),
    recipient: context.sql(
      "INSERT INTO queue_recipients (queue_id, recipient, destination, notify, original_recipient, held, attempts, " +
        "next_attempt_at, delay_notified, last_reply, last_remote) VALUES (?, ?, ?, ?, ?, ?, 0, ?, 0, ?, '')",
    ),
  };
}

export class DeliverOperation {
  #context: OperationContext;
  #statements: ReturnType<typeof prepare>;

  constructor(context: OperationContext) {
    this.#context = context;
    this.#statements = prepare(context);
  }

  run(op: Extract<WriteOp, { kind: "deliver" }>): WriteResult {
    const { content, targets, queue, forwards = NO_FORWARDS } = op;
    const refs = targets.length + (queue === null ? 0 : 1) + forwards.length;
    if (refs === 0) return refuse("not-permitted", "a message needs a mailbox or a queue");
    const contentId = this.#content(content, refs);
    const savedAt = this.#context.clock();
    const uids: AppendedUid[] = [];
    for (const target of targets) {
      const { mailboxId, flags, keywords, internalDate, prefix } = target;
      const size = content.blob.length + target.prefix.length;
      const row = this.#statements.mailbox.get(
        flags & FLAG_SEEN ? 0 : 1,
        flags & FLAG_DELETED ? 1 : 0,
        size,
        mailboxId,
      );
      if (row === undefined) return refuse("no-such-mailbox", `mailbox ${mailboxId}`);
      const [uidNext, modSeq, uidValidity, accountId] = row as [number, number, number, number];
      const uid = uidNext - 1;
      this.#statements.message.run(
        ...[mailboxId, uid, modSeq, flags, keywords, internalDate, savedAt, size, contentId, prefix],
      );
      uids.push({ mailboxId, uidValidity, uid, modSeq });
      if (op.enforceQuota) {
        const over = overQuota(this.#context, { accountId, octets: size, messages: 1 });
        if (over !== null) return over;
      }
      this.#context.usage.push({ accountId, octets: size, messages: 1 });
      this.#context.changes.push({
        kind: "added",
        accountId,
        mailboxId,
        modSeq,
        messages: [{ uid, flags, keywords }],
      });
    }
    const queueId = queue === null ? null : this.#enqueue(queue, contentId);
    for (const forward of forwards) this.#enqueue(forward, contentId);
    return { ok: true, kind: "delivered", uids, queueId };
  }

  #content(content: NewContent, refs: number): number {
    const { segment, offset, length } = content.blob;
    const [id] = this.#statements.content.get(
      ...[refs, segment, offset, length, content.headerOctets, content.sentAt, content.imap, content.preview],
      ...[content.subject, content.from, content.messageId, content.references, content.traceId],
    )!;
    return id as number;
  }

  #enqueue(queue: QueueEntry, contentId: number): number {
    const [id] = this.#statements.queued.get(
      ...[contentId, queue.sender, queue.accountId, queue.envelopeId, queue.ret, queue.eightBit ? 1 : 0],
      ...[queue.smtputf8 ? 1 : 0, queue.createdAt, queue.expiresAt, queue.tls ?? ""],
    )!;
    const queueId = id as number;
    const nextAttemptAt = queue.notBefore ?? queue.createdAt;
    const held = queue.heldFor === undefined ? 0 : 1;
    const lastReply = queue.heldFor ?? "";
    for (const { recipient, destination, notify, originalRecipient } of queue.recipients) {
      this.#statements.recipient.run(
        ...[queueId, recipient, destination, notify, originalRecipient, held, nextAttemptAt, lastReply],
      );
    }
    this.#context.changes.push({ kind: "queue" });
    return queueId;
  }
}
