/**
 * FETCH and UID FETCH (RFC 3501 6.4.5): macros, attributes, sections and partial ranges; MODSEQ, CHANGEDSINCE and
 * VANISHED (RFC 7162 3.1.4, 3.2.6), PARTIAL (RFC 9394 3.3).
 *
 * Pure. Limits: {@linkcode MAX_ITEMS} attributes, {@linkcode MAX_FIELDS} header fields, {@linkcode MAX_PART_DEPTH}
 * part numbers in a section.
 */
import { DOT, GREATER, LBRACKET, LESS, LPAREN, RBRACKET, RPAREN, SP } from "../../../bytes/ascii.ts";
import { charClass } from "../../../bytes/char_class.ts";
import { latin1 } from "../../../bytes/decode.ts";
import type { Command } from "../command.ts";
import type { BinaryItem, FetchItem, Section, SectionItem, SimpleItem } from "../fetch_plan.ts";
import { formatAstring } from "../format/string.ts";
import { astringOctets, type CommandCursor, list, modSequence } from "../lexer.ts";
import { parsePartialRange, type PartialRange } from "../partial_range.ts";
import { MAX_NUMBER, sequenceSet } from "../sequence_set.ts";

const MAX_ITEMS = 100;
export const MAX_FIELDS = 500;
const MAX_PART_DEPTH = 100;

const NAME = charClass("az", "AZ", "09", ".");
const NO_FIELDS: ReadonlySet<string> = new Set();
const FAST: FetchItem[] = [{ kind: "FLAGS" }, { kind: "INTERNALDATE" }, { kind: "RFC822.SIZE" }];
const ALL: FetchItem[] = [...FAST, { kind: "ENVELOPE" }];
const FULL: FetchItem[] = [...ALL, { kind: "BODY" }];
const MACROS = new Map([["FAST", FAST], ["ALL", ALL], ["FULL", FULL]]);
const SIMPLE = new Map<string, FetchItem>(
  ([
    "UID",
    "FLAGS",
    "MODSEQ",
    "INTERNALDATE",
    "RFC822.SIZE",
    "ENVELOPE",
    "BODYSTRUCTURE",
    "SAVEDATE",
    "EMAILID",
    "THREADID",
  ] satisfies SimpleItem[])
    .map((kind) => [kind, { kind }]),
);
for (const [label, text] of [["RFC822", ""], ["RFC822.HEADER", "HEADER"], ["RFC822.TEXT", "TEXT"]] as const) {
  const section: Section = { part: [], text, fields: NO_FIELDS };
  SIMPLE.set(label, { kind: "section", label, peek: text === "HEADER", section, partial: null });
}

export function parseFetch(uid: boolean): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const set = sequenceSet(cursor);
    cursor.space();
    const items = fetchItems(cursor);
    return { name: "FETCH", uid, set, items, ...modifiers(cursor, uid) };
  };
}

/** fetch-modifiers (RFC 4466 2.4). */
function modifiers(
  cursor: CommandCursor,
  uid: boolean,
): { changedSince: number | null; vanished: boolean; partial: PartialRange | null } {
  let changedSince: number | null = null;
  let vanished = false;
  let partial: PartialRange | null = null;
  if (cursor.take(SP)) {
    cursor.expect(LPAREN, "fetch modifiers");
    do {
      if (cursor.word("changedsince ") && changedSince === null) changedSince = modSequence(cursor);
      else if (cursor.word("vanished")) vanished = true;
      else if (uid && partial === null && cursor.word("partial ")) partial = parsePartialRange(cursor);
      else cursor.fail(uid ? "CHANGEDSINCE, VANISHED or PARTIAL" : "CHANGEDSINCE or VANISHED");
    } while (cursor.take(SP));
    cursor.expect(RPAREN, ")");
    // RFC 7162 3.2.6: VANISHED without CHANGEDSINCE means nothing.
    if (vanished && changedSince === null) cursor.fail("CHANGEDSINCE beside VANISHED");
  }
  return { changedSince, vanished, partial };
}

/** Attributes in parentheses, of which the first is next. */
export function fetchItemList(cursor: CommandCursor): readonly FetchItem[] {
  return list(cursor, () => fetchItem(cursor), { least: 1, most: MAX_ITEMS });
}

function fetchItems(cursor: CommandCursor): readonly FetchItem[] {
  if (cursor.peek() === LPAREN) return fetchItemList(cursor);
  const at = cursor.at;
  const macro = MACROS.get(cursor.run(NAME, "a FETCH attribute")?.toUpperCase() ?? "");
  if (macro !== undefined && (cursor.at === cursor.end || cursor.peek() === SP)) return macro;
  cursor.at = at;
  return [fetchItem(cursor)];
}

