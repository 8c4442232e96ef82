/** Reads of mailboxes and subscriptions, and the shared indexes of the open ones. */
import type { Change } from "./changes.ts";
import { type MailboxIndex, SharedMailboxIndex } from "./mailbox_index.ts";
import { canonicalName } from "./operations/mailbox.ts";
import type { Statements } from "./statements.ts";
import { SeenIndex } from "./seen_index.ts";
import type { Access } from "./access.ts";

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

/** An entry of IMAP METADATA (RFC 5464). */
export interface Annotation {
  readonly entry: string;
  readonly value: Uint8Array;
}

export interface Mailboxes {
  /** UIDVALIDITY that mailboxes got when the data was last put back from a copy, a part of their ids; 0: it never was. */
  readonly restoredAs: number;
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

export const MAILBOX_COLUMNS =
  "id, account_id, name, uid_validity, uid_next, highest_modseq, messages, unseen, deleted, size_octets, " +
  "recent_uid, special_use, selectable";
const LOAD = "SELECT json_group_array(uid), json_group_array(flags), json_group_array(modseq), " +
  "json_group_object(uid, keywords) FILTER (WHERE keywords != '') FROM (SELECT uid, flags, modseq, keywords FROM messages " +
  "WHERE mailbox_id = ? AND uid > ? ORDER BY uid LIMIT ?)";
const MAX_LISTED = 10_000;
const MAX_CACHED = 10_000;
/** Messages in indexes that nobody has open any more and that are kept for who comes next: 13 to 17 octets each. */
const MAX_RESTING = 100_000;
/** What an index costs without messages, counted as so many. */
const BARE = 50;

interface OpenIndex {
  readonly index: SharedMailboxIndex;
  readonly loaded: Promise<void>;
  users: number;
}

export class SqlMailboxes implements Mailboxes {
  #statements: Statements;
  #access: Pick<Access, "seen">;
  #inboxes = new Map<number, number | null>();
  /** Annotations of accounts as such. */
  #ofAccounts = new Map<number, readonly Annotation[]>();
  #open = new Map<number, OpenIndex>();
  /** Of those the ones without users, in order of their last release, and the messages in them. */
  #resting = new Map<number, number>();
  #restingMessages = 0;
  /** Null: not read yet. It never changes while a server runs. */
  #restoredAs: number | null = null;

  constructor(statements: Statements, access: Pick<Access, "seen">) {
    this.#statements = statements;
    this.#access = access;
  }

  get restoredAs(): number {
    return this.#restoredAs ??= Number(
      this.#statements.rows("SELECT value FROM counters WHERE name = 'restored_as'").get()?.[0] ?? 0,
    );
  }

