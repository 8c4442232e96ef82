/** COMPRESS (RFC 4978). Pure. */
import type { Command } from "../command.ts";
import { atom, type CommandCursor } from "../lexer.ts";

export function parseCompress(cursor: CommandCursor): Command {
  cursor.space();
  return { name: "COMPRESS", algorithm: atom(cursor, "an algorithm").toUpperCase() };
}
