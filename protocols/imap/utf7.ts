/**
 * Modified UTF-7, the encoding of mailbox names on the wire.
 *
 * RFC 3501 5.1.3: printable ASCII stands for itself, "&" is "&-", everything else is UTF-16 in base64 with "," for
 * "/" and no padding between "&" and "-". Decoding is strict: what does not encode back to itself is null, because
 * two wire names for one mailbox would confuse clients. Pure.
 */

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
const VALUES = new Int8Array(128).fill(-1);
for (let i = 0; i < 64; i++) VALUES[ALPHABET.charCodeAt(i)] = i;

const AMPERSAND = 0x26;
const HYPHEN = 0x2d;

function isDirect(unit: number): boolean {
  return unit >= 0x20 && unit <= 0x7e;
}

/** A name as it stands on the wire: ASCII only. Lone surrogates become U+FFFD. */
export function encodeUtf7(name: string): string {
  const text = name.toWellFormed();
  let result = "";
  let i = 0;
  while (i < text.length) {
    const unit = text.charCodeAt(i);
    if (unit === AMPERSAND) {
      result += "&-";
      i++;
    } else if (isDirect(unit)) {
      result += text[i];
      i++;
    } else {
      let bits = 0, count = 0;
      result += "&";
      for (; i < text.length && !isDirect(text.charCodeAt(i)); i++) {
        bits = (bits << 16) | text.charCodeAt(i);
        count += 16;
        while (count >= 6) {
          count -= 6;
          result += ALPHABET[(bits >> count) & 63];
        }
        bits &= (1 << count) - 1;
      }
      if (count > 0) result += ALPHABET[(bits << (6 - count)) & 63];
      result += "-";
    }
  }
  return result;
}

/** The name that `wire` encodes, or null when it is not modified UTF-7 in its one canonical form. */
export function decodeUtf7(wire: string): string | null {
  if (!wire.includes("&")) return isPrintable(wire) ? wire : null;
  let result = "";
  let i = 0;
  while (i < wire.length) {
    const unit = wire.charCodeAt(i);
    if (!isDirect(unit)) return null;
    if (unit !== AMPERSAND) {
      result += wire[i++];
      continue;
    }
    const end = wire.indexOf("-", i);
    if (end < 0) return null;
    result += end === i + 1 ? "&" : shifted(wire, i + 1, end);
    i = end + 1;
  }
  return encodeUtf7(result) === wire ? result : null;
}

/** The characters of one base64 run; what is malformed in it does not survive the comparison afterwards. */
function shifted(wire: string, start: number, end: number): string {
  let result = "";
  let bits = 0, count = 0;
  for (let i = start; i < end && wire.charCodeAt(i) !== HYPHEN; i++) {
    const unit = wire.charCodeAt(i);
    bits = (bits << 6) | (unit < 128 ? VALUES[unit]! & 63 : 0);
    count += 6;
    if (count >= 16) {
      count -= 16;
      result += String.fromCharCode((bits >> count) & 0xffff);
      bits &= (1 << count) - 1;
    }
  }
  return result;
}

function isPrintable(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (!isDirect(text.charCodeAt(i))) return false;
  return true;
}
