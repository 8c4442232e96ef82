/**
 * The small productions of the IMAP grammar over one complete command.
 *
 * RFC 3501 9: atom, astring, string, literal, nstring, list-mailbox, flag-list, date, date-time; RFC 7888: literals
 * with "+". The framer has seen that every literal is whole. Functions take what they name from the cursor and
 * return it; on a fault the cursor keeps it and the value does not matter. Quoted strings may hold UTF-8 (clients
 * send it in passwords and names, RFC 6855 makes it legal). Pure.
 */
import { BACKSLASH, CR, DQUOTE, LBRACE, LF, LPAREN, PLUS, RBRACE, RPAREN, SP } from "../../bytes/ascii.ts";
import {
  ASTRING_CHAR,
  ATOM_CHAR,
  charClass,
  LIST_CHAR,
  NON_ASCII,
  QUOTED_CHAR,
  skipClass,
} from "../../bytes/char_class.ts";
import { Cursor } from "../../bytes/cursor.ts";
import { utf8, utf8OrNull } from "../../bytes/decode.ts";
import { decodeMailboxName } from "./mailbox_name.ts";

const EMPTY = new Uint8Array(0);
const QUOTED = charClass(QUOTED_CHAR, NON_ASCII);
const ASTRING_OCTET = charClass(ASTRING_CHAR, NON_ASCII);
const LIST_OCTET = charClass(LIST_CHAR, NON_ASCII);

/** Keywords and flags longer than this are refused. */
const MAX_FLAG_OCTETS = 100;
export const MAX_FLAGS = 64;

/** A cursor over one command that also remembers a mailbox name which is no name: that is NO, not BAD. */
export class CommandCursor extends Cursor {
  readonly start: number;
  badMailboxName = false;
  /** Mailbox names are UTF-8, never modified UTF-7, and nothing else stands in quotes. */
  utf8Names = false;

  constructor(bytes: Uint8Array, start: number, end: number) {
    super(bytes, start, end);
    this.start = start;
  }
}

/** atom. */
export function atom(cursor: Cursor, expected: string): string {
  return cursor.run(ATOM_CHAR, expected) ?? "";
}

/** astring as octets: borrowed for atoms and literals, copied when a quoted string held a backslash. */
export function astringOctets(cursor: Cursor, expected = "a string"): Uint8Array {
  const next = cursor.peek();
  if (next === DQUOTE || next === LBRACE) return string(cursor, expected);
  const end = skipClass(cursor.bytes, { start: cursor.at, end: cursor.end }, ASTRING_OCTET);
  if (!cursor.ok || end === cursor.at) return cursor.fail(expected), EMPTY;
  const octets = cursor.bytes.subarray(cursor.at, end);
  cursor.at = end;
  return octets;
}

/** astring as UTF-8 text; malformed UTF-8 is a fault. */
export function astring(cursor: Cursor, expected = "a string"): string {
  return textOf(cursor, astringOctets(cursor, expected));
}

/** string (quoted or literal) as octets. */
export function string(cursor: Cursor, expected: string): Uint8Array {
  const next = cursor.peek();
  if (next === DQUOTE) return quoted(cursor);
  if (next === LBRACE) return literal(cursor);
  return cursor.fail(expected), EMPTY;
}

/** nstring as text: null for NIL. */
export function nstring(cursor: Cursor): string | null {
  const next = cursor.peek();
  if (next !== DQUOTE && next !== LBRACE && cursor.word("nil")) return null;
  return textOf(cursor, string(cursor, "a string or NIL"));
}

function textOf(cursor: Cursor, octets: Uint8Array): string {
  const text = utf8OrNull(octets);
  if (text === null) cursor.fail("UTF-8");
  return text ?? "";
}

