/** AUTHENTICATE with an optional initial response (RFC 3501 6.2.2, RFC 4959). Pure. */
import { SP } from "../../../bytes/ascii.ts";
import { charClass } from "../../../bytes/char_class.ts";
import type { Command } from "../command.ts";
import { atom, type CommandCursor } from "../lexer.ts";

const BASE64_OCTET = charClass("az", "AZ", "09", "+", "/", "=");

export function parseAuthenticate(cursor: CommandCursor): Command {
  cursor.space();
  const mechanism = atom(cursor, "a SASL mechanism").toUpperCase();
  const initialResponse = cursor.take(SP) ? cursor.run(BASE64_OCTET, "base64") : null;
  return { name: "AUTHENTICATE", mechanism, initialResponse };
}
