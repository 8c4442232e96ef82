/** ESEARCH in other mailboxes (RFC 7377 4), and CANCELUPDATE (RFC 5267 5). Pure. */
import { RPAREN, SP } from "../../../bytes/ascii.ts";
import { utf8 } from "../../../bytes/decode.ts";
import type { Command } from "../command.ts";
import { astring, type CommandCursor, string } from "../lexer.ts";
import { type MailboxFilter, parseMailboxFilters } from "../mailbox_filter.ts";
import type { SearchReturn } from "../search_program.ts";
import { searchReturn, searchTree } from "./search.ts";

const KINDS = [
  "selected",
  "inboxes",
  "personal",
  "subscribed",
  "subtree",
  "subtree-one",
  "mailboxes",
] as const;
/** RFC 7377 2.1: without RETURN. */
const ALL: SearchReturn = {
  min: false,
  max: false,
  all: true,
  count: false,
  save: false,
  partial: null,
  update: null,
  relevancy: false,
};
const MAX_TAGS = 100;

export function parseEsearch(cursor: CommandCursor): Command {
  cursor.space();
  let sources: MailboxFilter[] | null = null;
  if (cursor.word("in (")) {
    // scope-options: none are defined.
    sources = parseMailboxFilters(cursor, KINDS);
    cursor.expect(RPAREN, ")");
    cursor.space();
  }
  let returns = ALL;
  if (cursor.word("return ")) {
    returns = searchReturn(cursor);
    cursor.space();
  }
  let charset: string | null = null;
  if (cursor.word("charset ")) {
    charset = astring(cursor, "a charset").toUpperCase();
    cursor.space();
  }
  return { name: "ESEARCH", sources, returns, charset, key: searchTree(cursor) };
}

export function parseCancelUpdate(cursor: CommandCursor): Command {
  const tags: string[] = [];
  do {
    cursor.space();
    tags.push(utf8(string(cursor, "a tag in quotes")));
    if (tags.length > MAX_TAGS) cursor.fail(`at most ${MAX_TAGS} tags`);
  } while (cursor.ok && cursor.peek() === SP);
  return { name: "CANCELUPDATE", tags };
}
