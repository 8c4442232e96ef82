/** LOGIN (RFC 3501 6.2.3). Pure. */
import type { Command } from "../command.ts";
import { astring, type CommandCursor } from "../lexer.ts";

export function parseLogin(cursor: CommandCursor): Command {
  cursor.space();
  const user = astring(cursor, "a user name");
  cursor.space();
  return { name: "LOGIN", user, password: astring(cursor, "a password") };
}
