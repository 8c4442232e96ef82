/** COPY and MOVE (RFC 3501 6.4.7, RFC 6851) and their UID forms. Pure. */
import type { Command } from "../command.ts";
import { type CommandCursor, mailbox } from "../lexer.ts";
import { sequenceSet } from "../sequence_set.ts";

export function parseCopyMove(name: "COPY" | "MOVE", uid: boolean): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const set = sequenceSet(cursor);
    cursor.space();
    return { name, uid, set, mailbox: mailbox(cursor) };
  };
}
