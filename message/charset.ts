/**
 * Charsets of parts and encoded words: by TextDecoder, with the names that mail uses besides the standard ones, and where it
 * lacks one by a shell of ours (seven_bit_charset.ts) or a library (further_charset.ts).
 */
import { furtherDecoder } from "./further_charset.ts";
import { SEVEN_BIT_CHARSETS } from "./seven_bit_charset.ts";

type Decoder = (bytes: Uint8Array) => string;

const ALIASES: ReadonlyMap<string, string> = new Map([
  ["ansi_x3.4-1968", "windows-1252"],
  ["ascii", "windows-1252"],
  ["us-ascii", "windows-1252"],
  ["unicode-1-1-utf-8", "utf-8"],
  ["utf8", "utf-8"],
  ["utf-8mb4", "utf-8"],
  ["cp1250", "windows-1250"],
  ["cp1251", "windows-1251"],
  ["cp1252", "windows-1252"],
  ["ks_c_5601-1987", "euc-kr"],
  ["cp949", "euc-kr"],
  ["ms949", "euc-kr"],
  ["x-windows-949", "euc-kr"],
  ["gb2312", "gbk"],
  ["x-gbk", "gbk"],
  ["cp936", "gbk"],
  ["ms936", "gbk"],
  ["windows-936", "gbk"],
  ["euc-cn", "gbk"],
  ["cp932", "shift_jis"],
  ["ms932", "shift_jis"],
  ["windows-932", "shift_jis"],
  ["cp950", "big5"],
  ["ms950", "big5"],
  ["windows-950", "big5"],
  ["cp50220", "iso-2022-jp"],
  ["cp50221", "iso-2022-jp"],
  ["iso-2022-jp-1", "iso-2022-jp"],
  ["iso-2022-jp-2", "iso-2022-jp"],
  ["iso-2022-jp-ms", "iso-2022-jp"],
  ["iso-8859-8-i", "iso-8859-8"],
  ["x-mac-ce", "maccenteuro"],
  ["x-mac-centraleurroman", "maccenteuro"],
  ["x-mac-icelandic", "maciceland"],
  ["x-mac-romanian", "macromania"],
]);
const MAX_DECODERS = 200;
const decoders = new Map<string, Decoder | null>();

/** The octets as text, or null when the charset is unknown. Malformed sequences become U+FFFD. */
export function decodeCharset(bytes: Uint8Array, charset: string): string | null {
  return decoderOf(charset)?.(bytes) ?? null;
}

function decoderOf(charset: string): Decoder | null {
  const name = charset.trim().toLowerCase();
  let decoder = decoders.get(name);
  if (decoder === undefined) {
    decoder = newDecoder(name);
    if (decoders.size < MAX_DECODERS) decoders.set(name, decoder);
  }
  return decoder;
}

function newDecoder(name: string): Decoder | null {
  const shell = SEVEN_BIT_CHARSETS.get(name);
  const label = shell?.inside ?? ALIASES.get(name) ?? name;
  const inside = textDecoder(label);
  if (inside === null) return furtherDecoder(label);
  return shell === undefined ? (bytes) => inside.decode(bytes) : (bytes) => inside.decode(shell.open(bytes));
}

function textDecoder(label: string): TextDecoder | null {
  try {
    return new TextDecoder(label);
  } catch {
    return null; // a RangeError is how TextDecoder says "unknown label"
  }
}
