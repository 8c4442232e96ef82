/**
 * APPEND up to its message literal (RFC 3501 6.3.11), read before the literal is granted.
 *
 * The command arrives in two halves: this part when the literal is announced, so that a missing mailbox or a full
 * quota costs no upload, and the rest of the line behind the octets. Pure.
 */
import { LPAREN, SP, TILDE } from "../../../bytes/ascii.ts";
import type { AppendStart } from "../command.ts";
import { type CommandCursor, dateTime, type FlagList, flagList, literalSize, mailbox } from "../lexer.ts";
import { DQUOTE } from "../../../bytes/ascii.ts";

const NO_FLAGS: FlagList = { flags: 0, keywords: [] };

/**
 * Reads the arguments after `APPEND`. Null with a sound cursor: the announced literal is not the message but an
 * earlier argument, so it belongs into memory.
 */
export function parseAppendStart(cursor: CommandCursor): AppendStart | null {
  cursor.space();
  if (announcesAtEnd(cursor)) return null; // the mailbox name itself
  const name = mailbox(cursor);
  cursor.space();
  let flags = NO_FLAGS;
  if (cursor.peek() === LPAREN) {
    flags = flagList(cursor);
    cursor.space();
  }
  let internalDate: number | null = null;
  if (cursor.peek() === DQUOTE) {
    internalDate = dateTime(cursor);
    cursor.space();
  }
  // RFC 6855 4: the closing parenthesis stands behind the octets.
  const utf8 = cursor.word("utf8 (");
  if (utf8) cursor.expect(TILDE, "a literal8");
  const sizeOctets = literalSize(cursor);
  if (cursor.at !== cursor.end) cursor.fail("the message as a literal");
  return { mailbox: name, flags, internalDate, sizeOctets, utf8 };
}

/** True when all that is left is one literal announcement. */
function announcesAtEnd(cursor: CommandCursor): boolean {
  const { bytes, at, end } = cursor;
  if (bytes[at] !== 0x7b) return false;
  for (let i = at; i < end; i++) if (bytes[i] === SP || bytes[i] === 0x0a) return i === end - 1;
  return false;
}
