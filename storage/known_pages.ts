/**
 * Facts of messages that whole mailboxes were asked for, in memory by columns: a page holds those of {@linkcode PAGE_UIDS}
 * UIDs in a row, 44 octets each and their prefixes. Hot: FETCH, SEARCH and SORT of many messages read the database once.
 *
 * As in known_rows.ts nothing in a page changes while its messages exist but for addresses, and those stay readable for
 * two hours; a page is read again after {@linkcode STALE_MS}, and when a message is asked for that came behind it. What was
 * expunged meanwhile is still there: UIDs come from the mailbox's index. Limit: {@linkcode MAX_OCTETS}, the page that was
 * not used for longest goes first.
 */
import type { RawStatement } from "./libsql.ts";
import type { MessagePage, MessageRow } from "./messages.ts";

export const PAGE_UIDS = 512;
export const STALE_MS = 45 * 60_000;
export const MAX_OCTETS = 24 * 1024 * 1024;
const COLUMN_OCTETS = 44 * PAGE_UIDS;
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
    const page = new Page(number * PAGE_UIDS, this.#now());
    page.fill(this.#select().get(mailboxId, page.first, page.last) ?? []);
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
  /** The largest UID that was there; Infinity when none can come any more. */
  through = 0;
  #has = new Uint8Array(PAGE_UIDS);
  #internalDates = new Float64Array(PAGE_UIDS);
  /** NaN for none. */
  #sentAts = new Float64Array(PAGE_UIDS);
  #offsets = new Float64Array(PAGE_UIDS);
  #sizes = new Uint32Array(PAGE_UIDS);
  #segments = new Uint32Array(PAGE_UIDS);
  #lengths = new Uint32Array(PAGE_UIDS);
  #headerOctets = new Uint32Array(PAGE_UIDS);
  /** Where the prefix of each begins; it ends `size - length` later. */
  #prefixStarts = new Uint32Array(PAGE_UIDS);
  #prefixes = EMPTY;

  constructor(first: number, readAt: number) {
    this.first = first;
    this.last = first + PAGE_UIDS - 1;
    this.readAt = readAt;
  }

  get octets(): number {
    return COLUMN_OCTETS + this.#prefixes.length;
  }

  fill(row: readonly unknown[]): void {
    const column = (index: number) => JSON.parse(String(row[index] ?? "[]")) as number[];
    const uids = column(0);
    const columns = [
      [this.#internalDates, column(1)],
      [this.#sizes, column(2)],
      [this.#sentAts, column(3).map((value) => value ?? NaN)],
      [this.#segments, column(4)],
      [this.#offsets, column(5)],
      [this.#lengths, column(6)],
      [this.#headerOctets, column(7)],
    ] as const;
    for (const [to, values] of columns) {
      for (let i = 0; i < uids.length; i++) to[uids[i]! - this.first] = values[i]!;
    }
    let prefixStart = 0;
    for (const uid of uids) {
      const slot = uid - this.first;
      this.#has[slot] = 1;
      this.#prefixStarts[slot] = prefixStart;
      prefixStart += this.#sizes[slot]! - this.#lengths[slot]!;
    }
    this.#prefixes = prefixStart === 0 ? EMPTY : Uint8Array.from(row[8] as Uint8Array);
    this.through = uids.at(-1) ?? 0;
  }

  has(uid: number): boolean {
    return this.#has[uid - this.first] === 1;
  }

  internalDateOf(uid: number): number {
    return this.#internalDates[uid - this.first]!;
  }

  sentAtOf(uid: number): number | null {
    const sentAt = this.#sentAts[uid - this.first]!;
    return Number.isNaN(sentAt) ? null : sentAt;
  }

  sizeOf(uid: number): number {
    return this.#sizes[uid - this.first]!;
  }

  row(uid: number, imap: Uint8Array = EMPTY): MessageRow | null {
    const slot = uid - this.first;
    if (this.#has[slot] !== 1) return null;
    const sizeOctets = this.#sizes[slot]!, length = this.#lengths[slot]!;
    const prefixStart = this.#prefixStarts[slot]!, prefixEnd = prefixStart + sizeOctets - length;
    return {
      uid,
      internalDate: this.#internalDates[slot]!,
      sizeOctets,
      sentAt: this.sentAtOf(uid),
      blob: { segment: this.#segments[slot]!, offset: this.#offsets[slot]!, length },
      headerOctets: this.#headerOctets[slot]!,
      prefix: prefixEnd === prefixStart ? EMPTY : this.#prefixes.subarray(prefixStart, prefixEnd),
      imap,
    };
  }
}
