/**
 * Octets to strings and back, by the fastest way for each length.
 *
 * `latin1` is for octets known to be ASCII, or where one character per octet is wanted; it is a tenth of
 * the cost of a TextDecoder. `utf8OrNull` is the checked form: null instead of replacement characters.
 */
import { Buffer } from "node:buffer";

// Node's own method, missing from the type definitions; it takes any Uint8Array as its receiver.
const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice(this: Uint8Array, start: number, end: number): string;
};
const utf8Fatal = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const utf8Lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

/** One character per octet (ISO-8859-1). */
export function latin1(bytes: Uint8Array, start = 0, end = bytes.length): string {
  if (end - start <= 4) {
    let text = "";
    for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i]!);
    return text;
  }
  return latin1Slice.call(bytes, start, end);
}

/** The octets as UTF-8, malformed sequences as U+FFFD. */
export function utf8(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return isAscii(bytes, start, end)
    ? latin1(bytes, start, end)
    : utf8Lossy.decode(bytes.subarray(start, end));
}

/** The octets as UTF-8, or null when they are not well-formed. */
export function utf8OrNull(bytes: Uint8Array, start = 0, end = bytes.length): string | null {
  if (isAscii(bytes, start, end)) return latin1(bytes, start, end);
  try {
    return utf8Fatal.decode(bytes.subarray(start, end));
  } catch {
    return null; // the decoder's only way to say "malformed"
  }
}

/** True when no octet of `[start, end)` has its high bit set. */
export function isAscii(bytes: Uint8Array, start = 0, end = bytes.length): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! >= 0x80) return false;
  return true;
}

/** A string as UTF-8 in an array of its own. */
export function encode(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** A string of characters below U+0100 as one octet each. */
export function encodeLatin1(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  // Six times faster than the loop; a character beyond ASCII makes the UTF-8 longer than there is room, and it stops.
  if (encoder.encodeInto(text, bytes).read === text.length) return bytes;
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
