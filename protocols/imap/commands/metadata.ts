/**
 * GETMETADATA and SETMETADATA (RFC 5464 4.2, 4.3). Entries are folded to lower case; which names can be kept is
 * {@linkcode entryFault}. Options are taken before the mailbox (the grammar) and behind it (the RFC's examples).
 *
 * Pure. Limits: {@linkcode MAX_ENTRIES} entries in a command, {@linkcode MAX_ENTRY_OCTETS} in a name.
 */
import { DQUOTE, LBRACE, LPAREN, SP, TILDE } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import { astring, astringOctets, atom, type CommandCursor, list, mailbox, string } from "../lexer.ts";

export const MAX_ENTRIES = 64;
export const MAX_ENTRY_OCTETS = 250;
/** RFC 5464 3.2: BAD in any command. */
// deno-lint-ignore no-control-regex
const NO_ENTRY = /[*%\x00-\x19\x7f-\uffff]|\/\/|\/$/;

export interface MetadataOptions {
  /** Larger values are only counted; null without. */
  readonly maxSize: number | null;
  readonly depth: 0 | 1 | "infinity";
}

export function parseGetMetadata(cursor: CommandCursor): Command {
  const options: { maxSize: number | null; depth: 0 | 1 | "infinity" } = { maxSize: null, depth: 0 };
  cursor.space();
  if (cursor.peek() === LPAREN) {
    parseOptions(cursor, options);
    cursor.space();
  }
  const name = mailboxOrServer(cursor);
  cursor.space();
  if (cursor.peek() === LPAREN && !looksLikeEntry(cursor)) {
    parseOptions(cursor, options);
    cursor.space();
  }
  const entries = metadataEntries(cursor);
  // Some of the RFC's own examples go on without parentheses.
  while (entries.length < MAX_ENTRIES && cursor.take(SP)) entries.push(entry(cursor));
  return { name: "GETMETADATA", mailbox: name, entries, options };
}

export function parseSetMetadata(cursor: CommandCursor): Command {
  cursor.space();
  const name = mailboxOrServer(cursor);
  cursor.space();
  const annotations = list(cursor, () => {
    const key = entry(cursor);
    cursor.space();
    return { entry: key, value: value(cursor) };
  }, { least: 1, most: MAX_ENTRIES, expected: "a list of entries and values" });
  return { name: "SETMETADATA", mailbox: name, annotations };
}

/** One entry, or several in parentheses. */
export function metadataEntries(cursor: CommandCursor): string[] {
  if (cursor.peek() !== LPAREN) return [entry(cursor)];
  return list(cursor, () => entry(cursor), { least: 1, most: MAX_ENTRIES });
}

/** Why an entry of this name cannot be kept (RFC 5464 3.2); null when it can. */
export function entryFault(name: string): string | null {
  if (name.length > MAX_ENTRY_OCTETS) return `An entry has at most ${MAX_ENTRY_OCTETS} octets`;
  if (!/^\/(?:private|shared)\//.test(name)) return "An entry begins with /private/ or /shared/";
  return null;
}

/** Null stands for the server's own annotations. */
function mailboxOrServer(cursor: CommandCursor): string | null {
  const at = cursor.at;
  if (astringOctets(cursor, "a mailbox name").length === 0) return null;
  if (cursor.ok) cursor.at = at;
  return mailbox(cursor);
}

function looksLikeEntry(cursor: CommandCursor): boolean {
  const next = cursor.bytes[cursor.at + 1];
  return next === 0x2f || next === DQUOTE || next === LBRACE;
}

function parseOptions(
  cursor: CommandCursor,
  options: { maxSize: number | null; depth: 0 | 1 | "infinity" },
): void {
  list(cursor, () => {
    const word = atom(cursor, "MAXSIZE or DEPTH").toUpperCase();
    cursor.space();
    if (word === "MAXSIZE") options.maxSize = cursor.number(Number.MAX_SAFE_INTEGER, "a size");
    else if (word !== "DEPTH") cursor.fail("MAXSIZE or DEPTH");
    else if (cursor.word("infinity")) options.depth = "infinity";
    else options.depth = cursor.number(1, "0, 1 or infinity") === 0 ? 0 : 1;
  }, { least: 1, most: 4 });
}

function entry(cursor: CommandCursor): string {
  const { at } = cursor;
  const name = astring(cursor, "an entry").toLowerCase();
  if (cursor.ok && NO_ENTRY.test(name)) {
    cursor.at = at;
    cursor.fail("the name of an entry");
  }
  return name;
}

/** nstring or literal8; a copy, it goes to the store. */
function value(cursor: CommandCursor): Uint8Array | null {
  const next = cursor.peek();
  if (next !== DQUOTE && next !== LBRACE && next !== TILDE && cursor.word("nil")) return null;
  cursor.take(TILDE);
  return new Uint8Array(string(cursor, "a value or NIL"));
}
