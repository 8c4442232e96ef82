/** Reads of message rows for FETCH, SEARCH and POP3. Hot: rows come as arrays and leave as plain objects. */
import { KnownPages, PAGE_SQL } from "./known_pages.ts";
import { type KnownRow, KnownRows } from "./known_rows.ts";
import type { UidRanges } from "./ops.ts";
import type { Statements } from "./statements.ts";
import type {
  IndexedRow,
  MaildropColumns,
  MessagePage,
  MessageRow,
  Messages,
  ObjectFacts,
  SortColumns,
} from "./store.ts";

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
