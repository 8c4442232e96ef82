/** STATUS (RFC 3501 6.3.10; SIZE: RFC 8438; HIGHESTMODSEQ: RFC 7162 3.1.7; DELETED: RFC 9051 6.3.11, DELETED-STORAGE: RFC 9208 4.1.4; APPENDLIMIT: RFC 7889). Pure. */
import type { Command } from "../command.ts";
import { atom, type CommandCursor, list, mailbox } from "../lexer.ts";

const STATUS_ITEMS = [
  "MESSAGES",
  "RECENT",
  "UIDNEXT",
  "UIDVALIDITY",
  "UNSEEN",
  "SIZE",
  "HIGHESTMODSEQ",
  "DELETED",
  "DELETED-STORAGE",
  "APPENDLIMIT",
  "MAILBOXID",
] as const;
export type StatusItem = typeof STATUS_ITEMS[number];

export function parseStatus(cursor: CommandCursor): Command {
  cursor.space();
  const name = mailbox(cursor);
  cursor.space();
  return { name: "STATUS", mailbox: name, items: statusItems(cursor) };
}

/** The parenthesised items, each once. */
export function statusItems(cursor: CommandCursor): StatusItem[] {
  const items = list(cursor, () => statusItem(cursor), {
    least: 1,
    most: 32,
    expected: "a list of status items",
  });
  return [...new Set(items)];
}

function statusItem(cursor: CommandCursor): StatusItem {
  const at = cursor.at;
  const word = atom(cursor, "a status item").toUpperCase();
  const item = STATUS_ITEMS.find((name) => name === word);
  if (item !== undefined) return item;
  if (cursor.ok) cursor.at = at;
  cursor.fail(`one of ${STATUS_ITEMS.join(", ")}`);
  return "MESSAGES";
}
