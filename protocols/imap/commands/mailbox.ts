/** CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 3501 6.3; CREATE USE: RFC 6154 3). Pure. */
import { BACKSLASH, LPAREN, RPAREN, SP } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import { atom, type CommandCursor, list, mailbox } from "../lexer.ts";

/** A parser for a command that has nothing but a mailbox name. */
export function parseMailboxCommand(
  name: "DELETE" | "SUBSCRIBE" | "UNSUBSCRIBE",
): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    return { name, mailbox: mailbox(cursor) };
  };
}

export function parseRename(cursor: CommandCursor): Command {
  cursor.space();
  const from = mailbox(cursor);
  cursor.space();
  return { name: "RENAME", mailbox: from, to: mailbox(cursor) };
}

export function parseCreate(cursor: CommandCursor): Command {
  cursor.space();
  const name = mailbox(cursor);
  let specialUse: string | null = null;
  if (cursor.take(SP)) {
    cursor.expect(LPAREN, "a list of options");
    if (!cursor.word("use ")) cursor.fail("USE");
    const uses = list(cursor, () => useAttribute(cursor), { least: 0, most: 16, expected: "a list of uses" });
    cursor.expect(RPAREN, ")");
    specialUse = uses.length === 0 ? null : [...new Set(uses)].join(" ");
  }
  return { name: "CREATE", mailbox: name, specialUse };
}

function useAttribute(cursor: CommandCursor): string {
  cursor.expect(BACKSLASH, "a special use");
  const word = atom(cursor, "a special use").toLowerCase();
  return "\\" + word.charAt(0).toUpperCase() + word.slice(1);
}
