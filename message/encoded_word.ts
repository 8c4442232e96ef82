/** Encoded words (RFC 2047): reading them, and writing text that is not ASCII into a header. */
import { decodeBase64Body, encodeBase64 } from "../bytes/base64.ts";
import { encode, encodeLatin1, utf8OrNull } from "../bytes/decode.ts";
import { joined } from "../bytes/joined.ts";
import { decodeCharset } from "./charset.ts";

const WORD = /=\?([^?*\s]+)(?:\*[^?]*)?\?([BbQq])\?([^?]*)\?=/g;
/** 75 characters less `=?UTF-8?B?` and `?=`, in whole groups of four: 45 octets. */
const OCTETS_PER_WORD = 45;
/** Of a character that is cut off. */
const MAX_CUT_OCTETS = 3;
/** What a decoder makes of one. */
const MALFORMED = "\ufffd";

/** Decoded, and what it was decoded from: a character may go on in the next word, though none should (5). */
interface Word {
  readonly charset: string;
  readonly octets: Uint8Array;
  readonly text: string;
}

/** Text of an unstructured value (one character per octet): encoded words decoded, raw octets taken as UTF-8. */
export function decodeHeaderText(value: string): string {
  if (!value.includes("=?")) return decodeRaw(value);
  let result = "";
  let at = 0;
  let previous: Word | null = null;
  for (const match of value.matchAll(WORD)) {
    const between = value.slice(at, match.index);
    const [whole, charset = "", encoding = "", text = ""] = match;
    let octets = encoding === "B" || encoding === "b" ? decodeBase64Body(encodeLatin1(text)) : decodeQ(text);
    // White space between two encoded words belongs to neither (6.2).
    if (previous !== null && !/^[ \t]*$/.test(between)) {
      result += previous.text;
      previous = null;
    }
    if (previous === null) result += decodeRaw(between);
    else {
      const [head, cut] = previous.charset === charset ? withoutCut(previous) : [previous.text, null];
      result += head;
      if (cut !== null) octets = joined([cut, octets]);
    }
    previous = { charset, octets, text: decodeCharset(octets, charset) ?? whole };
    at = match.index + whole.length;
  }
  return result + (previous?.text ?? "") + decodeRaw(value.slice(at));
}

/** The text of a word before a character that its end has cut off, and the octets of that; null: none is. */
function withoutCut({ charset, octets, text }: Word): [string, Uint8Array | null] {
  if (!text.endsWith(MALFORMED)) return [text, null];
  for (let length = 1; length <= Math.min(MAX_CUT_OCTETS, octets.length); length++) {
    const end = octets.length - length;
    const head = decodeCharset(octets.subarray(0, end), charset);
    if (head !== null && !head.endsWith(MALFORMED)) return [head, octets.subarray(end)];
  }
  return [text, null];
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
