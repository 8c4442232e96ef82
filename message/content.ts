/** Decoded octets and text of a part: transfer encoding first, then charset. */
import { decodeBase64Body } from "../bytes/base64.ts";
import { latin1 } from "../bytes/decode.ts";
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

/** The text of a part; without or with an unknown charset, UTF-8 where well-formed, else Windows-1252. */
export function decodeText(bytes: Uint8Array, part: { encoding: string; charset: string }): string {
  const octets = decodeTransferEncoding(bytes, part.encoding);
  const charset = part.charset.toLowerCase();
  const named = charset === "" || charset === "us-ascii" ? null : decodeCharset(octets, charset);
  return named ?? decodeRaw(latin1(octets));
}
