/**
 * Charsets that TextDecoder does not know, by iconv-lite: UTF-7, UTF-32, those of DOS and the Macintosh. Few messages are in
 * any of them, and its tables take three megabytes of a thread: they are loaded when the first text asks for them.
 */
import { Buffer } from "node:buffer";

/** What iconv-lite also takes for charsets, and are none. */
const NO_CHARSETS = /^(?:base64|hex|binary|internal|utf-?7-?imap)/;

/** The octets as text, or null when the charset is unknown here too. Malformed sequences become U+FFFD. */
export async function decodeFurtherCharset(bytes: Uint8Array, charset: string): Promise<string | null> {
  const name = charset.trim().toLowerCase();
  if (NO_CHARSETS.test(name)) return null;
  const { default: iconv } = await import("iconv-lite");
  if (!iconv.encodingExists(name)) return null;
  const { buffer, byteOffset, byteLength } = bytes;
  return iconv.decode(Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength), name);
}
