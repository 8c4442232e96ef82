/**
 * The store as one thread sees it: synchronous short reads, spooled octets, and writes through the writer.
 *
 * Every thread opens its own {@linkcode Store}; reads use its own read-only connection and run on the event loop
 * (indexed, with LIMIT). Writes go to the one writer thread and resolve after commit. Message octets go into this
 * thread's own blob segment and never cross threads.
 */
import type { Quarantine } from "./quarantine.ts";
import type { ChangeListener } from "./changes.ts";
import type { AuthReports } from "./auth_reports.ts";
import type { KnownRow } from "./known_rows.ts";
import type { SharingScope } from "./rights.ts";
import type { PolicyState } from "./policy_state.ts";
import type { Scripts } from "./scripts.ts";
import type { SpamLessons } from "./spam_lessons.ts";
import type {
  BlobAddress,
  DkimKeyInput,
  DomainRow,
  GroupInput,
  QueueTls,
  QuotaLevel,
  SubaddressFolder,
  TokenRow,
  UidRanges,
  WriteOp,
  WriteResult,
} from "./ops.ts";

export interface Store {
  readonly directory: Directory;
  readonly mailboxes: Mailboxes;
  readonly access: Access;
  readonly messages: Messages;
  readonly queue: Queue;
  readonly quarantine: Quarantine;
  readonly policy: PolicyState;
  readonly reports: AuthReports;
  readonly scripts: Scripts;
  readonly spam: SpamLessons;
  readonly blobs: BlobReader;

  /**
   * Sends one operation to the writer; resolves after its commit, before which the octets it points at are synced. Rejects
   * only when the writer is gone.
   */
  write(op: WriteOp): Promise<WriteResult>;
  /** A place for the octets of one arriving message. */
  spool(): Spool;
  /** True while free space is below the reserve: refuse new mail with 452, keep EXPUNGE and QUIT working. */
  diskFull(): boolean;
  /** Calls `listener` for every change from now on; returns the way to stop. */
  onChange(listener: ChangeListener): () => void;
  /** Seals this thread's segment and closes its connection; the writer belongs to whoever made it. */
  close(): Promise<void>;
}

/** A new message's octets: in memory while small, in a segment of their own when large (bounded memory). */
export interface Spool {
  readonly octets: number;
  /** Copies the span. A returned promise is backpressure: await it before the next write. */
  write(bytes: Uint8Array, start: number, end: number): Promise<void> | undefined;
  /**
   * Octets written so far, at the front of `into` or in an array of their own; for content checks and re-writing before
   * `store`. Small spools answer from memory.
   */
  read(start: number, end: number, into?: Uint8Array): Promise<Uint8Array>;
  /** The same as they lie in memory, until the next call of another method; null where they do not. */
  held(start: number, end: number): Uint8Array | null;
  /**
   * Puts the octets where the address says, small ones at once. They are durable when a {@linkcode Store.write} of this
   * store that points at them has been done. Throws or rejects with StorageError.
   */
  store(salvage: SalvageFacts): BlobAddress | Promise<BlobAddress>;
  /** Forgets the octets. Safe at any time, also after `store` failed. */
  discard(): void;
}

/** What a record's header keeps so that a message can be salvaged without the database. */
export interface SalvageFacts {
  /** Account addresses, empty for queue-only messages. */
  readonly accounts: readonly string[];
  /** Mailbox name, "INBOX" for deliveries, "" for queue-only messages. */
  readonly mailbox: string;
  readonly internalDate: number;
  readonly traceId: string;
  readonly sender: string;
  readonly recipients: readonly string[];
}

