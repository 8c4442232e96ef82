/**
 * Where one message goes, collected recipient by recipient, and the one `deliver` operation that puts it there.
 *
 * Each mailbox and each remote address gets one copy, however many recipients lead to it. Octets are synced first, then
 * mailbox rows and queue rows commit together (DESIGN section 1.1).
 */
import { encode, latin1 } from "../bytes/decode.ts";
import type { MessageFacts } from "../message/facts.ts";
import { NO_RCPT_PARAMETERS, type RcptParameters } from "../protocols/smtp/parameters.ts";
import type {
  BlobAddress,
  QueueEntry,
  QueueRecipient,
  QueueTls,
  WriteOp,
  WriteResult,
} from "../storage/ops.ts";
import { newContent } from "../storage/new_content.ts";
import type { Spool, Store } from "../storage/store.ts";
import type { MailboxTarget, RecipientTarget } from "./recipients.ts";
import { copyPrefix } from "./trace.ts";

/** Mailboxes and remote addresses of one message. */
export const MAX_TARGETS = 10_000;
/** An account with so many mailboxes gets no more of them by mail: anybody can write to any detail. */
const MAX_MADE_FOLDERS = 200;
/** Delivered-To lines of one captured copy. */
const MAX_CAPTURED_LINES = 100;
// deno-lint-ignore no-control-regex
const NOT_ASCII = /[^\x00-\x7f]/;
/** RFC 6154 2. */
const JUNK = "\\Junk";
const NO_FORWARDS: ReadonlyMap<string, ReadonlyMap<string, QueueRecipient>> = new Map();

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
  /** The reverse-path of what `domain` forwards (srs.ts). */
  readonly senderFor: (domain: string) => string;
  /** RFC 3461; left out: "". */
  readonly envelopeId?: string;
  readonly ret?: "" | "FULL" | "HDRS";
  /** RFC 8689; left out: "". */
  readonly tls?: QueueTls;
  /** RFC 6710; left out: 0. */
  readonly priority?: number;
  /** RFC 4865: first attempt; left out: at once. */
  readonly notBefore?: number;
  /** Everything goes into the quarantine; left out: it does not. */
  readonly quarantine?: NonNullable<QueueEntry["quarantine"]>;
  /** It came to an address that nobody writes to; left out: it did not. */
  readonly trapped?: boolean;
  /** Header lines for the front of each copy in a mailbox; left out: none. */
  readonly front?: string;
  /** What is filed in the same transaction, made when the octets are durable; left out or null: nothing. */
  readonly beside?: (blob: BlobAddress) => Promise<WriteOp | null>;
}

/** Destination of queue rows that are filed in mailboxes here when their time has come. */
export const LOCAL_DESTINATION = "local:held";

/** One copy in a mailbox. */
export interface Copy {
  readonly target: MailboxTarget;
  readonly deliveredTo: readonly string[];
  /** As in storage/changes.ts; left out: none. */
  readonly flags?: number;
  /** Sorted, separated by spaces; left out: none. */
  readonly keywords?: string;
  /** Header lines of this copy alone; left out: none. */
  readonly front?: string;
}

type DeliverOp = Extract<WriteOp, { kind: "deliver" }>;

export class Filing {
  /** By mailbox; those that wait for a folder to be made, by its name too. */
  #copies = new Map<number | string, Copy>();
  /** Some copy waits for a folder, or has. */
  #newFolders = false;
  /** By address, or by destination where that is an agent. */
  #remote = new Map<string, QueueRecipient>();
  /** What leaves by an alias, by the domain that forwards it. Made when it is needed. */
  #forwarded: Map<string, Map<string, QueueRecipient>> | null = null;
  /** Addresses whose mail an agent gets. */
  #agents: string[] | null = null;

  /** Mailboxes get their copies from the queue (RFC 4865). */
  readonly #held: boolean;

  constructor({ held = false }: { readonly held?: boolean } = {}) {
    this.#held = held;
  }

  get mailboxes(): number {
    return this.#copies.size;
  }

