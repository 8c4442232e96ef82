/** Decoded octets and text of a part: transfer encoding first, then charset. */
import { decodeBase64Body } from "../bytes/base64.ts";
import { encodeLatin1, latin1 } from "../bytes/decode.ts";
import { decodeQuotedPrintable } from "../bytes/quoted_printable.ts";
import { decodeCharset } from "./charset.ts";
import { decodeRaw } from "./encoded_word.ts";

/** Undoes the Content-Transfer-Encoding (any case); an unknown one leaves the octets as they are. */
export function decodeTransferEncoding(bytes: Uint8Array, encoding: string): Uint8Array {
  switch (encoding.trim().toLowerCase()) {
    case "base64":
      return decodeBase64Body(bytes);
    case "quoted-printable":
      return decodeQuotedPrintable(bytes);
    default:
      return bytes;
  }
}

/** Charsets in which ASCII octets are what they look like: those of nearly all mail. */
const LIKE_ASCII = /^(?:|us-ascii|utf-8|iso-8859-\d{1,2}|windows-125\d)$/i;
const ENCODED = /^\s*(?:base64|quoted-printable)\s*$/i;

/** As {@linkcode decodeText}, of octets given as characters. */
export function decodeTextOf(octets: string, part: { encoding: string; charset: string }): string {
  // deno-lint-ignore no-control-regex
  const asItIs = !/[^\x00-\x7f]/.test(octets) && LIKE_ASCII.test(part.charset) &&
    !ENCODED.test(part.encoding);
  return asItIs ? octets : decodeText(encodeLatin1(octets), part);
}

/** The text of a part; without or with an unknown charset, UTF-8 where well-formed, else Windows-1252. */
export function decodeText(bytes: Uint8Array, part: { encoding: string; charset: string }): string {
  const octets = decodeTransferEncoding(bytes, part.encoding);
  const charset = part.charset.toLowerCase();
  const named = charset === "" || charset === "us-ascii" ? null : decodeCharset(octets, charset);
  return named ?? decodeRaw(latin1(octets));
}
