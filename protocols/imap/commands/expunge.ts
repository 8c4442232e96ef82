/** EXPUNGE (RFC 3501 6.4.3) and UID EXPUNGE (RFC 4315 2.1). Pure. */
import type { Command } from "../command.ts";
import type { CommandCursor } from "../lexer.ts";
import { sequenceSet } from "../sequence_set.ts";

export function parseExpunge(): Command {
  return { name: "EXPUNGE", uids: null };
}

export function parseUidExpunge(cursor: CommandCursor): Command {
  cursor.space();
  return { name: "EXPUNGE", uids: sequenceSet(cursor) };
}
