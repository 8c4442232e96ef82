/**
 * SEARCH and UID SEARCH (RFC 3501 6.4.4; RETURN: RFC 4731, RFC 5182; OLDER, YOUNGER: RFC 5032; MODSEQ: RFC 7162; FUZZY: RFC 6203): keys to a tree.
 *
 * Strings stay octets in the charset of the command; who runs the search decodes them. Pure. Limits:
 * `MAX_SEARCH_KEYS` keys, `MAX_SEARCH_DEPTH` levels of parentheses, NOT and OR, `MAX_NEEDLE_OCTETS` of a text (search_program.ts).
 */
import { DOLLAR, DQUOTE, isDigit, LPAREN, RPAREN, SP, STAR } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import type { FetchItem } from "../fetch_plan.ts";
import { fetchItemList } from "./fetch.ts";
import { latin1 } from "../../../bytes/decode.ts";
import {
  astring,
  astringOctets,
  atom,
  type CommandCursor,
  date,
  list,
  modSequence,
  string,
} from "../lexer.ts";
import { parsePartialRange, type PartialRange } from "../partial_range.ts";
import {
  asksFuzzy,
  MAX_NEEDLE_OCTETS,
  MAX_SEARCH_DEPTH,
  MAX_SEARCH_KEYS,
  type SearchKey,
  type SearchReturn,
} from "../search_program.ts";
import { MAX_NUMBER, sequenceSet } from "../sequence_set.ts";

const DAY = 86_400_000;
const ALL: SearchKey = { kind: "all" };
const SEEN = 1, ANSWERED = 2, FLAGGED = 4, DELETED = 8, DRAFT = 16;

/** Keys without an argument. */
const PLAIN = new Map<string, SearchKey>([
  ["ALL", ALL],
  ["SAVEDATESUPPORTED", ALL], // RFC 8514 4.3: every mailbox of ours does
  ["SEEN", flag(SEEN)],
  ["ANSWERED", flag(ANSWERED)],
  ["FLAGGED", flag(FLAGGED)],
  ["DELETED", flag(DELETED)],
  ["DRAFT", flag(DRAFT)],
  ["UNSEEN", not(flag(SEEN))],
  ["UNANSWERED", not(flag(ANSWERED))],
  ["UNFLAGGED", not(flag(FLAGGED))],
  ["UNDELETED", not(flag(DELETED))],
  ["UNDRAFT", not(flag(DRAFT))],
  ["RECENT", { kind: "recent" }],
  ["OLD", not({ kind: "recent" })],
  ["NEW", { kind: "and", keys: [{ kind: "recent" }, not(flag(SEEN))] }],
]);

function flag(flags: number): SearchKey {
  return { kind: "flag", flags };
}

function not(key: SearchKey): SearchKey {
  return { kind: "not", key };
}

export function parseSearch(uid: boolean): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const returns = cursor.word("return ") ? searchReturn(cursor) : null;
    if (returns !== null) cursor.space();
    let charset: string | null = null;
    if (cursor.word("charset ")) {
      charset = astring(cursor, "a charset").toUpperCase();
      cursor.space();
    }
    const key = searchTree(cursor);
    if (returns?.relevancy && !asksFuzzy(key)) cursor.fail("FUZZY with RELEVANCY");
    return { name: "SEARCH", uid, returns, charset, key };
  };
}

/** The keys to the end of the command. */
export function searchTree(cursor: CommandCursor): SearchKey {
  return keys(cursor, { keys: MAX_SEARCH_KEYS }, 0);
}

const RETURN_OPTIONS = ["MIN", "MAX", "ALL", "COUNT", "SAVE", "PARTIAL", "RELEVANCY", "UPDATE", "CONTEXT"];

/** search-return-opts (RFC 4466 2.6.1). None at all is ALL (RFC 4731 3.1). */
export function searchReturn(cursor: CommandCursor): SearchReturn {
  let partial: PartialRange | null = null;
  let update: readonly FetchItem[] | null = null;
  const words = list(cursor, () => {
    const word = atom(cursor, "a return option").toUpperCase();
    if (!RETURN_OPTIONS.includes(word)) cursor.fail(`one of ${RETURN_OPTIONS.join(", ")}`);
    if (word === "PARTIAL") {
      if (partial !== null) cursor.fail("one PARTIAL");
      cursor.space();
      partial = parsePartialRange(cursor);
    }
    if (word === "UPDATE") {
      update = [];
      if (cursor.peek() === SP && cursor.bytes[cursor.at + 1] === LPAREN) {
        cursor.space();
        update = fetchItemList(cursor);
      }
    }
    return word;
  }, { least: 0, most: 16, expected: "return options" });
  // RFC 9394 3.1.
  if (partial !== null && words.includes("ALL")) cursor.fail("PARTIAL without ALL");
  return {
    min: words.includes("MIN"),
    max: words.includes("MAX"),
    all: words.includes("ALL") || words.length === 0,
    count: words.includes("COUNT"),
    save: words.includes("SAVE"),
    partial,
    relevancy: words.includes("RELEVANCY"),
    update, // CONTEXT is a hint that we have no use for (RFC 5267 4.2)
  };
}

/** One or more keys, all of which must hold. */
function keys(cursor: CommandCursor, budget: { keys: number }, depth: number): SearchKey {
  const all = [searchKey(cursor, budget, depth)];
  while (cursor.take(SP)) all.push(searchKey(cursor, budget, depth));
  return all.length === 1 ? all[0]! : { kind: "and", keys: all };
}

