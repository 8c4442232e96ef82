/**
 * APPEND (RFC 3501 6.3.11) and REPLACE (RFC 8508) up to their message literals, read before a literal is granted.
 *
 * Such a command arrives in pieces: its beginning when the first message is announced, so that a missing mailbox or a
 * full quota costs no upload, then what stands behind each message: the end of the line, or the announcement of the next
 * one (RFC 3502). literal8: RFC 3516 4.4. Pure.
 */
import { DQUOTE, LPAREN, RPAREN, SP, TILDE } from "../../../bytes/ascii.ts";
import type { AppendMessage, AppendStart } from "../command.ts";
import { type CommandCursor, dateTime, type FlagList, flagList, literalSize, mailbox } from "../lexer.ts";
import { seqNumber } from "../sequence_set.ts";

const NO_FLAGS: FlagList = { flags: 0, keywords: [] };

/**
 * Reads the arguments after the command's name. Null with a sound cursor: the announced literal is not the message but
 * an earlier argument, so it belongs into memory.
 */
export function parseAppendStart(cursor: CommandCursor, name: string): AppendStart | null {
  cursor.space();
  let replaces: AppendStart["replaces"] = null;
  if (name !== "APPEND") {
    replaces = { uid: name === "UID REPLACE", number: seqNumber(cursor) };
    cursor.space();
  }
  if (announcesAtEnd(cursor)) return null; // the mailbox name itself
  const target = mailbox(cursor);
  return { mailbox: target, replaces, message: appendMessage(cursor) };
}

/** What announces a further message; `closes` as the one before it came as `UTF8 (...)`. */
export function parseAppendNext(cursor: CommandCursor, closes: boolean): AppendMessage {
  if (closes) cursor.expect(RPAREN, ")");
  return appendMessage(cursor);
}

/** append-message (RFC 4466 6, RFC 3502), without the octets of its literal. */
function appendMessage(cursor: CommandCursor): AppendMessage {
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
  const binary = cursor.take(TILDE);
  if (utf8 && !binary) cursor.fail("a literal8");
  const sizeOctets = literalSize(cursor);
  if (cursor.at !== cursor.end) cursor.fail("the message as a literal");
  return { flags, internalDate, sizeOctets, utf8, binary };
}

/** True when all that is left is one literal announcement. */
function announcesAtEnd(cursor: CommandCursor): boolean {
  const { bytes, at, end } = cursor;
  if (bytes[at] !== 0x7b) return false;
  for (let i = at; i < end; i++) if (bytes[i] === SP || bytes[i] === 0x0a) return i === end - 1;
  return false;
}
