/**
 * A surrogate header for clients that cannot take UTF-8 in a header: ASCII that says as much as possible.
 *
 * RFC 6858 (simplified downgrading), with more kept where ascii_field.ts can say it. A local part that is not ASCII
 * cannot be said: its address is replaced by one that is invalid and told in the name (2.1). Identifiers and trace fields
 * with UTF-8 are left out (2.4). Fields in ASCII stay octet by octet, so do the headers of inner parts.
 *
 * Only mail that came as SMTPUTF8 gets one (our Received field says so, RFC 6531 4.3): raw 8-bit header fields of
 * other mail break the rules with or without a surrogate, and clients know how to live with them. Pure.
 */
import { encode, isAscii, latin1 } from "../bytes/decode.ts";
import { surrogateValue } from "./ascii_field.ts";
import { type FieldSpan, fieldValue, scanFields } from "./header.ts";

/** True when the header (any prefix included) is one that a client in ASCII mode must not be sent as it is. */
export function needsSurrogate(header: Uint8Array): boolean {
  if (isAscii(header)) return false;
  const received = scanFields(header, 0, header.length).find(({ name }) => name === "received");
  return received !== undefined && /\swith\s+UTF8SMTP/i.test(fieldValue(header, received));
}

/** The header in ASCII, with its empty line when it has one. */
export function surrogateHeader(header: Uint8Array): Uint8Array {
  let text = "";
  let end = 0;
  for (const span of scanFields(header, 0, header.length)) {
    end = span.end;
    if (isAscii(header, span.start, span.end)) {
      text += latin1(header, span.start, span.end);
      continue;
    }
    if (!isAscii(header, span.start, span.value)) continue; // a name that is none
    const value = surrogateValue(span.name, fieldValue(header, span));
    if (value !== null) text += `${writtenName(header, span)}: ${value}\r\n`;
  }
  return encode(end < header.length ? `${text}\r\n` : text);
}

/** As it stands there, in its letters. */
export function writtenName(header: Uint8Array, span: FieldSpan): string {
  return latin1(header, span.start, span.start + span.name.length);
}
