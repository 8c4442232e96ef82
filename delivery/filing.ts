/**
 * Where one message goes, collected recipient by recipient, and the one `deliver` operation that puts it there.
 *
 * Each mailbox and each remote address gets one copy, however many recipients lead to it. Octets are synced first, then
 * mailbox rows and queue rows commit together (DESIGN section 1.1).
 */
import { encode, latin1 } from "../bytes/decode.ts";
import type { MessageFacts } from "../message/facts.ts";
import type { QueueEntry, QueueRecipient, WriteOp, WriteResult } from "../storage/ops.ts";
import type { Spool, Store } from "../storage/store.ts";
import type { MailboxTarget, RecipientTarget } from "./recipients.ts";
import { copyPrefix } from "./trace.ts";

/** Mailboxes and remote addresses of one message. */
export const MAX_TARGETS = 10_000;
/** Delivered-To lines of one captured copy. */
const MAX_CAPTURED_LINES = 100;
// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;
const NO_EXTENSIONS = { notify: "", originalRecipient: "" } as const;

export interface FilingFacts {
  readonly traceId: string;
  /** "" is the null path. */
  readonly sender: string;
  readonly accountId: number | null;
  readonly eightBit: boolean;
  readonly smtputf8: boolean;
  readonly at: number;
  /** Of queue rows. */
  readonly expiresAt: number;
}

interface Copy {
  readonly target: MailboxTarget;
  readonly deliveredTo: string[];
}

export class Filing {
  #copies = new Map<number, Copy>();
  #remote = new Map<string, QueueRecipient>();

  get mailboxes(): number {
    return this.#copies.size;
  }

  get remote(): number {
    return this.#remote.size;
  }

  /** False when there are too many: nothing was added then. */
  add(targets: readonly RecipientTarget[]): boolean {
    if (this.#copies.size + this.#remote.size + targets.length > MAX_TARGETS) return false;
    for (const target of targets) {
      if (target.kind === "remote") {
        const { address, destination } = target;
        this.#remote.set(address, { recipient: address, destination, ...NO_EXTENSIONS });
        continue;
      }
      const copy = this.#copies.get(target.mailboxId);
      if (copy === undefined) {
        this.#copies.set(target.mailboxId, { target, deliveredTo: [target.deliveredTo] });
      } else if (target.captured && copy.deliveredTo.length < MAX_CAPTURED_LINES) {
        if (!copy.deliveredTo.includes(target.deliveredTo)) copy.deliveredTo.push(target.deliveredTo);
      }
    }
    return true;
  }

  /** True when a Delivered-To of ours for one of these copies stands in the message already (RFC 5321 6.3). */
  loops(deliveredTo: readonly string[]): boolean {
    if (deliveredTo.length === 0) return false;
    for (const { target } of this.#copies.values()) {
      // In the spelling of MessageFacts: one character for each octet, in lower case.
      if (deliveredTo.includes(latin1(encode(target.deliveredTo)).toLowerCase())) return true;
    }
    return false;
  }

  /** Makes the message durable. Rejects with StorageError; a refusal of the writer is the result. */
  async store(
    { store, spool }: { readonly store: Store; readonly spool: Spool },
    message: MessageFacts,
    facts: FilingFacts,
  ): Promise<WriteResult> {
    return await store.write(await this.operation(spool, message, facts));
  }

  /** Syncs the octets; the operation that files them may become part of a batch. Rejects with StorageError. */
  async operation(spool: Spool, message: MessageFacts, facts: FilingFacts): Promise<WriteOp> {
    const { traceId, sender, at } = facts;
    const copies = [...this.#copies.values()];
    const blob = await spool.store({
      accounts: copies.map(({ target }) => target.account),
      mailbox: copies.length > 0 ? "INBOX" : "",
      internalDate: at,
      traceId,
      sender,
      recipients: [...copies.map(({ target }) => target.deliveredTo), ...this.#remote.keys()],
    });
    return {
      kind: "deliver",
      content: {
        blob,
        headerOctets: message.headerOctets,
        imap: message.imap,
        preview: message.preview,
        subject: message.subject,
        from: message.from,
        messageId: message.messageId,
        references: message.references.join(" "),
        sentAt: message.sentAtMs,
        traceId,
      },
      targets: copies.map(({ target, deliveredTo }) => ({
        mailboxId: target.mailboxId,
        flags: 0,
        keywords: "",
        internalDate: at,
        prefix: copyPrefix(sender, deliveredTo),
      })),
      queue: this.#remote.size === 0 ? null : this.#queueEntry(facts),
    };
  }

  #queueEntry({ sender, accountId, eightBit, smtputf8, at, expiresAt }: FilingFacts): QueueEntry {
    return {
      sender,
      accountId,
      envelopeId: "",
      ret: "",
      eightBit,
      // An alias may lead from an ASCII address to one that is not.
      smtputf8: smtputf8 || [...this.#remote.keys()].some((address) => NOT_ASCII.test(address)),
      createdAt: at,
      expiresAt,
      recipients: [...this.#remote.values()],
    };
  }
}
