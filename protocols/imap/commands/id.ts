/** ID (RFC 2971): at most 30 pairs, names of 30 octets, values of 1,024. Pure. */
import { LPAREN, RPAREN, SP } from "../../../bytes/ascii.ts";
import { utf8 } from "../../../bytes/decode.ts";
import type { Command } from "../command.ts";
import { type CommandCursor, nstring, string } from "../lexer.ts";

const MAX_PAIRS = 30;
const MAX_NAME = 30;
const MAX_VALUE = 1_024;

export function parseId(cursor: CommandCursor): Command {
  cursor.space();
  if (cursor.peek() !== LPAREN) {
    if (!cursor.word("nil")) cursor.fail("a parameter list or NIL");
    return { name: "ID", fields: null };
  }
  cursor.take(LPAREN);
  const fields = new Map<string, string | null>();
  if (cursor.take(RPAREN)) return { name: "ID", fields };
  do {
    const name = utf8(string(cursor, "a parameter name"));
    cursor.space();
    const value = nstring(cursor);
    if (fields.size >= MAX_PAIRS) cursor.fail(`at most ${MAX_PAIRS} parameters`);
    if (name.length > MAX_NAME) cursor.fail(`a parameter name of at most ${MAX_NAME} octets`);
    if (value !== null && value.length > MAX_VALUE) cursor.fail(`a value of at most ${MAX_VALUE} octets`);
    if (cursor.ok) fields.set(name.toLowerCase(), value);
  } while (cursor.take(SP));
  cursor.expect(RPAREN, ")");
  return { name: "ID", fields };
}
