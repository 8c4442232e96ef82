/**
 * APPEND (RFC 3501 6.3.11, APPENDUID: RFC 4315 3): asks the store before the upload, streams the message into a spool
 * while its facts are gathered, and answers when octets and row are durable.
 */
import { overQuota } from "../../delivery/quota.ts";
import { FactsBuilder } from "../../message/facts.ts";
import type { AppendStart } from "../../protocols/imap/command.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { type Mailbox, type Spool, StorageError } from "../../storage/store.ts";
import { accountOf, type ImapContext, no, ok } from "./context.ts";
import { refusal } from "./fault.ts";

const NO_PREFIX = new Uint8Array(0);

/** An upload that may begin, or the reply that refuses it. */
export function beginAppend(context: ImapContext, start: AppendStart): Appending | Reply {
  const { store } = context;
  const mailbox = store.mailboxes.byName(accountOf(context).id, start.mailbox);
  if (mailbox === null || !mailbox.selectable) return no("No such mailbox", "TRYCREATE");
  if (start.sizeOctets === 0) return no("The message is empty");
  if (store.diskFull()) return no("The server has no space left just now", "UNAVAILABLE");
  // As it is now: the session's account is as it was at login.
  const account = store.directory.account(accountOf(context).address);
  if (account !== null && overQuota(store.directory, account, start.sizeOctets) !== null) {
    return no("The mailbox is full", "OVERQUOTA");
  }
  return new Appending(context, mailbox, start);
}

export class Appending {
  readonly sizeOctets: number;
  #context: ImapContext;
  #mailbox: Mailbox;
  #start: AppendStart;
  #spool: Spool;
  #facts = new FactsBuilder();
  /** Disk trouble during the upload: the rest is read and forgotten. */
  #failure: StorageError | null = null;

  constructor(context: ImapContext, mailbox: Mailbox, start: AppendStart) {
    this.sizeOctets = start.sizeOctets;
    this.#context = context;
    this.#mailbox = mailbox;
    this.#start = start;
    this.#spool = context.store.spool();
  }

  /** Takes the span `[start, end)`; awaiting the result is backpressure. */
  async write(bytes: Uint8Array, start: number, end: number): Promise<void> {
    if (this.#failure !== null) return;
    try {
      const pending = this.#spool.write(bytes, start, end);
      this.#facts.push(bytes, start, end);
      if (pending !== undefined) await pending;
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#failure = error;
      this.discard();
    }
  }

  /** All octets are here: makes them durable and files the message. */
  async finish(): Promise<Reply> {
    if (this.#failure !== null) throw this.#failure;
    const { store } = this.#context;
    const account = accountOf(this.#context);
    const internalDate = this.#start.internalDate ?? this.#context.now();
    const traceId = this.#context.newTraceId();
    const facts = this.#facts.finish();
    try {
      const blob = await this.#spool.store({
        accounts: [account.address],
        mailbox: this.#mailbox.name,
        internalDate,
        traceId,
        sender: "",
        recipients: [],
      });
      const { flags, keywords } = this.#start.flags;
      const result = await store.write({
        kind: "deliver",
        content: {
          blob,
          headerOctets: facts.headerOctets,
          imap: facts.imap,
          preview: facts.preview,
          subject: facts.subject,
          from: facts.from,
          messageId: facts.messageId,
          references: facts.references.join(" "),
          sentAt: facts.sentAtMs,
          traceId,
        },
        targets: [{
          mailboxId: this.#mailbox.id,
          flags,
          keywords: [...keywords].sort().join(" "),
          internalDate,
          prefix: NO_PREFIX,
        }],
        queue: null,
        enforceQuota: true,
      });
      if (!result.ok) {
        this.discard();
        return refusal(result, { target: true });
      }
      const [appended] = result.kind === "delivered" ? result.uids : [];
      if (appended === undefined) throw new Error("a delivery without a UID");
      return ok("Append completed", `APPENDUID ${appended.uidValidity} ${appended.uid}`);
    } catch (error) {
      this.discard();
      throw error;
    }
  }

  /** Forgets the octets. */
  discard(): void {
    this.#spool.discard();
  }
}