/** search-key. */
function searchKey(cursor: CommandCursor, budget: { keys: number }, depth: number): SearchKey {
  if (--budget.keys < 0) cursor.fail(`at most ${MAX_SEARCH_KEYS} search keys`);
  if (depth > MAX_SEARCH_DEPTH) cursor.fail(`at most ${MAX_SEARCH_DEPTH} levels of search keys`);
  if (!cursor.ok) return ALL;
  if (cursor.take(LPAREN)) {
    const inner = keys(cursor, budget, depth + 1);
    cursor.expect(RPAREN, ")");
    return inner;
  }
  const next = cursor.peek();
  if (next === STAR || next === DOLLAR || isDigit(next)) {
    return { kind: "sequence", set: sequenceSet(cursor) };
  }
  const at = cursor.at;
  const word = atom(cursor, "a search key").toUpperCase();
  const plain = PLAIN.get(word);
  if (plain !== undefined) return plain;
  if (!cursor.ok) return ALL;
  if (word === "NOT") {
    cursor.space();
    return not(searchKey(cursor, budget, depth + 1));
  }
  if (word === "FUZZY") {
    cursor.space();
    return { kind: "fuzzy", key: searchKey(cursor, budget, depth + 1) };
  }
  if (word === "OR") {
    cursor.space();
    const left = searchKey(cursor, budget, depth + 1);
    cursor.space();
    return { kind: "or", left, right: searchKey(cursor, budget, depth + 1) };
  }
  cursor.space();
  const key = argumentKey(cursor, word);
  if (key !== null) return key;
  cursor.at = at;
  cursor.fault = null; // the space behind an unknown word is not what is wrong
  cursor.fail("a search key");
  return ALL;
}

/** Keys with an argument; null when there is none of this name. */
function argumentKey(cursor: CommandCursor, word: string): SearchKey | null {
  switch (word) {
    case "BCC":
    case "CC":
    case "FROM":
    case "SUBJECT":
    case "TO":
      return { kind: "header", field: word.toLowerCase(), needle: needle(cursor) };
    case "HEADER": {
      const field = latin1(astringOctets(cursor, "a header field name")).toLowerCase();
      cursor.space();
      return { kind: "header", field, needle: needle(cursor) };
    }
    case "BODY":
    case "TEXT":
      return { kind: word === "BODY" ? "body" : "text", needle: needle(cursor) };
    case "KEYWORD":
      return { kind: "keyword", keyword: atom(cursor, "a keyword").toLowerCase() };
    case "UNKEYWORD":
      return not({ kind: "keyword", keyword: atom(cursor, "a keyword").toLowerCase() });
    case "LARGER":
    case "SMALLER":
      return {
        kind: word === "LARGER" ? "larger" : "smaller",
        octets: cursor.number(Number.MAX_SAFE_INTEGER, "a size"),
      };
    case "BEFORE":
      return { kind: "internal-date", since: null, before: date(cursor) };
    case "SINCE":
      return { kind: "internal-date", since: date(cursor), before: null };
    case "ON":
      return day("internal-date", date(cursor));
    case "SENTBEFORE":
      return { kind: "sent-date", since: null, before: date(cursor) };
    case "SENTSINCE":
      return { kind: "sent-date", since: date(cursor), before: null };
    case "SENTON":
      return day("sent-date", date(cursor));
    case "SAVEDBEFORE":
      return { kind: "saved-date", since: null, before: date(cursor) };
    case "SAVEDSINCE":
      return { kind: "saved-date", since: date(cursor), before: null };
    case "SAVEDON":
      return day("saved-date", date(cursor));
    case "EMAILID":
    case "THREADID":
      return { kind: "object-id", of: word, id: astring(cursor, "an object id") };
    case "OLDER":
    case "YOUNGER": {
      const seconds = cursor.number(MAX_NUMBER, "an interval in seconds");
      if (seconds === 0) cursor.fail("an interval, not 0");
      return { kind: word === "OLDER" ? "older" : "younger", seconds };
    }
    case "MODSEQ":
      return modSeqKey(cursor);
    case "UID":
      return { kind: "uid", set: sequenceSet(cursor) };
    case "UIDAFTER": // RFC 9738 3.2
      return not({ kind: "uid", set: [[1, nzNumber(cursor)]] });
    case "UIDBEFORE":
      return not({ kind: "uid", set: [[nzNumber(cursor), MAX_NUMBER]] });
    default:
      return null;
  }
}

function nzNumber(cursor: CommandCursor): number {
  const uid = cursor.number(MAX_NUMBER, "a UID");
  if (uid === 0) cursor.fail("a UID, not 0");
  return uid;
}

/** `MODSEQ [entry-name entry-type] n`: we keep one MODSEQ a message, which stands for every entry (RFC 7162 3.1.5). */
function modSeqKey(cursor: CommandCursor): SearchKey {
  if (cursor.peek() === DQUOTE) {
    string(cursor, "a string");
    cursor.space();
    if (!cursor.word("priv") && !cursor.word("shared") && !cursor.word("all")) {
      cursor.fail("priv, shared or all");
    }
    cursor.space();
  }
  return { kind: "mod-seq", least: modSequence(cursor) };
}

function day(kind: "internal-date" | "sent-date" | "saved-date", since: number): SearchKey {
  return { kind, since, before: since + DAY };
}

/** A copy: the search outlives the input buffer. */
function needle(cursor: CommandCursor): Uint8Array {
  const octets = astringOctets(cursor);
  if (octets.length > MAX_NEEDLE_OCTETS) {
    cursor.fail(`a text of at most ${MAX_NEEDLE_OCTETS} octets to look for`);
  }
  return new Uint8Array(octets);
}
