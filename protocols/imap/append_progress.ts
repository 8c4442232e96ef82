/**
 * What may stand before, between and behind the messages of one APPEND (RFC 3501 6.3.11, RFC 3502) or REPLACE
 * (RFC 8508). Pure.
 */
import { RPAREN } from "../../bytes/ascii.ts";
import type { AppendMessage, AppendStart } from "./command.ts";
import { parseAppendNext } from "./commands/append.ts";
import type { CommandCursor } from "./lexer.ts";
import type { Reply } from "./reply.ts";

export class AppendProgress {
  readonly #messageOctets: number;
  /** A parenthesis is to follow the message in hand (RFC 6855 4). */
  #closes = false;
  /** Further messages may follow. */
  #many = false;

  /** `messageOctets`: the largest message. */
  constructor(messageOctets: number) {
    this.#messageOctets = messageOctets;
  }

  /** Why the first message cannot be taken; null when it can. `utf8`: the client may send such. */
  begin({ replaces, message }: AppendStart, utf8: boolean): Reply | null {
    this.#many = replaces === null;
    return this.take(message, utf8);
  }

  /** Reads what announces a further message. */
  next(cursor: CommandCursor): AppendMessage {
    if (!this.#many) cursor.fail("the end of the command behind the message");
    return parseAppendNext(cursor, this.#closes);
  }

  /** Why this message cannot be taken; null when it can. */
  take({ utf8, sizeOctets }: AppendMessage, utf8Enabled: boolean): Reply | null {
    if (utf8 && !utf8Enabled) return { status: "BAD", text: "ENABLE UTF8=ACCEPT first" };
    this.#closes = utf8;
    if (sizeOctets <= this.#messageOctets) return null;
    return { status: "NO", code: "TOOBIG", text: `The message is larger than ${this.#messageOctets} octets` };
  }

  /** Whether the command ends well with these octets behind its last message. */
  ends(bytes: Uint8Array, start: number, end: number): boolean {
    return this.#closes ? end === start + 1 && bytes[start] === RPAREN : start === end;
  }
}
