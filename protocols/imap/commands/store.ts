/** STORE and UID STORE (RFC 3501 6.4.6) with UNCHANGEDSINCE (RFC 7162 3.1.3). Pure. */
import { HYPHEN, LPAREN, PLUS, RPAREN } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import { type CommandCursor, modSequence, storeFlags } from "../lexer.ts";
import { sequenceSet } from "../sequence_set.ts";

export function parseStore(uid: boolean): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const set = sequenceSet(cursor);
    cursor.space();
    let unchangedSince: number | null = null;
    if (cursor.take(LPAREN)) {
      if (!cursor.word("unchangedsince ")) cursor.fail("UNCHANGEDSINCE");
      unchangedSince = modSequence(cursor);
      cursor.expect(RPAREN, ")");
      cursor.space();
    }
    const mode = cursor.take(PLUS) ? "add" : cursor.take(HYPHEN) ? "remove" : "replace";
    if (!cursor.word("flags")) cursor.fail("FLAGS");
    const silent = cursor.word(".silent");
    cursor.space();
    return { name: "STORE", uid, set, mode, silent, unchangedSince, flags: storeFlags(cursor) };
  };
}
