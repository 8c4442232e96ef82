/**
 * Files one message in mailboxes and queues it, in one go. The hot path: a row of its content and one for each mailbox; counters
 * are written once for each group (mailbox_counters.ts, usage.ts). RETURNING is left to where it is needed: it builds a table
 * of its own at each run (bench/writer.ts).
 */
import { sql } from "drizzle-orm";
import type { AppendedUid, NewContent, QueueEntry, WriteOp, WriteResult } from "../ops.ts";
import { contents, messages, queueMessages, queueRecipients } from "../schema.ts";
import { compiled, statements } from "./compiled.ts";
import { type OperationContext, refuse } from "./context.ts";
import { MailboxCounters } from "./mailbox_counters.ts";
import { quarantine } from "./quarantine.ts";
import { changeSeen } from "./seen.ts";
import { wishForAll, wishOf } from "./spam.ts";
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
      }),
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
  readonly counters: MailboxCounters;
  #context: OperationContext;
  #statements: ReturnType<typeof prepare>;

  constructor(context: OperationContext) {
    this.counters = new MailboxCounters(context);
    this.#context = context;
    this.#statements = prepare(context);
  }

  run(op: Extract<WriteOp, { kind: "deliver" }>): WriteResult {
    const { content, targets, queue, forwards = NO_FORWARDS } = op;
    const refs = targets.length + (queue === null ? 0 : 1) + forwards.length;
    const trapped = op.trapped === true;
    if (refs === 0 && !trapped) return refuse("not-permitted", "a message needs a mailbox or a queue");
    const contentId = this.#content(content, refs);
    const savedAt = this.#context.clock();
    const uids: AppendedUid[] = [];
    for (const target of targets) {
      const { mailboxId, flags, keywords, internalDate, prefix } = target;
      const size = content.blob.length + target.prefix.length;
      const mailbox = this.counters.of(mailboxId);
      if (mailbox === null) return refuse("no-such-mailbox", `mailbox ${mailboxId}`);
      const { accountId, domain, uidValidity, uidNext: uid } = mailbox;
      const modSeq = mailbox.highestModSeq + 1;
      const row = { mailboxId, uid, modSeq, flags, keywords, internalDate, savedAt, size, contentId, prefix };
      this.#statements.message.run(row);
      this.counters.add(mailbox, { flags, sizeOctets: size });
      uids.push({ mailboxId, uidValidity, uid, modSeq });
      if (op.teaches !== undefined) {
        wishOf(this.#context, { accountId, contentId, prefix, kind: op.teaches });
      }
      if (op.enforceQuota) {
        const over = overQuota(this.#context, { accountId, octets: size, messages: 1 });
        if (over !== null) return over;
      }
      this.#context.usage.push({ accountId, domain, octets: size, messages: 1 });
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
    if (trapped) wishForAll(this.#context, contentId);
    return { ok: true, kind: "delivered", uids, queueId };
  }

  #content(content: NewContent, refs: number): number {
    const { segment, offset, length } = content.blob;
    const { headerOctets, sentAt, imap, preview, subject, from, messageId, references, traceId } = content;
    return this.#statements.content.run({
      ...{ refs, segment, offset, length, headerOctets, sentAt, imap, preview, subject, from, messageId },
      ...{ references, traceId },
    });
  }

  /** The id of its row in the queue; null where it went into the quarantine. */
  #enqueue(queue: QueueEntry, contentId: number): number | null {
    if (queue.quarantine !== undefined) {
      quarantine(this.#context, { ...queue, quarantine: queue.quarantine }, contentId);
      return null;
    }
    const { sender, accountId, envelopeId, ret, createdAt, expiresAt, tls = "", priority = 0 } = queue;
    const [eightBit, smtputf8] = [queue.eightBit ? 1 : 0, queue.smtputf8 ? 1 : 0];
    const queueId = this.#statements.queued.run({
      ...{ contentId, sender, accountId, envelopeId, ret, eightBit, smtputf8, createdAt, expiresAt, tls },
      priority,
    });
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
