/**
 * The list of types in NSEC and NSEC3, as it stands on the wire.
 *
 * RFC 4034 4.1.2: windows of 256 types, in order, each with 1 to 32 octets of bits. Kept as octets, because a signature
 * covers them. Pure.
 */

/** Windows in order, each of a lawful length, nothing behind the last one. */
export function isTypeBitmap(octets: Uint8Array): boolean {
  let last = -1;
  for (let at = 0; at < octets.length;) {
    const window = octets[at]!, length = octets[at + 1];
    if (window <= last || length === undefined || length === 0 || length > 32) return false;
    last = window;
    at += 2 + length;
    if (at > octets.length) return false;
  }
  return true;
}

/** True when the type is in the list. */
export function bitmapHas(octets: Uint8Array, type: number): boolean {
  for (let at = 0; at + 1 < octets.length; at += 2 + octets[at + 1]!) {
    if (octets[at] !== type >> 8) continue;
    const index = (type & 0xff) >> 3;
    return index < octets[at + 1]! && (octets[at + 2 + index]! & (0x80 >> (type & 7))) !== 0;
  }
  return false;
}

/** All types in the list, lowest first. */
export function bitmapTypes(octets: Uint8Array): number[] {
  const types: number[] = [];
  for (let at = 0; at + 1 < octets.length; at += 2 + octets[at + 1]!) {
    for (let bit = 0; bit < octets[at + 1]! * 8; bit++) {
      if ((octets[at + 2 + (bit >> 3)]! & (0x80 >> (bit & 7))) !== 0) types.push(octets[at]! << 8 | bit);
    }
  }
  return types;
}

/** The octets of a list. */
export function typeBitmap(types: readonly number[]): Uint8Array {
  const octets: number[] = [];
  const sorted = [...new Set(types)].sort((a, b) => a - b);
  for (let at = 0; at < sorted.length;) {
    const window = sorted[at]! >> 8;
    const bits: number[] = [];
    for (; at < sorted.length && sorted[at]! >> 8 === window; at++) {
      const low = sorted[at]! & 0xff;
      while (bits.length <= low >> 3) bits.push(0);
      bits[low >> 3]! |= 0x80 >> (low & 7);
    }
    octets.push(window, bits.length, ...bits);
  }
  return Uint8Array.from(octets);
}