/** fetch-att. */
function fetchItem(cursor: CommandCursor): FetchItem {
  const at = cursor.at;
  const name = cursor.run(NAME, "a FETCH attribute")?.toUpperCase() ?? "";
  if ((name === "BODY" || name === "BODY.PEEK") && cursor.peek() === 0x5b) {
    cursor.at++;
    return sectionItem(cursor, name === "BODY.PEEK");
  }
  if (name === "BODY") return { kind: "BODY" };
  if (name.startsWith("BINARY") && cursor.take(LBRACKET)) {
    if (name === "BINARY" || name === "BINARY.PEEK") return binaryItem(cursor, "binary", name !== "BINARY");
    if (name === "BINARY.SIZE") return binaryItem(cursor, "binary-size", true);
  }
  if (name === "PREVIEW") {
    // RFC 8970 3.1: LAZY allows us not to compute it; it is there always.
    const lazyAt = cursor.at;
    if (!cursor.word(" (lazy)")) cursor.at = lazyAt;
    return { kind: "PREVIEW" };
  }
  const simple = SIMPLE.get(name);
  if (simple !== undefined) return simple;
  if (cursor.ok) cursor.at = at;
  cursor.fail("a FETCH attribute");
  return { kind: "UID" };
}

/** section-binary and partial (RFC 3516 7), after the opening bracket. */
function binaryItem(cursor: CommandCursor, kind: BinaryItem["kind"], peek: boolean): BinaryItem {
  const part: number[] = [];
  while (isDigitNext(cursor) && cursor.ok) {
    const number = cursor.number(MAX_NUMBER, "a part number");
    if (number === 0) cursor.fail("a part number, not 0");
    part.push(number);
    if (part.length > MAX_PART_DEPTH) cursor.fail(`at most ${MAX_PART_DEPTH} part numbers`);
    if (!cursor.take(DOT)) break;
  }
  cursor.expect(RBRACKET, "]");
  const partial = kind === "binary" && cursor.take(LESS) ? partialRange(cursor) : null;
  const name = kind === "binary" ? "BINARY" : "BINARY.SIZE";
  return {
    kind,
    label: `${name}[${part.join(".")}]${partial === null ? "" : `<${partial.offset}>`}`,
    peek,
    part,
    partial,
  };
}

/** section and partial, after the opening bracket. */
function sectionItem(cursor: CommandCursor, peek: boolean): SectionItem {
  const from = cursor.at;
  const part: number[] = [];
  let text: Section["text"] = "";
  let fields = NO_FIELDS;
  let fieldLabel = "";
  let wordNext = cursor.peek() !== RBRACKET;
  while (wordNext && isDigitNext(cursor)) {
    const number = cursor.number(MAX_NUMBER, "a part number");
    if (number === 0) cursor.fail("a part number, not 0");
    part.push(number);
    if (part.length > MAX_PART_DEPTH) cursor.fail(`at most ${MAX_PART_DEPTH} part numbers`);
    wordNext = cursor.take(DOT);
  }
  if (wordNext && cursor.ok) {
    const word = cursor.run(NAME, "a section")?.toUpperCase() ?? "";
    if (word === "HEADER" || word === "TEXT" || (word === "MIME" && part.length > 0)) text = word;
    else if (word === "HEADER.FIELDS" || word === "HEADER.FIELDS.NOT") {
      text = word;
      cursor.space();
      const names = list(cursor, () => fieldName(cursor), {
        least: 1,
        most: MAX_FIELDS,
        expected: "header names",
      });
      fields = new Set(names.map((name) => name.toLowerCase()));
      fieldLabel = ` (${names.map(formatAstring).join(" ")})`;
    } else {
      cursor.at = from;
      cursor.fail("a section");
    }
  }
  cursor.expect(RBRACKET, "]");
  const partial = cursor.take(LESS) ? partialRange(cursor) : null;
  const numbers = part.join(".");
  const inside = numbers + (numbers !== "" && text !== "" ? "." : "") + text + fieldLabel;
  return {
    kind: "section",
    label: `BODY[${inside}]${partial === null ? "" : `<${partial.offset}>`}`,
    peek,
    section: { part, text, fields },
    partial,
  };
}

function isDigitNext(cursor: CommandCursor): boolean {
  const next = cursor.peek();
  return next >= 0x30 && next <= 0x39;
}

/** header-fld-name, echoed as sent but without octets that a response cannot carry. */
function fieldName(cursor: CommandCursor): string {
  return latin1(astringOctets(cursor, "a header field name"));
}

function partialRange(cursor: CommandCursor): { offset: number; length: number } {
  const offset = cursor.number(MAX_NUMBER, "an offset");
  cursor.expect(DOT, ".");
  const length = cursor.number(MAX_NUMBER, "a length");
  if (length === 0) cursor.fail("a length, not 0");
  cursor.expect(GREATER, ">");
  return { offset, length };
}