  byName(accountId: number, name: string): Mailbox | null {
    const row = this.#statements.rows(
      `SELECT ${MAILBOX_COLUMNS} FROM mailboxes WHERE account_id = ? AND name = ?`,
    )
      .get(accountId, canonicalName(name));
    return row === undefined ? null : toMailbox(row);
  }

  byId(id: number): Mailbox | null {
    const row = this.#statements.rows(`SELECT ${MAILBOX_COLUMNS} FROM mailboxes WHERE id = ?`).get(id);
    return row === undefined ? null : toMailbox(row);
  }

  byFoldedName(accountId: number, name: string): Mailbox | null {
    const row = this.#statements.rows(
      `SELECT ${MAILBOX_COLUMNS} FROM mailboxes WHERE account_id = ? AND lower(name) = ? AND selectable = 1 ` +
        "AND special_use IS NULL ORDER BY name LIMIT 1",
    ).get(accountId, name);
    return row === undefined ? null : toMailbox(row);
  }

  list(accountId: number): Mailbox[] {
    // One row of JSON: a third of the time that as many rows take.
    const row = this.#statements.rows(
      `SELECT json_group_array(json_array(${MAILBOX_COLUMNS})) FROM (SELECT ${MAILBOX_COLUMNS} FROM mailboxes ` +
        "WHERE account_id = ? ORDER BY name LIMIT ?)",
    ).get(accountId, MAX_LISTED);
    return (JSON.parse(String(row?.[0] ?? "[]")) as unknown[][]).map(toMailbox);
  }

  subscriptions(accountId: number): string[] {
    const row = this.#statements.rows(
      "SELECT json_group_array(name) FROM (SELECT name FROM subscriptions WHERE account_id = ? ORDER BY name LIMIT ?)",
    ).get(accountId, MAX_LISTED);
    return JSON.parse(String(row?.[0] ?? "[]")) as string[];
  }

  annotations(accountId: number, mailboxId: number): readonly Annotation[] {
    if (mailboxId !== 0) return this.#annotations(accountId, mailboxId);
    let known = this.#ofAccounts.get(accountId);
    if (known === undefined) {
      if (this.#ofAccounts.size >= MAX_CACHED) this.#ofAccounts.clear();
      this.#ofAccounts.set(accountId, known = this.#annotations(accountId, 0));
    }
    return known;
  }

  #annotations(accountId: number, mailboxId: number): Annotation[] {
    return this.#statements.rows(
      "SELECT entry, value FROM annotations WHERE account_id = ? AND mailbox_id = ? ORDER BY entry LIMIT ?",
    )
      .all(accountId, mailboxId, MAX_LISTED).map(([entry, value]) => ({
        entry: entry as string,
        value: value as Uint8Array,
      }));
  }

  inboxOf(accountId: number): number | null {
    const known = this.#inboxes.get(accountId);
    if (known !== undefined) return known;
    const id = this.byName(accountId, "INBOX")?.id ?? null;
    if (this.#inboxes.size >= MAX_CACHED) this.#inboxes.clear();
    this.#inboxes.set(accountId, id);
    return id;
  }

  async open(mailboxId: number): Promise<MailboxIndex | null> {
    let open = this.#open.get(mailboxId);
    if (open === undefined) {
      const mailbox = this.byId(mailboxId);
      if (mailbox === null || !mailbox.selectable) return null;
      const index = new SharedMailboxIndex(
        { ...mailbox, mailboxId },
        () => this.#release(mailboxId),
      );
      open = { index, loaded: index.load(this.#statements.rows(LOAD), mailbox.messages), users: 0 };
      this.#open.set(mailboxId, open);
    }
    if (open.users++ === 0) this.#wake(mailboxId);
    try {
      await open.loaded;
    } catch (error) {
      if (--open.users <= 0) this.#open.delete(mailboxId);
      throw error;
    }
    return open.index;
  }

  async openFor(mailbox: Mailbox, readerId: number): Promise<MailboxIndex | null> {
    const index = await this.open(mailbox.id);
    if (index === null || mailbox.accountId === readerId) return index;
    return new SeenIndex(index, { readerId, ...this.#access.seen(mailbox.id, readerId) });
  }

  /** Passes a change on to the indexes and drops what it makes stale. */
  apply(change: Change): void {
    switch (change.kind) {
      case "added":
      case "flags":
      case "expunged":
      case "seen":
        this.#open.get(change.mailboxId)?.index.apply(change);
        if (change.kind === "added" && this.#resting.has(change.mailboxId)) this.#rest(change.mailboxId);
        break;
      case "mailboxes":
        this.#inboxes.delete(change.accountId);
        for (const id of change.deleted) {
          this.#open.get(id)?.index.apply(change);
          if (this.#resting.has(id)) this.#forget(id);
        }
        break;
      case "directory":
        this.#inboxes.clear();
        this.#ofAccounts.clear();
        break;
      case "annotations":
        if (change.mailboxId === 0) this.#ofAccounts.delete(change.accountId);
        else this.#open.get(change.mailboxId)?.index.apply(change);
        break;
      case "acl":
      case "queue":
      case "greylist":
      case "lessons":
        break;
      default:
        change satisfies never;
    }
  }

  #release(mailboxId: number): void {
    const open = this.#open.get(mailboxId);
    if (open !== undefined && --open.users <= 0) this.#rest(mailboxId);
  }

  /** Clients come again soon: the index stays and hears of changes, until others need its room. */
  #rest(mailboxId: number): void {
    this.#wake(mailboxId);
    const index = this.#open.get(mailboxId)?.index;
    const messages = (index?.count ?? 0) + BARE;
    if (index?.exists !== true || messages > MAX_RESTING) {
      this.#open.delete(mailboxId);
      return;
    }
    this.#resting.set(mailboxId, messages);
    this.#restingMessages += messages;
    for (const oldest of this.#resting.keys()) {
      if (this.#restingMessages <= MAX_RESTING) break;
      this.#forget(oldest);
    }
  }

  #wake(mailboxId: number): void {
    const messages = this.#resting.get(mailboxId);
    if (messages === undefined) return;
    this.#resting.delete(mailboxId);
    this.#restingMessages -= messages;
  }

  #forget(mailboxId: number): void {
    this.#wake(mailboxId);
    this.#open.delete(mailboxId);
  }
}

export function toMailbox(row: unknown[]): Mailbox {
  const [
    id,
    accountId,
    ,
    uidValidity,
    uidNext,
    highestModSeq,
    messages,
    unseen,
    deleted,
    sizeOctets,
    recentUid,
  ] = row as number[];
  return {
    id: id!,
    accountId: accountId!,
    name: row[2] as string,
    uidValidity: uidValidity!,
    uidNext: uidNext!,
    highestModSeq: highestModSeq!,
    messages: messages!,
    unseen: unseen!,
    deleted: deleted!,
    sizeOctets: sizeOctets!,
    recentUid: recentUid!,
    specialUse: row[11] as string | null,
    selectable: row[12] === 1,
  };
}
