/** Charsets of parts and encoded words, by TextDecoder with the names that mail uses besides the standard ones. */

const ALIASES: Record<string, string> = {
  "ansi_x3.4-1968": "windows-1252",
  "ascii": "windows-1252",
  "us-ascii": "windows-1252",
  "unicode-1-1-utf-8": "utf-8",
  "utf8": "utf-8",
  "utf-8mb4": "utf-8",
  "cp1250": "windows-1250",
  "cp1251": "windows-1251",
  "cp1252": "windows-1252",
  "ks_c_5601-1987": "euc-kr",
  "gb2312": "gbk",
  "x-gbk": "gbk",
  "iso-8859-8-i": "iso-8859-8",
};
const decoders = new Map<string, TextDecoder | null>();

/** The octets as text, or null when the charset is unknown. Malformed sequences become U+FFFD. */
export function decodeCharset(bytes: Uint8Array, charset: string): string | null {
  return decoderOf(charset)?.decode(bytes) ?? null;
}

export function isKnownCharset(charset: string): boolean {
  return decoderOf(charset) !== null;
}

function decoderOf(charset: string): TextDecoder | null {
  const name = charset.trim().toLowerCase();
  let decoder = decoders.get(name);
  if (decoder === undefined) {
    try {
      decoder = new TextDecoder(ALIASES[name] ?? name);
    } catch {
      decoder = null; // a RangeError is how TextDecoder says "unknown label"
    }
    if (decoders.size < 200) decoders.set(name, decoder);
  }
  return decoder;
}
