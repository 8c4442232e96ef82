/** SELECT and EXAMINE (RFC 3501 6.3.1) with the parameters CONDSTORE and QRESYNC (RFC 7162 3.1.8, 3.2.5). Pure. */
import { LPAREN, RPAREN, SP } from "../../../bytes/ascii.ts";
import type { Command, QresyncParameter } from "../command.ts";
import { atom, type CommandCursor, mailbox, modSequence } from "../lexer.ts";
import { MAX_NUMBER, type SequenceSet, sequenceSet } from "../sequence_set.ts";

export function parseSelect(name: "SELECT" | "EXAMINE"): (cursor: CommandCursor) => Command {
  return (cursor) => {
    cursor.space();
    const parameters: { condstore: boolean; qresync: QresyncParameter | null } = {
      condstore: false,
      qresync: null,
    };
    const box = mailbox(cursor);
    if (cursor.take(SP)) {
      cursor.expect(LPAREN, "parameters");
      do {
        const word = atom(cursor, "a parameter").toUpperCase();
        if (word === "CONDSTORE") parameters.condstore = true;
        else if (word === "QRESYNC" && parameters.qresync === null) parameters.qresync = qresync(cursor);
        else cursor.fail("CONDSTORE or QRESYNC");
      } while (cursor.take(SP));
      cursor.expect(RPAREN, ")");
    }
    return { name, mailbox: box, ...parameters };
  };
}

/** ` (uidvalidity modseq [known-uids] [(known-sequence-set known-uid-set)])`. */
function qresync(cursor: CommandCursor): QresyncParameter {
  cursor.space();
  cursor.expect(LPAREN, "(");
  const uidValidity = cursor.number(MAX_NUMBER, "a UIDVALIDITY");
  cursor.space();
  const modSeq = modSequence(cursor);
  let knownUids: SequenceSet | null = null;
  let pairs = false;
  if (cursor.take(SP)) {
    if (cursor.peek() !== LPAREN) {
      knownUids = sequenceSet(cursor);
      pairs = cursor.take(SP);
    } else pairs = true;
  }
  if (pairs) {
    // Only a hint that may shorten our answer (RFC 7162 3.2.5.2); the expunge log is exact without it.
    cursor.expect(LPAREN, "(");
    sequenceSet(cursor);
    cursor.space();
    sequenceSet(cursor);
    cursor.expect(RPAREN, ")");
  }
  cursor.expect(RPAREN, ")");
  return { uidValidity, modSeq, knownUids, matchData: pairs };
}