/** quoted: backslash escapes only a double quote and itself. */
function quoted(cursor: Cursor): Uint8Array {
  const { bytes, end } = cursor;
  const from = ++cursor.at;
  let escapes = 0;
  let at = from;
  for (;;) {
    at = skipClass(bytes, { start: at, end }, QUOTED);
    const octet = at < end ? bytes[at]! : -1;
    if (octet === DQUOTE) break;
    const escaped = at + 1 < end ? bytes[at + 1]! : -1;
    if (octet !== BACKSLASH || (escaped !== DQUOTE && escaped !== BACKSLASH)) {
      cursor.at = at;
      return cursor.fail('a closing "'), EMPTY;
    }
    escapes++;
    at += 2;
  }
  cursor.at = at + 1;
  if (cursor instanceof CommandCursor && cursor.utf8Names && utf8OrNull(bytes.subarray(from, at)) === null) {
    cursor.at = from;
    return cursor.fail("UTF-8"), EMPTY; // RFC 6855 3
  }
  if (escapes === 0) return bytes.subarray(from, at);
  const plain = new Uint8Array(at - from - escapes);
  for (let i = from, to = 0; i < at; i++) {
    if (bytes[i] === BACKSLASH) i++;
    plain[to++] = bytes[i]!;
  }
  return plain;
}

/** literal, with its announcement. */
function literal(cursor: Cursor): Uint8Array {
  const size = literalSize(cursor);
  if (!cursor.ok) return EMPTY;
  if (size > cursor.end - cursor.at) return cursor.fail("a whole literal"), EMPTY;
  const octets = cursor.bytes.subarray(cursor.at, cursor.at + size);
  cursor.at += size;
  return octets;
}

/** `{n}` or `{n+}` and the CRLF behind it; also a streamed literal, whose octets do not follow. */
export function literalSize(cursor: Cursor): number {
  cursor.expect(LBRACE, "a literal");
  const size = cursor.number(Number.MAX_SAFE_INTEGER, "a literal size");
  cursor.take(PLUS);
  cursor.expect(RBRACE, "}");
  if (!cursor.take(CR) || !cursor.take(LF)) cursor.fail("the end of the line after a literal size");
  return size;
}

/** mailbox: the store's form of the name. */
export function mailbox(cursor: CommandCursor): string {
  return mailboxOf(cursor, astringOctets(cursor, "a mailbox name"));
}

function mailboxOf(cursor: CommandCursor, octets: Uint8Array): string {
  const name = decodeMailboxName(octets, cursor.utf8Names);
  if (name === null) cursor.badMailboxName = true;
  return name ?? "";
}

/** list-mailbox: a pattern, decoded where it can be (the wildcards are never inside a base64 run). */
export function listMailbox(cursor: CommandCursor): string {
  const next = cursor.peek();
  let octets: Uint8Array;
  if (next === DQUOTE || next === LBRACE) octets = string(cursor, "a mailbox pattern");
  else {
    const end = skipClass(cursor.bytes, { start: cursor.at, end: cursor.end }, LIST_OCTET);
    if (!cursor.ok || end === cursor.at) return cursor.fail("a mailbox pattern"), "";
    octets = cursor.bytes.subarray(cursor.at, end);
    cursor.at = end;
  }
  // What is no encoded name can match none: it is taken as it stands.
  return decodeMailboxName(octets, cursor.utf8Names) ?? utf8(octets);
}

/** mod-sequence-valzer (RFC 7162 7): 63 bits. Ours stay below 2^53, so what is larger is as good as the largest. */
export function modSequence(cursor: Cursor): number {
  return Math.min(cursor.number(2 ** 63, "a modification sequence"), Number.MAX_SAFE_INTEGER);
}

/** A parenthesised list of at least `least` items separated by one space; `expected` where something else may stand. */
export function list<T>(
  cursor: Cursor,
  item: () => T,
  options: { least: number; most: number; expected?: string },
): T[] {
  const items: T[] = [];
  if (!cursor.expect(LPAREN, options.expected ?? "(")) return items;
  if (options.least === 0 && cursor.take(RPAREN)) return items;
  do {
    if (items.length >= options.most) {
      cursor.fail(`at most ${options.most} items`);
      return items;
    }
    items.push(item());
  } while (cursor.take(SP));
  cursor.expect(RPAREN, ")");
  return items;
}

/** The flags of STORE and APPEND, system flags apart from keywords. `\Recent` cannot be set and is a fault. */
export interface FlagList {
  /** Bits as in {@linkcode SYSTEM_FLAGS}. */
  readonly flags: number;
  /** Without duplicates in any case, in the order given. */
  readonly keywords: readonly string[];
}

