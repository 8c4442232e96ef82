/**
 * Content-Type and Content-Disposition values (RFC 2045 5.1, RFC 2183), their parameters as written and decoded
 * (RFC 2231 continuations, charsets and percent-encoding; encoded words in quotes as some programs send them).
 */
import { encodeLatin1 } from "../bytes/decode.ts";
import { decodeCharset } from "./charset.ts";
import { withoutComments } from "./comment.ts";
import { decodeHeaderText } from "./encoded_word.ts";

const MAX_PARAMETERS = 100;

export interface ParameterizedValue {
  /** As written, without surrounding white space: `text/plain`, `attachment`. */
  readonly value: string;
  /** Names and values as written (values unquoted), in order. */
  readonly parameters: readonly (readonly [string, string])[];
}

/** A type, and behind white space instead of a semicolon a parameter: RFC 2231 itself prints examples so. */
const TYPE_AND_PARAMETER = /^[^\s=";]+(?:\s*\/\s*[^\s=";]+)?(?=\s+[^\s=";]+\s*=)/;
/** A value that is no quoted string, and behind white space the next parameter. */
const VALUE_AND_PARAMETER = /^[^\s=";]+(?=\s+[^\s=";]+\s*=)/;

export function parseParameterized(text: string): ParameterizedValue {
  const semicolon = indexOrEnd(text, ";", 0);
  let value = withoutComments(text.slice(0, semicolon), "").trim();
  let at = semicolon + 1;
  if (value.includes("=")) {
    const type = TYPE_AND_PARAMETER.exec(text)?.[0];
    if (type !== undefined) {
      value = type;
      at = type.length;
    }
  }
  const parameters: [string, string][] = [];
  while (at < text.length && parameters.length < MAX_PARAMETERS) {
    const equals = text.indexOf("=", at);
    if (equals < 0) break;
    const next = text.indexOf(";", at);
    if (next >= 0 && next < equals) {
      at = next + 1; // a parameter without a value
      continue;
    }
    const name = withoutComments(text.slice(at, equals), "").trim();
    let i = equals + 1;
    while (i < text.length && /\s/.test(text[i]!)) i++;
    let parameter = "";
    if (text[i] === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) {
        if (text[i] === "\\" && i + 1 < text.length) i++;
        parameter += text[i];
      }
      at = i + 1;
      const end = indexOrEnd(text, ";", at);
      if (withoutComments(text.slice(at, end), "").trim() === "") at = end + 1;
    } else {
      const rest = text.slice(i, indexOrEnd(text, ";", i));
      const first = rest.includes("=") ? VALUE_AND_PARAMETER.exec(rest)?.[0] : undefined;
      parameter = first ?? withoutComments(rest, "").trim();
      at = i + (first ?? rest).length + (first === undefined ? 1 : 0);
    }
    if (name !== "") parameters.push([name, parameter]);
  }
  return { value, parameters };
}

function indexOrEnd(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at < 0 ? text.length : at;
}

/** A decoded parameter by its name in lower case, or null. */
export function parameter(parsed: ParameterizedValue, name: string): string | null {
  const pieces: { order: number; text: string; extended: boolean }[] = [];
  for (const [written, value] of parsed.parameters) {
    const match = /^([^*]+)(?:\*(\d+))?(\*)?$/.exec(written.toLowerCase());
    if (match === null || match[1] !== name) continue;
    if (match[2] === undefined && match[3] === undefined) return decodeHeaderText(value);
    pieces.push({ order: Number(match[2] ?? 0), text: value, extended: match[3] !== undefined });
  }
  if (pieces.length === 0) return null;
  pieces.sort((a, b) => a.order - b.order);
  let charset = "utf-8";
  let octets = "";
  pieces.forEach(({ text, extended }, i) => {
    if (i === 0 && extended) {
      const quoted = /^([^']*)'[^']*'(.*)$/s.exec(text);
      if (quoted !== null) {
        charset = quoted[1] || charset;
        text = quoted[2] ?? "";
      }
    }
    octets += extended
      ? text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
      : text;
  });
  return decodeCharset(encodeLatin1(octets), charset) ?? octets;
}
