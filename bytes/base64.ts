/** Base64 (RFC 4648 4; RFC 2045 6.8) of octets, tolerant in decoding as mail requires. */
import { Buffer } from "node:buffer";
import { CR, LF } from "./ascii.ts";
import { encodeLatin1, latin1 } from "./decode.ts";

/** Standard alphabet with padding, without line breaks. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

const ALPHABET = encodeLatin1("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PAD = 0x3d;
/** Octets of one line of 76 characters (RFC 2045 6.8). */
export const OCTETS_PER_LINE = 57;

/**
 * Writes the octets to `out` in lines of 76 characters, each ended by CRLF; returns the octets written. Large bodies come
 * in multiples of {@linkcode OCTETS_PER_LINE}; `out` has room for 78 for each begun 57.
 */
export function encodeBase64Lines(bytes: Uint8Array, out: Uint8Array): number {
  let length = 0;
  for (let line = 0; line < bytes.length; line += OCTETS_PER_LINE) {
    const end = Math.min(line + OCTETS_PER_LINE, bytes.length);
    for (let i = line; i < end; i += 3) {
      const group = bytes[i]! << 16 | (i + 1 < end ? bytes[i + 1]! << 8 : 0) |
        (i + 2 < end ? bytes[i + 2]! : 0);
      out[length++] = ALPHABET[group >> 18]!;
      out[length++] = ALPHABET[group >> 12 & 63]!;
      out[length++] = i + 1 < end ? ALPHABET[group >> 6 & 63]! : PAD;
      out[length++] = i + 2 < end ? ALPHABET[group & 63]! : PAD;
    }
    out[length++] = CR;
    out[length++] = LF;
  }
  return length;
}

/** Decodes a MIME body: octets outside the alphabet are skipped, padding ends it, a lone last character is dropped. */
export function decodeBase64Body(bytes: Uint8Array, start = 0, end = bytes.length): Uint8Array {
  return new Uint8Array(Buffer.from(latin1(bytes, start, end).replace(/[^A-Za-z0-9+/=]/g, ""), "base64"));
}

/** Decodes strictly (SASL, RFC 4422 4 and RFC 4954 4): null on any octet or padding that does not belong. */
export function decodeBase64Strict(text: string): Uint8Array | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = new Uint8Array(Buffer.from(text, "base64"));
  return encodeBase64(bytes) === text ? bytes : null;
}
