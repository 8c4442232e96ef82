/**
 * The counters of mailboxes that deliveries move, in memory while one delivery follows another: one statement for each
 * mailbox and group, and not for each message.
 *
 * They are ahead of the rows until {@linkcode MailboxCounters.settle}, which comes before the commit. Every other operation
 * may read and move the same rows: before it they are written and forgotten ({@linkcode MailboxCounters.release}). After a
 * rollback they are forgotten as they are.
 */
import { FLAG_DELETED, FLAG_SEEN } from "../changes.ts";
import type { RawStatement, Statement } from "../libsql.ts";
import type { OperationContext } from "./context.ts";

/** Mailboxes that are known at one time. */
const MAX_KNOWN = 10_000;

export interface CountedMailbox {
  readonly id: number;
  readonly accountId: number;
  /** Of the account; null when there is no such account. */
  readonly domain: string | null;
  readonly uidValidity: number;
  uidNext: number;
  highestModSeq: number;
  /** What the row does not have yet. */
  messages: number;
  unseen: number;
  deleted: number;
  sizeOctets: number;
}

export class MailboxCounters {
  #select: RawStatement;
  #update: Statement;
  #known: Map<number, CountedMailbox>;
  /** Those that are ahead of their rows. */
  #ahead: CountedMailbox[];

  constructor(context: OperationContext) {
    this.#select = context.rows(
      "SELECT m.account_id, a.domain, m.uid_validity, m.uid_next, m.highest_modseq FROM mailboxes AS m " +
        "LEFT JOIN accounts AS a ON a.id = m.account_id WHERE m.id = ? AND m.selectable = 1",
    );
    this.#update = context.sql(
      "UPDATE mailboxes SET uid_next = ?, highest_modseq = ?, messages = messages + ?, unseen = unseen + ?, " +
        "deleted = deleted + ?, size_octets = size_octets + ? WHERE id = ?",
    );
    this.#known = new Map();
    this.#ahead = [];
  }

  /** Null when there is no such mailbox, or none that holds messages. */
  of(id: number): CountedMailbox | null {
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    const row = this.#select.get(id);
    if (row === undefined) return null;
    const [accountId, domain, uidValidity, uidNext, highestModSeq] = row as [
      number,
      string | null,
      number,
      number,
      number,
    ];
    const mailbox = {
      ...{ id, accountId, domain, uidValidity, uidNext, highestModSeq },
      ...{ messages: 0, unseen: 0, deleted: 0, sizeOctets: 0 },
    };
    if (this.#known.size >= MAX_KNOWN) this.release();
    this.#known.set(id, mailbox);
    return mailbox;
  }

  /** Counts a message that was filed there with the next UID and MODSEQ. */
  add(mailbox: CountedMailbox, { flags, sizeOctets }: { flags: number; sizeOctets: number }): void {
    if (mailbox.messages === 0) this.#ahead.push(mailbox);
    mailbox.uidNext++;
    mailbox.highestModSeq++;
    mailbox.messages++;
    if (!(flags & FLAG_SEEN)) mailbox.unseen++;
    if (flags & FLAG_DELETED) mailbox.deleted++;
    mailbox.sizeOctets += sizeOctets;
  }

  /** Writes them. */
  settle(): void {
    for (const mailbox of this.#ahead) {
      const { id, uidNext, highestModSeq, messages, unseen, deleted, sizeOctets } = mailbox;
      this.#update.run(uidNext, highestModSeq, messages, unseen, deleted, sizeOctets, id);
      mailbox.messages =
        mailbox.unseen =
        mailbox.deleted =
        mailbox.sizeOctets =
          0;
    }
    this.#ahead.length = 0;
  }

  /** Writes and forgets them: somebody else may move the rows. */
  release(): void {
    if (this.#known.size === 0) return;
    this.settle();
    this.#known.clear();
  }

  /** The transaction they belong to is not there any more. */
  forget(): void {
    this.#ahead.length = 0;
    this.#known.clear();
  }
}
