/**
 * Files one message in mailboxes and queues it, in one go. The hot path: five statements, nothing read in between
 * (bench/micro/storage_bench.ts).
 */
import { sql } from "drizzle-orm";
import { FLAG_DELETED, FLAG_SEEN } from "../changes.ts";
import type { AppendedUid, NewContent, QueueEntry, WriteOp, WriteResult } from "../ops.ts";
import { contents, mailboxes, messages, queueMessages, queueRecipients } from "../schema.ts";
import { compiled, statements } from "./compiled.ts";
import { type OperationContext, refuse } from "./context.ts";
import { quarantine } from "./quarantine.ts";
import { changeSeen } from "./seen.ts";
import { wishOf } from "./spam.ts";
import { overQuota } from "./usage.ts";

const NO_FORWARDS: readonly QueueEntry[] = [];

const p = sql.placeholder;

function prepare(context: OperationContext) {
  return {
    content: compiled(
      context,
      statements.insert(contents).values({
        refs: p("refs"),
        segment: p("segment"),
        offset: p("offset"),
        length: p("length"),
        headerOctets: p("headerOctets"),
        sentAt: p("sentAt"),
        imap: p("imap"),
        preview: p("preview"),
        subject: p("subject"),
        sender: p("from"),
        messageId: p("messageId"),
        references: p("references"),
        traceId: p("traceId"),
      }).returning({ id: contents.id }),
    ),
    mailbox: compiled(
      context,
      statements.update(mailboxes).set({
        uidNext: sql`${mailboxes.uidNext} + 1`,
        highestModSeq: sql`${mailboxes.highestModSeq} + 1`,
        messages: sql`${mailboxes.messages} + 1`,
        unseen: sql`${mailboxes.unseen} + ${p("unseen")}`,
        deleted: sql`${mailboxes.deleted} + ${p("deleted")}`,
        sizeOctets: sql`${mailboxes.sizeOctets} + ${p("size")}`,
      }).where(sql`${mailboxes.id} = ${p("id")} AND ${mailboxes.selectable} = 1`).returning({
        uidNext: mailboxes.uidNext,
        modSeq: mailboxes.highestModSeq,
        uidValidity: mailboxes.uidValidity,
        accountId: mailboxes.accountId,
      }),
    ),
    message: compiled(
      context,
      statements.insert(messages).values({
        mailboxId: p("mailboxId"),
        uid: p("uid"),
        modSeq: p("modSeq"),
        flags: p("flags"),
        keywords: p("keywords"),
        internalDate: p("internalDate"),
        savedAt: p("savedAt"),
        sizeOctets: p("size"),
        contentId: p("contentId"),
        prefix: p("prefix"),
      }),
    ),
    queued: compiled(
      context,
      statements.insert(queueMessages).values({
        contentId: p("contentId"),
        sender: p("sender"),
        accountId: p("accountId"),
        envelopeId: p("envelopeId"),
        ret: p("ret"),
        eightBit: p("eightBit"),
        smtputf8: p("smtputf8"),
        createdAt: p("createdAt"),
        expiresAt: p("expiresAt"),
        tls: p("tls"),
        priority: p("priority"),
      }).returning({ id: queueMessages.id }),
    ),
    recipient: compiled(
      context,
      statements.insert(queueRecipients).values({
        queueId: p("queueId"),
        recipient: p("recipient"),
        destination: p("destination"),
        notify: p("notify"),
        originalRecipient: p("originalRecipient"),
        held: p("held"),
        attempts: 0,
        nextAttemptAt: p("nextAttemptAt"),
        delayNotified: 0,
        lastReply: p("lastReply"),
        lastRemote: "",
      }),
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
      const found = this.#statements.mailbox.get({
        id: mailboxId,
        unseen: flags & FLAG_SEEN ? 0 : 1,
        deleted: flags & FLAG_DELETED ? 1 : 0,
        size,
      });
      if (found === undefined) return refuse("no-such-mailbox", `mailbox ${mailboxId}`);
      const [uidNext, modSeq, uidValidity, accountId] = found as [number, number, number, number];
      const uid = uidNext - 1;
      const row = { mailboxId, uid, modSeq, flags, keywords, internalDate, savedAt, size, contentId, prefix };
      this.#statements.message.run(row);
      uids.push({ mailboxId, uidValidity, uid, modSeq });
      if (op.teaches !== undefined) {
        wishOf(this.#context, { accountId, contentId, prefix, kind: op.teaches });
      }
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
      if (target.seenBy !== undefined) {
        const reader = { mailboxId, readerId: target.seenBy, accountId };
        changeSeen(this.#context, reader, { modSeq, added: [uid], removed: [] });
      }
    }
    const queueId = queue === null ? null : this.#enqueue(queue, contentId);
    for (const forward of forwards) this.#enqueue(forward, contentId);
    return { ok: true, kind: "delivered", uids, queueId };
  }

  #content(content: NewContent, refs: number): number {
    const { segment, offset, length } = content.blob;
    const { headerOctets, sentAt, imap, preview, subject, from, messageId, references, traceId } = content;
    const [id] = this.#statements.content.get({
      ...{ refs, segment, offset, length, headerOctets, sentAt, imap, preview, subject, from, messageId },
      ...{ references, traceId },
    })!;
    return id as number;
  }

  /** The id of its row in the queue; null where it went into the quarantine. */
  #enqueue(queue: QueueEntry, contentId: number): number | null {
    if (queue.quarantine !== undefined) {
      quarantine(this.#context, { ...queue, quarantine: queue.quarantine }, contentId);
      return null;
    }
    const { sender, accountId, envelopeId, ret, createdAt, expiresAt, tls = "", priority = 0 } = queue;
    const [eightBit, smtputf8] = [queue.eightBit ? 1 : 0, queue.smtputf8 ? 1 : 0];
    const [id] = this.#statements.queued.get({
      ...{ contentId, sender, accountId, envelopeId, ret, eightBit, smtputf8, createdAt, expiresAt, tls },
      priority,
    })!;
    const queueId = id as number;
    const nextAttemptAt = queue.notBefore ?? queue.createdAt;
    for (const { recipient, destination, notify, originalRecipient } of queue.recipients) {
      this.#statements.recipient.run({
        ...{
          queueId,
          recipient,
          destination,
          notify,
          originalRecipient,
          held: 0,
          nextAttemptAt,
          lastReply: "",
        },
      });
    }
    this.#context.changes.push({ kind: "queue" });
    return queueId;
  }
}
