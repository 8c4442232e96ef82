/** UIDBATCHES (RFC 10022 4). Pure. */
import { COLON, SP } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import type { CommandCursor } from "../lexer.ts";
import { MAX_NUMBER } from "../sequence_set.ts";

export function parseUidBatches(cursor: CommandCursor): Command {
  cursor.space();
  const size = positive(cursor, "a number of messages");
  if (!cursor.take(SP)) return { name: "UIDBATCHES", size, range: null };
  const from = positive(cursor, "a batch");
  cursor.expect(COLON, ":");
  return { name: "UIDBATCHES", size, range: { from, to: positive(cursor, "a batch") } };
}

function positive(cursor: CommandCursor, expected: string): number {
  const number = cursor.number(MAX_NUMBER, expected);
  if (number === 0) cursor.fail(`${expected}, not 0`);
  return number;
}
