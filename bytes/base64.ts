/** Base64 (RFC 4648 4; RFC 2045 6.8) of octets, tolerant in decoding as mail requires. */
import { Buffer } from "node:buffer";
import { latin1 } from "./decode.ts";

/** Standard alphabet with padding, without line breaks. */
export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** Lines of 76 characters, each ended by CRLF (RFC 2045 6.8). */
export function encodeBase64Lines(bytes: Uint8Array): string {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += 57) lines.push(encodeBase64(bytes.subarray(at, at + 57)), "\r\n");
  return lines.join("");
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