  /** Recipients for the queue. */
  get remote(): number {
    let count = this.#remote.size;
    for (const addresses of (this.#forwarded ?? NO_FORWARDS).values()) count += addresses.size;
    return count;
  }

  get forwards(): boolean {
    return this.#forwarded !== null;
  }

  /** Copies as they are now. */
  copies(): Copy[] {
    return [...this.#copies.values()];
  }

  /** Takes a copy out again: scripts of its owner say where it goes. */
  take(copy: Copy): void {
    for (const [key, known] of this.#copies) if (known === copy) this.#copies.delete(key);
  }

  /** Adds a copy; one that is in the mailbox already gets its flags too. */
  put(copy: Copy): void {
    const { mailboxId } = copy.target;
    const known = this.#copies.get(mailboxId);
    this.#copies.set(mailboxId, {
      ...copy,
      deliveredTo: known?.deliveredTo ?? copy.deliveredTo,
      flags: (known?.flags ?? 0) | (copy.flags ?? 0),
      keywords: joinKeywords(known?.keywords ?? "", copy.keywords ?? ""),
    });
  }

  /** The mailboxes that get a copy. */
  *targets(): Iterable<MailboxTarget> {
    for (const { target } of this.#copies.values()) yield target;
  }

  /** Mailboxes get their copies from the queue after all. */
  hold(): void {
    for (const { deliveredTo } of this.#copies.values()) {
      for (const address of deliveredTo) this.#queueLocal(address, NO_RCPT_PARAMETERS);
    }
    this.#copies.clear();
  }

  /** Gives each copy header lines of its own, by the account it is for. */
  front(linesFor: (accountId: number) => string): void {
    for (const [key, copy] of this.#copies) {
      this.#copies.set(key, { ...copy, front: linesFor(copy.target.owner.id) });
    }
  }

  /** Of all accounts, or of some: copies for INBOX and its sub-folders go to Junk; an account that has none is given one. */
  async toJunk(store: Store, only: ReadonlySet<number> | null = null): Promise<void> {
    for (const [key, copy] of [...this.#copies]) {
      if (only?.has(copy.target.owner.id) === false) continue;
      const mailboxId = await junkOf(store, copy.target.owner.id);
      if (mailboxId === null || mailboxId === key) continue;
      this.#copies.delete(key);
      this.#copies.set(mailboxId, { ...copy, target: { ...copy.target, mailboxId, newFolder: "" } });
    }
  }

  /** Domains of ours that send this on: by an alias that leads out, or as a group. */
  forwardingDomains(): string[] {
    const domainOf = (address: string) => address.slice(address.lastIndexOf("@") + 1).toLowerCase();
    return [...new Set([...(this.#forwarded?.keys() ?? []), ...(this.#agents ?? []).map(domainOf)])];
  }

  /** Every address that gets a copy, as rows of the queue and Delivered-To name it. */
  addresses(): string[] {
    const local: string[] = [];
    for (const { deliveredTo } of this.#copies.values()) local.push(...deliveredTo);
    if (this.remote === 0) return local;
    return [
      ...local,
      ...[this.#remote, ...(this.#forwarded ?? NO_FORWARDS).values()].flatMap((queued) =>
        [...queued.values()].map(({ recipient }) => recipient)
      ),
    ];
  }

  /** False when there are too many: nothing was added then. */
  add(targets: readonly RecipientTarget[], request: RcptParameters = NO_RCPT_PARAMETERS): boolean {
    if (this.#copies.size + this.remote + targets.length > MAX_TARGETS) return false;
    for (const target of targets) {
      if (target.kind !== "mailbox") {
        this.#queue(target, request);
        continue;
      }
      if (this.#held) {
        this.#queueLocal(target.deliveredTo, request);
        continue;
      }
      const inFolder = target.newFolder !== "";
      if (inFolder) this.#newFolders = true;
      const key = inFolder ? `${target.mailboxId}/${target.newFolder}` : target.mailboxId;
      const copy = this.#copies.get(key);
      if (copy === undefined) {
        this.#copies.set(key, { target, deliveredTo: [target.deliveredTo] });
      } else if (target.captured && copy.deliveredTo.length < MAX_CAPTURED_LINES) {
        const { deliveredTo } = target;
        if (!copy.deliveredTo.includes(deliveredTo)) {
          this.#copies.set(key, { ...copy, deliveredTo: [...copy.deliveredTo, deliveredTo] });
        }
      }
    }
    return true;
  }

  /** Nobody is told of success any more (RFC 3461 4.1: a list without the word; NEVER where none is left). */
  withoutSuccess(): void {
    for (const queued of [this.#remote, ...(this.#forwarded?.values() ?? [])]) {
      for (const [key, recipient] of queued) {
        const words = recipient.notify.split(",");
        if (!words.includes("SUCCESS")) continue;
        const left = words.filter((word) => word !== "SUCCESS").join(",");
        queued.set(key, { ...recipient, notify: left === "" ? "NEVER" : left });
      }
    }
  }

  #queueLocal(recipient: string, { notify, originalRecipient }: RcptParameters): void {
    const destination = LOCAL_DESTINATION;
    this.#remote.set(`${destination} ${recipient}`, { recipient, destination, notify, originalRecipient });
  }

  #queue(
    target: Exclude<RecipientTarget, MailboxTarget>,
    { notify, originalRecipient }: RcptParameters,
  ): void {
    const { address, destination } = target;
    const recipient = { recipient: address, destination, notify, originalRecipient };
    if (target.kind === "agent") {
      this.#remote.set(destination, recipient);
      (this.#agents ??= []).push(address);
    } else if (target.forwardedBy === "") this.#remote.set(address, recipient);
    else {
      this.#forwarded ??= new Map();
      const known = this.#forwarded.get(target.forwardedBy);
      if (known === undefined) this.#forwarded.set(target.forwardedBy, new Map([[address, recipient]]));
      else known.set(address, recipient);
    }
  }

  /** True when a Delivered-To of ours for one of these copies stands in the message already (RFC 5321 6.3). */
  loops(deliveredTo: readonly string[]): boolean {
    if (deliveredTo.length === 0) return false;
    // In the spelling of MessageFacts: one character for each octet, in lower case.
    const stands = (address: string) => deliveredTo.includes(latin1(encode(address)).toLowerCase());
    for (const { target } of this.#copies.values()) if (stands(target.deliveredTo)) return true;
    return this.#agents?.some(stands) ?? false;
  }

  /** Makes the message durable. Rejects with StorageError; a refusal of the writer is the result. */
  async store(
    { store, spool }: { readonly store: Store; readonly spool: Spool },
    message: MessageFacts,
    facts: FilingFacts,
  ): Promise<WriteResult> {
    if (this.#newFolders) await this.makeFolders(store);
    const operation = await this.operation(spool, message, facts);
    const beside = facts.beside === undefined ? null : await facts.beside(operation.content.blob);
    if (beside === null) return await store.write(operation);
    const result = await store.write({ kind: "batch", ops: [operation, beside] });
    return result.ok && result.kind === "batch" ? result.results[0]! : result;
  }

  /** Makes the folders of sub-addresses that are missing; where that fails INBOX gets the message. */
  async makeFolders(store: Store): Promise<void> {
    for (const [key, copy] of [...this.#copies]) {
      const { newFolder, owner } = copy.target;
      if (newFolder === "") continue;
      if (store.mailboxes.list(owner.id).length >= MAX_MADE_FOLDERS) continue;
      const made = await store.write({
        kind: "create-mailbox",
        accountId: owner.id,
        name: newFolder,
        specialUse: null,
      });
      const mailboxId = made.ok && made.kind === "mailbox"
        ? made.mailboxId
        : store.mailboxes.byFoldedName(owner.id, newFolder)?.id;
      if (mailboxId === undefined) continue;
      await store.write({ kind: "subscribe", accountId: owner.id, name: newFolder, subscribed: true });
      this.#copies.delete(key);
      this.#copies.set(mailboxId, { ...copy, target: { ...copy.target, mailboxId } });
    }
  }

  /** Syncs the octets; the operation that files them may become part of a batch. Rejects with StorageError. */
  async operation(spool: Spool, message: MessageFacts, facts: FilingFacts): Promise<DeliverOp> {
    const { traceId, sender, at } = facts;
    const copies = [...this.#copies.values()];
    const stored = spool.store({
      accounts: copies.map(({ target }) => target.account),
      mailbox: copies.length > 0 ? "INBOX" : "",
      internalDate: at,
      traceId,
      sender,
      recipients: this.addresses(),
    });
    const blob = stored instanceof Promise ? await stored : stored;
    return {
      kind: "deliver",
      content: newContent(message, { blob, traceId }),
      targets: copies.map(({ target, deliveredTo, flags = 0, keywords = "", front = "" }) => ({
        mailboxId: target.mailboxId,
        flags,
        keywords,
        internalDate: at,
        prefix: copyPrefix(sender, deliveredTo, front + (facts.front ?? "")),
      })),
      ...(facts.trapped === true && { trapped: true }),
      queue: this.#remote.size === 0 ? null : queueEntry(facts, { sender, recipients: this.#remote }),
      ...(this.#forwarded !== null && {
        forwards: [...this.#forwarded].map(([domain, recipients]) =>
          queueEntry(facts, { sender: facts.senderFor(domain), recipients })
        ),
      }),
    };
  }
}

function joinKeywords(a: string, b: string): string {
  if (a === "" || b === "") return a + b;
  return [...new Set([...a.split(" "), ...b.split(" ")])].sort().join(" ");
}

/** Null where it can neither be found nor made. */
export async function junkOf(store: Store, accountId: number): Promise<number | null> {
  const known = store.mailboxes.list(accountId).find(({ specialUse }) => specialUse === JUNK);
  if (known !== undefined) return known.id;
  const made = await store.write({ kind: "create-mailbox", accountId, name: "Junk", specialUse: JUNK });
  if (made.ok && made.kind === "mailbox") return made.mailboxId;
  return store.mailboxes.byFoldedName(accountId, "Junk")?.id ?? null;
}

function queueEntry(
  {
    accountId,
    eightBit,
    smtputf8,
    at,
    expiresAt,
    envelopeId = "",
    ret = "",
    tls = "",
    priority = 0,
    notBefore,
    quarantine,
  }: FilingFacts,
  { sender, recipients }: { sender: string; recipients: ReadonlyMap<string, QueueRecipient> },
): QueueEntry {
  const rows = [...recipients.values()];
  return {
    sender,
    accountId,
    envelopeId,
    ret,
    tls,
    priority,
    ...(notBefore !== undefined && { notBefore }),
    ...(quarantine !== undefined && { quarantine }),
    eightBit,
    // An alias may lead from an ASCII address to one that is not.
    smtputf8: smtputf8 || rows.some(({ recipient }) => NOT_ASCII.test(recipient)),
    createdAt: at,
    expiresAt,
    recipients: rows,
  };
}
