/** SETACL, DELETEACL, GETACL, LISTRIGHTS, MYRIGHTS (RFC 4314 3). Pure. Limit: {@linkcode MAX_IDENTIFIER} characters. */
import type { Command } from "../command.ts";
import { astring, type CommandCursor, mailbox } from "../lexer.ts";
import { parseRightsChange } from "../rights.ts";

const MAX_IDENTIFIER = 512;

export function parseMailboxAcl(name: "GETACL" | "MYRIGHTS"): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    return { name, mailbox: mailbox(cursor) };
  };
}

export function parseIdentifierAcl(name: "DELETEACL" | "LISTRIGHTS"): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const named = mailbox(cursor);
    cursor.space();
    return { name, mailbox: named, identifier: identifier(cursor) };
  };
}

export function parseSetAcl(cursor: CommandCursor): Command {
  cursor.space();
  const named = mailbox(cursor);
  cursor.space();
  const whose = identifier(cursor);
  cursor.space();
  const { at } = cursor;
  const change = parseRightsChange(astring(cursor, "rights"));
  if (cursor.ok && change === null) {
    cursor.at = at;
    cursor.fail("rights among lrswipkxteacd"); // 3.1: BAD, never ignored
  }
  return { name: "SETACL", mailbox: named, identifier: whose, ...(change ?? { mode: "add", rights: "" }) };
}

function identifier(cursor: CommandCursor): string {
  const { at } = cursor;
  const text = astring(cursor, "an identifier");
  // 3: what SASLprep would refuse is BAD; addresses are made normal where they are looked up.
  if (cursor.ok && (text === "" || text.length > MAX_IDENTIFIER || /\p{Cc}/u.test(text))) {
    cursor.at = at;
    cursor.fail("an identifier");
  }
  return text;
}
