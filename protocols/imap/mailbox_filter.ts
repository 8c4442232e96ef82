/** filter-mailboxes: which mailboxes NOTIFY watches (RFC 5465 6, 8) and ESEARCH looks into (RFC 7377 2.2). Pure. */
import { LPAREN, SP } from "../../bytes/ascii.ts";
import { atom, type CommandCursor, list, mailbox } from "./lexer.ts";

const MAX_FILTERS = 100;
const MAX_NAMES = 1_000;

export type MailboxFilter =
  | { readonly kind: "selected" | "selected-delayed" | "inboxes" | "personal" | "subscribed" }
  | { readonly kind: "subtree" | "subtree-one" | "mailboxes"; readonly names: readonly string[] };

type Kind = MailboxFilter["kind"];

/** One filter, of the kinds that the command knows. */
export function parseMailboxFilter(cursor: CommandCursor, kinds: readonly Kind[]): MailboxFilter {
  const at = cursor.at;
  const word = atom(cursor, "a mailbox filter").toLowerCase();
  const kind = kinds.find((one) => one === word);
  switch (kind) {
    case "subtree":
    case "subtree-one":
    case "mailboxes":
      cursor.space();
      return { kind, names: oneOrMore(cursor) };
    case undefined:
      if (cursor.ok) cursor.at = at;
      cursor.fail(`one of ${kinds.join(", ")}`);
      return { kind: "personal" };
    default:
      return { kind };
  }
}

/** One or more filters separated by spaces. */
export function parseMailboxFilters(cursor: CommandCursor, kinds: readonly Kind[]): MailboxFilter[] {
  const filters = [parseMailboxFilter(cursor, kinds)];
  while (cursor.take(SP)) {
    filters.push(parseMailboxFilter(cursor, kinds));
    if (filters.length > MAX_FILTERS) cursor.fail(`at most ${MAX_FILTERS} mailbox filters`);
  }
  return filters;
}

/** one-or-more-mailbox. */
function oneOrMore(cursor: CommandCursor): string[] {
  if (cursor.peek() !== LPAREN) return [mailbox(cursor)];
  return list(cursor, () => mailbox(cursor), { least: 1, most: MAX_NAMES });
}