/** System flags in the order of their bits (storage/changes.ts has the same). */
export const SYSTEM_FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"] as const;
const SYSTEM_BITS = new Map(SYSTEM_FLAGS.map((name, bit) => [name.toLowerCase(), 1 << bit]));

/** flag-list: `(\Seen $Label)`. */
export function flagList(cursor: Cursor): FlagList {
  const all = new FlagSet();
  list(cursor, () => all.add(cursor), { least: 0, most: MAX_FLAGS });
  return all;
}

/** flag-list, or flags without parentheses as STORE allows. */
export function storeFlags(cursor: Cursor): FlagList {
  if (cursor.peek() === LPAREN) return flagList(cursor);
  const all = new FlagSet();
  let count = 0;
  do {
    all.add(cursor);
    if (++count > MAX_FLAGS) cursor.fail(`at most ${MAX_FLAGS} flags`);
  } while (cursor.take(SP));
  return all;
}

class FlagSet implements FlagList {
  flags = 0;
  readonly keywords: string[] = [];
  #seen = new Set<string>();

  add(cursor: Cursor): void {
    const at = cursor.at;
    const system = cursor.take(BACKSLASH);
    const name = atom(cursor, "a flag");
    if (name.length > MAX_FLAG_OCTETS) cursor.fail(`a flag of at most ${MAX_FLAG_OCTETS} octets`);
    if (!cursor.ok) return;
    if (!system) {
      const folded = name.toLowerCase();
      if (!this.#seen.has(folded)) this.keywords.push(name);
      this.#seen.add(folded);
      return;
    }
    const bit = SYSTEM_BITS.get("\\" + name.toLowerCase());
    if (bit !== undefined) {
      this.flags |= bit;
      return;
    }
    cursor.at = at;
    cursor.fail("a system flag that can be set");
  }
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** date-month and the numbers around it: midnight UTC of that day in milliseconds. */
function dayMonthYear(cursor: Cursor, day: number): number {
  cursor.expect(0x2d, "-");
  const month = MONTHS.findIndex((name) => cursor.word(name));
  if (month < 0) cursor.fail("a month");
  cursor.expect(0x2d, "-");
  const year = digits(cursor, 4);
  const time = Date.UTC(2000, month, day);
  const date = new Date(time);
  date.setUTCFullYear(year, month, day);
  if (cursor.ok && (date.getUTCDate() !== day || date.getUTCMonth() !== month)) {
    cursor.fail("a day that exists");
  }
  return date.getTime();
}

/** Exactly `count` digits. */
function digits(cursor: Cursor, count: number): number {
  const from = cursor.at;
  const value = cursor.number(9999, `${count} digits`);
  if (cursor.ok && cursor.at - from !== count) cursor.fail(`${count} digits`);
  return value;
}

/** date of SEARCH, `1-Feb-1994` with or without quotes: midnight UTC in milliseconds. */
export function date(cursor: Cursor): number {
  const isQuoted = cursor.take(DQUOTE);
  const day = cursor.number(31, "a day");
  const time = dayMonthYear(cursor, day);
  if (isQuoted) cursor.expect(DQUOTE, '"');
  return time;
}

/** date-time of APPEND, `" 7-Feb-1994 21:52:25 -0800"`, of which the quote is next: milliseconds since the epoch. */
export function dateTime(cursor: Cursor): number {
  cursor.take(DQUOTE);
  const day = cursor.take(SP) ? digits(cursor, 1) : digits(cursor, 2);
  const midnight = dayMonthYear(cursor, day);
  cursor.space();
  const hour = digits(cursor, 2);
  cursor.expect(0x3a, ":");
  const minute = digits(cursor, 2);
  cursor.expect(0x3a, ":");
  const second = digits(cursor, 2);
  cursor.space();
  const west = cursor.take(0x2d);
  if (!west) cursor.expect(PLUS, "+ or -");
  const zone = digits(cursor, 4);
  cursor.expect(DQUOTE, '"');
  const zoneMinutes = Math.floor(zone / 100) * 60 + zone % 100;
  if (cursor.ok && (hour > 23 || minute > 59 || second > 60 || zone % 100 > 59)) {
    cursor.fail("a time that exists");
  }
  const local = midnight + ((hour * 60 + minute) * 60 + second) * 1000;
  return local - (west ? -zoneMinutes : zoneMinutes) * 60_000;
}
