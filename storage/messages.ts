/** Reads of message rows for FETCH, SEARCH and POP3. Hot: rows come as arrays and leave as plain objects. */
import { KnownPages, PAGE_SQL } from "./known_pages.ts";
import { type KnownRow, KnownRows } from "./known_rows.ts";
import type { BlobAddress, UidRanges } from "./ops.ts";
import type { Statements } from "./statements.ts";

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

const EMPTY = new Uint8Array(0);
const NARROW =
  "m.uid, m.internal_date, m.size_octets, c.sent_at, c.segment, c.offset, c.length, c.header_octets, m.prefix";
const WIDE = `${NARROW}, c.imap`;
/** Messages are read by pages when there are so many, and no further apart. */
const MANY = 40;
const FAR = 8;
const FROM = "FROM messages AS m JOIN contents AS c ON c.id = m.content_id";

export class SqlMessages implements Messages {
  #statements: Statements;
  #known = new KnownRows(() => performance.now());
  #pages: KnownPages;

  constructor(statements: Statements) {
    this.#statements = statements;
    this.#pages = new KnownPages({
      select: () => statements.rows(PAGE_SQL),
      now: () => performance.now(),
    });
  }

  page(mailboxId: number, at: { uid: number; largest: number }): MessagePage {
    return this.#pages.of(mailboxId, at);
  }

  rows(mailboxId: number, uids: UidRanges, options: { limit: number; withImap: boolean }): MessageRow[] {
    const columns = options.withImap ? WIDE : NARROW;
    const [only] = uids;
    if (only === undefined) return [];
    const rows = uids.length === 1
      ? this.#statements.rows(
        `SELECT ${columns} ${FROM} WHERE m.mailbox_id = ? AND m.uid BETWEEN ? AND ? ORDER BY m.uid LIMIT ?`,
      ).all(mailboxId, only[0], only[1], options.limit)
      : this.#statements.rows(
        `SELECT ${columns} FROM json_each(?) AS r CROSS JOIN messages AS m ON m.mailbox_id = ? AND ` +
          "m.uid BETWEEN json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]') " +
          "JOIN contents AS c ON c.id = m.content_id LIMIT ?",
      ).all(JSON.stringify(uids), mailboxId, options.limit);
    return rows.map(toRow);
  }

  row(mailboxId: number, uid: number, options: { withImap: boolean }): MessageRow | null {
    const row = this.#statements.rows(
      `SELECT ${options.withImap ? WIDE : NARROW} ${FROM} WHERE m.mailbox_id = ? AND m.uid = ?`,
    ).get(mailboxId, uid);
    return row === undefined ? null : toRow(row);
  }

  toIndex(mailboxId: number, page: { after: number; limit: number }): IndexedRow[] {
    const rows = this.#statements.rows(
      `SELECT ${WIDE}, c.id, c.trace_id ${FROM} WHERE m.mailbox_id = ? AND m.uid > ? ORDER BY m.uid LIMIT ?`,
    ).all(mailboxId, page.after, page.limit);
    return rows.map((row) => ({ ...toRow(row), contentId: row[10] as number, traceId: row[11] as string }));
  }

  known(mailboxId: number, uids: readonly number[]): (MessageRow | KnownRow | null)[] {
    if (isDense(uids)) return this.#paged(mailboxId, uids);
    this.#known.age();
    const rows: (KnownRow | null)[] = uids.map((uid) => this.#known.get(mailboxId, uid));
    const missing = uids.filter((_, at) => rows[at] === null);
    const [only] = missing;
    if (only === undefined) return rows;
    if (missing.length === 1) {
      const row = this.row(mailboxId, only, { withImap: false });
      if (row !== null) rows[uids.indexOf(only)] = this.#known.put(mailboxId, row);
      return rows;
    }
    const ranges = missing.map((uid) => [uid, uid] as const);
    let at = 0;
    for (const row of this.rows(mailboxId, ranges, { limit: missing.length, withImap: false })) {
      while (uids[at] !== row.uid) at++;
      rows[at] = this.#known.put(mailboxId, row);
    }
    return rows;
  }

  knownWithImap(mailboxId: number, uids: readonly number[]): (MessageRow | null)[] {
    if (uids.length === 1) return [this.row(mailboxId, uids[0]!, { withImap: true })];
    const imap = this.#imapOf(mailboxId, uids);
    return isDense(uids)
      ? this.#paged(mailboxId, uids, imap)
      : this.known(mailboxId, uids).map((row) => row && { ...row, imap: imap.get(row.uid) ?? EMPTY });
  }

  keepHeader(row: KnownRow, header: Uint8Array): void {
    this.#known.keepHeader(row, header);
  }

  #paged(
    mailboxId: number,
    uids: readonly number[],
    imap: ReadonlyMap<number, Uint8Array> | null = null,
  ): (MessageRow | null)[] {
    const largest = uids.at(-1)!;
    let page: MessagePage | null = null;
    return uids.map((uid) => {
      if (page === null || uid > page.last) page = this.#pages.of(mailboxId, { uid, largest });
      return page.row(uid, imap?.get(uid));
    });
  }

  /** `imap` of those that are there, in one piece of memory: rows with octets in them take thrice the time. */
  #imapOf(mailboxId: number, uids: readonly number[]): Map<number, Uint8Array> {
    const first = uids[0]!, last = uids.at(-1)!;
    const packed = "SELECT json_group_array(uid), json_group_array(length(imap)), " +
      "CAST(group_concat(imap, '') AS BLOB) FROM (SELECT m.uid, c.imap ";
    const row = last - first === uids.length - 1
      ? this.#statements.rows(
        `${packed} ${FROM} WHERE m.mailbox_id = ? AND m.uid BETWEEN ? AND ? ORDER BY m.uid)`,
      ).get(mailboxId, first, last)
      : this.#statements.rows(
        `${packed} FROM json_each(?) AS r CROSS JOIN messages AS m ON m.mailbox_id = ? AND m.uid = r.value ` +
          "JOIN contents AS c ON c.id = m.content_id)",
      ).get(JSON.stringify(uids), mailboxId);
    const column = (index: number) => JSON.parse(String(row?.[index] ?? "[]")) as number[];
    const lengths = column(1), all = (row?.[2] ?? EMPTY) as Uint8Array;
    // Not the binding's own kind of array, whose parts cost more.
    const octets = new Uint8Array(all.buffer, all.byteOffset, all.byteLength);
    const imap = new Map<number, Uint8Array>();
    let at = 0;
    for (const [i, uid] of column(0).entries()) imap.set(uid, octets.subarray(at, at += lengths[i]!));
    return imap;
  }

  maildrop(mailboxId: number, page: { after: number; limit: number }): MaildropColumns {
    // One row of JSON and hexadecimal digits: a quarter of the time that as many rows take.
    const row = this.#statements.rows(
      "SELECT json_group_array(uid), json_group_array(size_octets), json_group_array(segment), " +
        "json_group_array(offset), json_group_array(length), json_group_array(header_octets), " +
        "group_concat(hex(prefix), '') FROM (SELECT m.uid, m.size_octets, c.segment, c.offset, c.length, " +
        `c.header_octets, m.prefix ${FROM} WHERE m.mailbox_id = ? AND m.uid > ? ORDER BY m.uid LIMIT ?)`,
    ).get(mailboxId, page.after, page.limit) ?? [];
    const column = (index: number) => JSON.parse(String(row[index] ?? "[]")) as number[];
    return {
      uids: column(0),
      sizeOctets: column(1),
      segments: column(2),
      offsets: column(3),
      lengths: column(4),
      headerOctets: column(5),
      prefixes: Uint8Array.fromHex(String(row[6] ?? "")),
    };
  }

  facts(mailboxId: number, uids: UidRanges, limit: number): ObjectFacts[] {
    const rows = this.#statements.rows(
      "SELECT m.uid, m.saved_at, c.id, c.trace_id, c.message_id, c.reference_ids, c.preview " +
        "FROM json_each(?) AS r CROSS JOIN messages AS m ON m.mailbox_id = ? AND " +
        "m.uid BETWEEN json_extract(r.value, '$[0]') AND json_extract(r.value, '$[1]') " +
        "JOIN contents AS c ON c.id = m.content_id LIMIT ?",
    ).all(JSON.stringify(uids), mailboxId, limit);
    return rows.map((row) => ({
      uid: row[0] as number,
      savedAt: row[1] as number,
      contentId: row[2] as number,
      traceId: row[3] as string,
      messageId: row[4] as string | null,
      references: row[5] as string,
      preview: row[6] as string,
    }));
  }

  sortColumns(
    mailboxId: number,
    page: { after: number; limit: number },
    wanted: { subjects: boolean; threads: boolean },
  ): SortColumns {
    const { subjects, threads } = wanted;
    const columns = ["m.uid"];
    if (subjects) columns.push("c.subject");
    if (threads) columns.push("c.message_id", "c.reference_ids");
    const names = columns.map((name) => name.slice(2));
    // One row of JSON: a quarter of the time that as many rows take.
    const row = this.#statements.rows(
      `SELECT ${names.map((name) => `json_group_array(${name})`).join(", ")} FROM (SELECT ${
        columns.join(", ")
      } ` +
        `${FROM} WHERE m.mailbox_id = ? AND m.uid > ? ORDER BY m.uid LIMIT ?)`,
    ).get(mailboxId, page.after, page.limit) ?? [];
    const column = <T>(name: string): T[] => {
      const index = names.indexOf(name);
      return index < 0 ? [] : JSON.parse(String(row[index] ?? "[]")) as T[];
    };
    return {
      uids: column("uid"),
      subjects: column("subject"),
      messageIds: column("message_id"),
      references: column("reference_ids"),
    };
  }

  keptUidls(mailboxId: number): ReadonlyMap<number, string> {
    const row = this.#statements.rows(
      "SELECT json_group_array(uid), json_group_array(uidl) FROM kept_uidls WHERE mailbox_id = ?",
    ).get(mailboxId) ?? [];
    const uids = JSON.parse(String(row[0] ?? "[]")) as number[];
    const uidls = JSON.parse(String(row[1] ?? "[]")) as string[];
    return new Map(uids.map((uid, at) => [uid, uidls[at] ?? ""]));
  }

  importedItems(accountId: number, source: string, page: { after: string; limit: number }): string[] {
    return this.#statements.rows(
      "SELECT item FROM imported_items WHERE account_id = ? AND source = ? AND item > ? ORDER BY item LIMIT ?",
    ).all(accountId, source, page.after, page.limit).map(([item]) => item as string);
  }

  expungedSince(mailboxId: number, modSeq: number): number[] {
    const row = this.#statements.rows(
      "SELECT json_group_array(uid) FROM (SELECT uid FROM expunged WHERE mailbox_id = ? AND modseq > ? ORDER BY uid)",
    ).get(mailboxId, modSeq);
    return JSON.parse(String(row?.[0] ?? "[]")) as number[];
  }

  usage(accountId: number): { octets: number; messages: number } {
    const row = this.#statements.rows(
      "SELECT used_octets, used_messages FROM accounts WHERE id = ?",
    ).get(accountId);
    return { octets: Number(row?.[0] ?? 0), messages: Number(row?.[1] ?? 0) };
  }
}

function isDense(uids: readonly number[]): boolean {
  return uids.length >= MANY && uids.at(-1)! - uids[0]! < uids.length * FAR;
}

function toRow(row: unknown[]): MessageRow {
  return {
    uid: row[0] as number,
    internalDate: row[1] as number,
    sizeOctets: row[2] as number,
    sentAt: row[3] as number | null,
    blob: { segment: row[4] as number, offset: row[5] as number, length: row[6] as number },
    headerOctets: row[7] as number,
    prefix: row[8] as Uint8Array,
    imap: row.length > 9 ? row[9] as Uint8Array : EMPTY,
  };
}