/** Disk trouble on the octets' side; the reply is 451 or 452. */
export class StorageError extends Error {
  override readonly name = "StorageError";
  readonly temporary = true;
  /** True when space ran out. */
  readonly full: boolean;
  constructor(message: string, options: { full: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.full = options.full;
  }
}

export interface BlobReader {
  /**
   * Reads payload octets `[start, end)` of a record on the event loop: for spans up to 64 kB. The result is the
   * caller's. Throws StorageError when the record is missing or short.
   */
  readSync(blob: BlobAddress, start: number, end: number): Uint8Array;
  /** Reads straight into `into` at `at` (zero further copies); returns the octets read. */
  readIntoSync(blob: BlobAddress, span: { start: number; end: number }, into: Uint8Array, at: number): void;
  /** The same off the event loop, for long spans. */
  read(blob: BlobAddress, start: number, end: number): Promise<Uint8Array>;
  /**
   * Keeps the octets of a segment readable until the returned function is called, even when compaction removes it
   * meanwhile. A segment that is gone already is found out by the next read.
   */
  pin(segment: number): () => void;
}

export interface Account {
  readonly id: number;
  readonly address: string;
  readonly displayName: string;
  readonly passwordHash: string | null;
  readonly enabled: boolean;
  readonly sendAs: readonly string[];
  readonly createdAt: number;
  /** Null takes the domain's, 0 is no limit. */
  readonly quotaOctets: number | null;
  readonly quotaMessages: number | null;
  readonly subaddressFolder: SubaddressFolder | null;
  /** Capabilities of IMAP its clients are not told of, in capitals. */
  readonly hiddenCapabilities: readonly string[];
  /** SCRAM verifier (RFC 5803); null where none could be made yet. */
  readonly scram: string | null;
  /** Nobody's own: it holds mailboxes for those who have rights on them, and nobody logs in as it. */
  readonly shared: boolean;
}

/** A client certificate that logs in. */
export interface CertificateRow {
  /** SHA-256 of the DER form, lower-case hex. */
  readonly fingerprint: string;
  readonly accountId: number;
  readonly note: string;
  readonly createdAt: number;
}

/** A further address of an account. */
export interface AddressRow {
  readonly address: string;
  readonly accountId: number;
  readonly kind: "own" | "masked";
  readonly enabled: boolean;
  readonly note: string;
  readonly createdAt: number;
  /** To the hour; 0 never. */
  readonly lastUsedAt: number;
}

export interface GroupRow extends GroupInput {
  readonly members: number;
  readonly createdAt: number;
}

/** What is stored, and what its owner was told. */
export interface Usage {
  readonly octets: number;
  readonly messages: number;
  readonly noticed: QuotaLevel;
}

/** A key, Base64. */
export interface SecretRow {
  readonly createdAt: number;
  readonly value: string;
}

export interface DkimKeyRow extends DkimKeyInput {
  readonly createdAt: number;
  readonly changedAt: number;
}

export interface AliasRow {
  readonly address: string;
  readonly targets: readonly string[];
}

/** Pages of administrative lists. */
export interface Page {
  /** Rows after this key, in key order; "" from the start. */
  readonly after: string;
  /** 1 to 1,000. */
  readonly limit: number;
}

export interface Directory {
  /** Cached, dropped on "directory" changes. */
  domain(name: string): DomainRow | null;
  domains(page: Page): DomainRow[];
  /** By exact primary address in normal form. */
  account(address: string): Account | null;
  accountById(id: number): Account | null;
  accounts(page: Page, domain?: string): Account[];
  /** The enabled account created first, of a domain or of all; cached. Takes mail to postmaster where nobody else does. */
  oldestAccount(domain: string | null): Account | null;
  /** A further address; cached, but for `lastUsedAt`. */
  address(address: string): AddressRow | null;
  addressesOf(accountId: number, page: Page): AddressRow[];
  /** The account with this address, its own or a further one that is enabled; cached. */
  owner(address: string): Account | null;
  /** Every account with a password has its SCRAM verifier; cached. */
  allHaveScram(): boolean;
  certificate(fingerprint: string): CertificateRow | null;
  certificatesOf(accountId: number): CertificateRow[];
  group(address: string): GroupRow | null;
  groups(page: Page, domain?: string): GroupRow[];
  members(group: string, page: Page): string[];
  isMember(group: string, member: string): boolean;
  /** Counters as they are now. */
  usage(accountId: number): Usage;
  domainUsage(name: string): { readonly octets: number; readonly messages: number };
  /** Newest first; cached. */
  secrets(name: string): readonly SecretRow[];
  /** All keys of a domain in whatever state, oldest first. */
  dkimKeys(domain: string): readonly DkimKeyRow[];
  alias(address: string): AliasRow | null;
  aliases(page: Page, domain?: string): AliasRow[];
  /** Alias addresses that deliver (directly) to this account address: may be used as From. */
  aliasesOf(address: string): string[];
  tokenByHash(hash: string): TokenRow | null;
  token(id: string): TokenRow | null;
  tokens(page: Page): TokenRow[];
}

export interface Mailbox {
  readonly id: number;
  readonly accountId: number;
  /** UTF-8, separator "/"; the first is exactly "INBOX". */
  readonly name: string;
  readonly uidValidity: number;
  readonly uidNext: number;
  readonly highestModSeq: number;
  readonly messages: number;
  readonly unseen: number;
  readonly deleted: number;
  readonly sizeOctets: number;
  readonly recentUid: number;
  /** As in "\\Sent"; null without. */
  readonly specialUse: string | null;
  /** False: a \Noselect name that only has children. */
  readonly selectable: boolean;
}

export interface Annotation {
  readonly entry: string;
  readonly value: Uint8Array;
}

export interface Mailboxes {
  /** By name; INBOX in any case. */
  byName(accountId: number, name: string): Mailbox | null;
  byId(id: number): Mailbox | null;
  /** An ordinary mailbox (no \\Sent, \\Trash and the like) whose name is this in lower case. */
  byFoldedName(accountId: number, name: string): Mailbox | null;
  /** All of an account in name order (bounded by the mailbox limit of an account). */
  list(accountId: number): Mailbox[];
  subscriptions(accountId: number): string[];
  /** In order of their entries; mailbox 0 is the account itself, which is cached (bounded by the limit of annotations). */
  annotations(accountId: number, mailboxId: number): readonly Annotation[];
  /** The INBOX of an account: the delivery hot path. Cached. */
  inboxOf(accountId: number): number | null;
  /** The index of an open mailbox, shared by this thread's sessions; call `release` when done with it. */
  open(mailboxId: number): Promise<MailboxIndex | null>;
  /** The same for a reader who need not own the mailbox: \Seen is as he has it. */
  openFor(mailbox: Mailbox, readerId: number): Promise<MailboxIndex | null>;
}

export interface AclEntry {
  readonly identifier: string;
  readonly rights: string;
}

/** A mailbox of another account, and the rights on it. */
export interface Granted {
  readonly mailbox: Mailbox;
  readonly owner: Pick<Account, "address" | "shared">;
  readonly rights: string;
}

/** Access lists (RFC 4314). Rights are letters in the order of storage/rights.ts, "" for none. */
export interface Access {
  /** All of an account's own mailboxes. `reader` null: a stranger. */
  rights(reader: Account | null, mailbox: Mailbox, scope: SharingScope): string;
  /** Mailboxes of others, or of one other, on which there is any right, by owner and name. */
  granted(reader: Account, scope: SharingScope, ownerId?: number | null): Granted[];
  /** The list as it is kept, without the owner. */
  acl(mailboxId: number): AclEntry[];
  /** What a reader has seen in a mailbox that is not his own. */
  seen(mailboxId: number, readerId: number): { readonly modSeq: number; readonly uids: UidRanges };
  /** How many messages of it he has not. */
  unseen(mailbox: Mailbox, readerId: number): number;
}

/**
 * (uid, flags, keywords, modseq) of every message of one mailbox in memory, in UID order, advanced by the change
 * stream. Shared by this thread's sessions: read it, never write to it. Sessions keep their own sequence numbers.
 */
export interface MailboxIndex {
  readonly mailboxId: number;
  readonly count: number;
  readonly uidNext: number;
  readonly uidValidity: number;
  readonly highestModSeq: number;
  /** False once the mailbox is deleted. */
  readonly exists: boolean;
  uidAt(position: number): number;
  flagsAt(position: number): number;
  keywordsAt(position: number): string;
  modSeqAt(position: number): number;
  /** UIDs of what has a larger MODSEQ, ascending: a million messages take a millisecond. */
  changedSince(modSeq: number): number[];
  /** Position of a UID, or -1. Binary search. */
  positionOf(uid: number): number;
  /** First position whose UID is at least `uid`. */
  lowerBound(uid: number): number;
  /** Called after each change was applied to the index. */
  subscribe(listener: ChangeListener): () => void;
  release(): void;
}

/** One row for FETCH; `prefix` and `imap` only when asked for. */
export interface MessageRow {
  readonly uid: number;
  readonly internalDate: number;
  /** Prefix and shared octets together: RFC822.SIZE. */
  readonly sizeOctets: number;
  readonly sentAt: number | null;
  readonly blob: BlobAddress;
  /** Header octets of the shared part, without the prefix. */
  readonly headerOctets: number;
  readonly prefix: Uint8Array;
  readonly imap: Uint8Array;
}

/** What the full-text index reads of a message. */
export interface IndexedRow extends MessageRow {
  readonly contentId: number;
  readonly traceId: string;
}

/** What FETCH of PREVIEW, SAVEDATE and object ids needs; read only when asked for. */
export interface ObjectFacts {
  readonly uid: number;
  /** When the message came into this mailbox. */
  readonly savedAt: number;
  readonly contentId: number;
  readonly traceId: string;
  readonly messageId: string | null;
  /** Message ids separated by spaces, oldest first. */
  readonly references: string;
  readonly preview: string;
}

/** Messages whose UIDs lie in a row, in memory. `has` comes first: the others answer anything for a message that is not there. */
export interface MessagePage {
  readonly first: number;
  readonly last: number;
  has(uid: number): boolean;
  internalDateOf(uid: number): number;
  sentAtOf(uid: number): number | null;
  sizeOf(uid: number): number;
  /** Null for a message that is not there; with the given `imap`, which is not kept. */
  row(uid: number, imap?: Uint8Array): MessageRow | null;
}

/** What SORT and THREAD go by, as columns. */
export interface SortColumns {
  readonly uids: readonly number[];
  readonly subjects: readonly string[];
  readonly messageIds: readonly (string | null)[];
  readonly references: readonly string[];
}

/** Facts of many messages, by columns. */
export interface MaildropColumns {
  readonly uids: readonly number[];
  readonly sizeOctets: readonly number[];
  readonly segments: readonly number[];
  readonly offsets: readonly number[];
  /** Octets of the shared part; what `sizeOctets` has above it is the prefix. */
  readonly lengths: readonly number[];
  readonly headerOctets: readonly number[];
  /** All prefixes one behind the other. */
  readonly prefixes: Uint8Array;
}

export interface Messages {
  /** Up to `limit` rows with UIDs in the ranges, ascending. `withImap: false` leaves `imap` empty. */
  rows(
    mailboxId: number,
    uids: UidRanges,
    options: { limit: number; withImap: boolean },
  ): MessageRow[];
  /** The hot path of a single FETCH. */
  row(mailboxId: number, uid: number, options: { withImap: boolean }): MessageRow | null;
  /**
   * The rows of these messages without `imap`, null for each that is gone: from memory where they were read lately.
   * `uids` ascend and come from the mailbox's index: what was expunged may still be in memory.
   */
  known(mailboxId: number, uids: readonly number[]): (MessageRow | KnownRow | null)[];
  /** The same with `imap`. */
  knownWithImap(mailboxId: number, uids: readonly number[]): (MessageRow | null)[];
  /** The messages around `uid`; `largest` is the largest UID that will be asked for. Both come from the mailbox's index. */
  page(mailboxId: number, at: { readonly uid: number; readonly largest: number }): MessagePage;
  /** Keeps the whole header (prefix included) of a known row that was read. Nobody may write to it any more. */
  keepHeader(row: KnownRow, header: Uint8Array): void;
  /** Up to `limit` messages with UIDs above `after`, ascending, with `imap`. */
  toIndex(mailboxId: number, page: { after: number; limit: number }): IndexedRow[];
  /** Up to `limit` messages with UIDs above `after`, ascending, for POP3: cheaper by the row than `rows`. */
  maildrop(mailboxId: number, page: { after: number; limit: number }): MaildropColumns;
  /** Up to `limit` messages with UIDs in the ranges, ascending. */
  facts(mailboxId: number, uids: UidRanges, limit: number): ObjectFacts[];
  /** Up to `limit` messages with UIDs above `after`, ascending; columns that are not wanted are empty. */
  sortColumns(
    mailboxId: number,
    page: { after: number; limit: number },
    wanted: { subjects: boolean; threads: boolean },
  ): SortColumns;
  /** Unique ids of POP3 that were kept, by UID (bounded by the messages of the mailbox). */
  keptUidls(mailboxId: number): ReadonlyMap<number, string>;
  /** Up to `limit` items of a source that were imported, above `after`, ascending. */
  importedItems(accountId: number, source: string, page: { after: string; limit: number }): string[];
  /** UIDs expunged with a larger MODSEQ, ascending, from a log that is never cut (RFC 7162 3.2.10.1). */
  expungedSince(mailboxId: number, modSeq: number): number[];
  /** Octets stored by an account, over all its mailboxes. */
  usage(accountId: number): { octets: number; messages: number };
}

export interface DueRecipient {
  readonly recipientId: number;
  readonly queueId: number;
  readonly recipient: string;
  readonly destination: string;
  readonly notify: string;
  readonly originalRecipient: string;
  readonly attempts: number;
  readonly delayNotified: boolean;
  readonly nextAttemptAt: number;
}

/** With what fairness needs of its message. */
export interface DueRow extends DueRecipient {
  readonly sender: string;
  readonly priority: number;
}

/** What a webhook is to be told. */
export interface QueueEvent {
  readonly id: number;
  readonly hook: string;
  readonly body: string;
  readonly createdAt: number;
  readonly attempts: number;
}

/** A place in the order of what is due. */
export interface DuePosition {
  readonly nextAttemptAt: number;
  readonly recipientId: number;
}

export interface QueuedMessage {
  readonly queueId: number;
  readonly traceId: string;
  readonly sender: string;
  readonly accountId: number | null;
  readonly envelopeId: string;
  readonly ret: "" | "FULL" | "HDRS";
  readonly eightBit: boolean;
  readonly smtputf8: boolean;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly blob: BlobAddress;
  readonly headerOctets: number;
  readonly tls: QueueTls;
  readonly priority: number;
}

/** A row of administrative queue lists. */
export interface QueueListRow extends DueRecipient {
  readonly traceId: string;
  readonly sender: string;
  readonly state: "queued" | "held";
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly lastReply: string;
  readonly sizeOctets: number;
}

export interface QueueFilter {
  readonly sender?: string;
  readonly recipient?: string;
  readonly destination?: string;
  readonly state?: "queued" | "held";
  readonly queueId?: number;
}

export interface Queue {
  /**
   * Recipients due at `now` that are not held, oldest due first, skipping destinations in `busy` and what does not lie
   * behind `after`.
   */
  due(
    now: number,
    options: { limit: number; busy: readonly string[]; after?: DuePosition },
  ): DueRow[];
  /** Those of one destination, the oldest due first, or the newest first. */
  dueOf(
    destination: string,
    now: number,
    options: { readonly limit: number; readonly newest: boolean },
  ): DueRow[];
  /** Destinations that have recipients, in the order of their names, behind `after`. */
  destinations(page: { readonly after: string; readonly limit: number }): string[];
  /** Events for webhooks that are due, oldest due first. */
  dueEvents(now: number, limit: number): QueueEvent[];
  /** When the first event is due; null when there is none. */
  nextEventAt(): number | null;
  /** When the next one that is not due yet at `after` becomes due; null when there is none. */
  nextDueAt(after: number): number | null;
  /** Of these recipients, those that are there and not held. */
  waiting(recipientIds: readonly number[]): number[];
  /** Recipients of these destinations that wait for another attempt (up to 10,000). */
  waitingFor(destinations: readonly string[]): number[];
  /** Recipients of a destination whose next attempt is behind `after` and whose last one ended in the network (4.4.x). */
  unreached(destination: string, after: number, limit: number): number[];
  /** Those of the given recipients that are still in the queue, held ones too. */
  recipients(ids: readonly number[]): DueRecipient[];
  message(queueId: number): QueuedMessage | null;
  list(filter: QueueFilter, page: { afterRecipientId: number; limit: number }): QueueListRow[];
  counts(): { queued: number; held: number; oldestCreatedAt: number | null };
}
