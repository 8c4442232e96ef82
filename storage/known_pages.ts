/**
 * Facts of messages that whole mailboxes were asked for, in memory by columns: a page holds those of {@linkcode PAGE_UIDS}
 * UIDs in a row, some 22 octets each and their prefixes, so that a million fit. Hot: FETCH, SEARCH and SORT of many messages read the database once.
 *
 * As in known_rows.ts nothing in a page changes while its messages exist but for addresses, and those stay readable for
 * two hours; a page is read again after {@linkcode STALE_MS}, and when a message is asked for that came behind it. What was
 * expunged meanwhile is still there: UIDs come from the mailbox's index. Limit: {@linkcode MAX_OCTETS}, the page that was
 * not used for longest goes first.
 */
import type { RawStatement } from "./libsql.ts";
import type { MessagePage, MessageRow } from "./messages.ts";
import { PackedColumn } from "./packed_column.ts";

export const PAGE_UIDS = 512;
export const STALE_MS = 45 * 60_000;
export const MAX_OCTETS = 24 * 1024 * 1024;
const EMPTY = new Uint8Array(0);

/** Takes mailbox, first UID and last UID; one row of JSON and octets: a quarter of the time that as many rows take. */
export const PAGE_SQL = "SELECT json_group_array(uid), json_group_array(internal_date), " +
  "json_group_array(size_octets), json_group_array(sent_at), json_group_array(segment), json_group_array(offset), " +
  "json_group_array(length), json_group_array(header_octets), CAST(group_concat(prefix, '') AS BLOB) " +
  "FROM (SELECT m.uid, m.internal_date, m.size_octets, c.sent_at, c.segment, c.offset, c.length, c.header_octets, " +
  "m.prefix FROM messages AS m JOIN contents AS c ON c.id = m.content_id " +
  "WHERE m.mailbox_id = ? AND m.uid BETWEEN ? AND ? ORDER BY m.uid)";

export class KnownPages {
  #select: () => RawStatement;
  #now: () => number;
  #maxOctets: number;
  /** In order of last use, by mailbox and number of the page. */
  #pages = new Map<number, Page>();
  #octets = 0;

  /** `now`: milliseconds, steady. */
  constructor(options: { select: () => RawStatement; now: () => number; maxOctets?: number }) {
    this.#select = options.select;
    this.#now = options.now;
    this.#maxOctets = options.maxOctets ?? MAX_OCTETS;
  }

  /** The page with `uid`; `largest` is the largest UID that will be asked for, of this page or another. */
  of(mailboxId: number, { uid, largest }: { readonly uid: number; readonly largest: number }): MessagePage {
    const number = Math.floor(uid / PAGE_UIDS);
    // UIDs only grow: nothing comes behind a page when there is more behind it.
    const through = largest >= (number + 1) * PAGE_UIDS ? Infinity : largest;
    const key = mailboxId * 2 ** 23 + number;
    const known = this.#pages.get(key);
    if (known !== undefined) {
      this.#pages.delete(key);
      if (through <= known.through && this.#now() - known.readAt < STALE_MS) {
        this.#pages.set(key, known);
        return known;
      }
      this.#octets -= known.octets;
    }
    const first = number * PAGE_UIDS;
    const page = new Page(
      first,
      this.#now(),
      this.#select().get(mailboxId, first, first + PAGE_UIDS - 1) ?? [],
    );
    if (through === Infinity) page.through = Infinity;
    this.#pages.set(key, page);
    this.#octets += page.octets;
    for (const [oldest, { octets }] of this.#pages) {
      if (this.#octets <= this.#maxOctets || oldest === key) break;
      this.#pages.delete(oldest);
      this.#octets -= octets;
    }
    return page;
  }
}

class Page implements MessagePage {
  readonly first: number;
  readonly last: number;
  readonly readAt: number;
  readonly octets: number;
  /** The largest UID that was there; Infinity when none can come any more. */
  through: number;
  readonly #internalDates: PackedColumn;
  readonly #sizes: PackedColumn;
  readonly #sentAts: PackedColumn;
  readonly #segments: PackedColumn;
  readonly #offsets: PackedColumn;
  readonly #lengths: PackedColumn;
  readonly #headerOctets: PackedColumn;
  /** Where the prefix of each begins; it ends `size - length` later. */
  readonly #prefixStarts: PackedColumn;
  readonly #prefixes: Uint8Array;

  /** `row` as PAGE_SQL selects it. */
  constructor(first: number, readAt: number, row: readonly unknown[]) {
    this.first = first;
    this.last = first + PAGE_UIDS - 1;
    this.readAt = readAt;
    const column = (index: number) => JSON.parse(String(row[index] ?? "[]")) as (number | null)[];
    const uids = column(0) as number[];
    const packed = (values: readonly (number | null)[]) => {
      const slots = new Float64Array(PAGE_UIDS).fill(NaN);
      for (let at = 0; at < uids.length; at++) slots[uids[at]! - first] = values[at] ?? NaN;
      return new PackedColumn(slots);
    };
    const sizes = column(2), lengths = column(6);
    let prefixOctets = 0;
    const prefixStarts = uids.map((_, at) => {
      const start = prefixOctets;
      prefixOctets += sizes[at]! - lengths[at]!;
      return start;
    });
    this.through = uids.at(-1) ?? 0;
    const columns = [
      this.#internalDates = packed(column(1)),
      this.#sizes = packed(sizes),
      this.#sentAts = packed(column(3)),
      this.#segments = packed(column(4)),
      this.#offsets = packed(column(5)),
      this.#lengths = packed(lengths),
      this.#headerOctets = packed(column(7)),
      this.#prefixStarts = packed(prefixStarts),
    ];
    this.#prefixes = prefixOctets === 0 ? EMPTY : Uint8Array.from(row[8] as Uint8Array);
    this.octets = columns.reduce((sum, { octets }) => sum + octets, this.#prefixes.length);
  }

  has(uid: number): boolean {
    return !Number.isNaN(this.#internalDates.at(uid - this.first));
  }

  internalDateOf(uid: number): number {
    return this.#internalDates.at(uid - this.first);
  }

  sentAtOf(uid: number): number | null {
    const sentAt = this.#sentAts.at(uid - this.first);
    return Number.isNaN(sentAt) ? null : sentAt;
  }

  sizeOf(uid: number): number {
    return this.#sizes.at(uid - this.first);
  }

  row(uid: number, imap: Uint8Array = EMPTY): MessageRow | null {
    if (!this.has(uid)) return null;
    const slot = uid - this.first;
    const sizeOctets = this.#sizes.at(slot), length = this.#lengths.at(slot);
    const prefixStart = this.#prefixStarts.at(slot), prefixEnd = prefixStart + sizeOctets - length;
    return {
      uid,
      internalDate: this.#internalDates.at(slot),
      sizeOctets,
      sentAt: this.sentAtOf(uid),
      blob: { segment: this.#segments.at(slot), offset: this.#offsets.at(slot), length },
      headerOctets: this.#headerOctets.at(slot),
      prefix: prefixEnd === prefixStart ? EMPTY : this.#prefixes.subarray(prefixStart, prefixEnd),
      imap,
    };
  }
}
