/** Encoded words (RFC 2047): reading them, and writing text that is not ASCII into a header. */
import { decodeBase64Body, encodeBase64 } from "../bytes/base64.ts";
import { encode, encodeLatin1, utf8OrNull } from "../bytes/decode.ts";
import { decodeCharset } from "./charset.ts";

const WORD = /=\?([^?*\s]+)(?:\*[^?]*)?\?([BbQq])\?([^?]*)\?=/g;
/** 75 characters less `=?UTF-8?B?` and `?=`, in whole groups of four: 45 octets. */
const OCTETS_PER_WORD = 45;

/** Text of an unstructured value (one character per octet): encoded words decoded, raw octets taken as UTF-8. */
export function decodeHeaderText(value: string): string {
  if (!value.includes("=?")) return decodeRaw(value);
  let result = "";
  let at = 0;
  let previousWasWord = false;
  for (const match of value.matchAll(WORD)) {
    const between = value.slice(at, match.index);
    // White space between two encoded words belongs to neither (6.2).
    if (!(previousWasWord && /^[ \t]*$/.test(between))) result += decodeRaw(between);
    const [whole, charset = "", encoding = "", text = ""] = match;
    const octets = encoding === "B" || encoding === "b"
      ? decodeBase64Body(encodeLatin1(text))
      : decodeQ(text);
    result += decodeCharset(octets, charset) ?? whole;
    at = match.index + whole.length;
    previousWasWord = true;
  }
  return result + decodeRaw(value.slice(at));
}

/** A string for a header: itself when it is ASCII, else encoded words in UTF-8 joined by folding white space. */
export function encodeHeaderText(text: string): string {
  if (!/[^\x20-\x7e\t]/.test(text)) return text;
  const words: string[] = [];
  let piece: number[] = [];
  for (const character of text) {
    const octets = encode(character);
    if (piece.length + octets.length > OCTETS_PER_WORD) {
      words.push(`=?UTF-8?B?${encodeBase64(Uint8Array.from(piece))}?=`);
      piece = [];
    }
    piece.push(...octets);
  }
  if (piece.length > 0) words.push(`=?UTF-8?B?${encodeBase64(Uint8Array.from(piece))}?=`);
  return words.join(" ");
}

/** Octets that are no ASCII, as characters: UTF-8 where well-formed, else each octet as Windows-1252. */
export function decodeRaw(value: string): string {
  // deno-lint-ignore no-control-regex
  if (!/[^\x00-\x7f]/.test(value)) return value;
  const octets = encodeLatin1(value);
  return utf8OrNull(octets) ?? new TextDecoder("windows-1252").decode(octets);
}

function decodeQ(text: string): Uint8Array {
  return encodeLatin1(
    text.replaceAll("_", " ").replace(
      /=([0-9A-Fa-f]{2})/g,
      (_, hex: string) => String.fromCharCode(parseInt(hex, 16)),
    ),
  );
}
