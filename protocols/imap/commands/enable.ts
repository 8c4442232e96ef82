/** ENABLE (RFC 5161). Pure. */
import { SP } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import { atom, type CommandCursor } from "../lexer.ts";

const MAX_CAPABILITIES = 64;

export function parseEnable(cursor: CommandCursor): Command {
  const capabilities: string[] = [];
  cursor.space();
  do {
    capabilities.push(atom(cursor, "a capability").toUpperCase());
    if (capabilities.length > MAX_CAPABILITIES) cursor.fail(`at most ${MAX_CAPABILITIES} capabilities`);
  } while (cursor.take(SP));
  return { name: "ENABLE", capabilities };
}
