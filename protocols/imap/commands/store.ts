/** STORE and UID STORE (RFC 3501 6.4.6). Pure. */
import { HYPHEN, PLUS } from "../../../bytes/ascii.ts";
import type { Command } from "../command.ts";
import { type CommandCursor, storeFlags } from "../lexer.ts";
import { sequenceSet } from "../sequence_set.ts";

export function parseStore(uid: boolean): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const set = sequenceSet(cursor);
    cursor.space();
    const mode = cursor.take(PLUS) ? "add" : cursor.take(HYPHEN) ? "remove" : "replace";
    if (!cursor.word("flags")) cursor.fail("FLAGS");
    const silent = cursor.word(".silent");
    cursor.space();
    return { name: "STORE", uid, set, mode, silent, flags: storeFlags(cursor) };
  };
}
