/**
 * String arguments: encoded characters (RFC 5228 2.4.2.4) are undone first, then variables are put in (RFC 5229 3).
 *
 * A text without variables is a constant, expanded once when the script is checked. Names of variables are in lower case;
 * match variables are their number in decimal. What does not spell a variable stays as it is written.
 */
import { utf8 } from "../bytes/decode.ts";

/** Values of variables, and the limit of what an expansion may become. */
export interface Variables {
  variable(name: string): string;
  /** Throws when it is too long. */
  limit(text: string): string;
}

export interface Text {
  readonly at: number;
  /** As it stands in the script, encoded characters undone. */
  readonly written: string;
  /** Null where variables stand in it. */
  readonly constant: string | null;
  expand(run: Variables): string;
}

export interface TextOptions {
  readonly encodedCharacter: boolean;
  readonly variables: boolean;
  /** Namespaces that may stand before a name: `global` of RFC 6609. */
  readonly namespaces: ReadonlySet<string>;
}

const ENCODED =
  /\$\{(hex|unicode):((?:[ \t]|\r?\n)*[0-9a-f]+(?:(?:[ \t]|\r?\n)+[0-9a-f]+)*(?:[ \t]|\r?\n)*)\}/gi;
const VARIABLE = /\$\{((?:[a-z_][a-z0-9_]*\.)*(?:[a-z_][a-z0-9_]*|[0-9]+))\}/gi;
/** An index of a match variable has at most these digits; more would be none. */
const MAX_INDEX_DIGITS = 9;

/** A name of a variable as it is kept; null when it is none. Match variables are only read. */
export function variableName(text: string, namespaces: ReadonlySet<string>): string | null {
  const name = text.toLowerCase();
  if (!/^(?:[a-z_][a-z0-9_]*\.)*[a-z_][a-z0-9_]*$/.test(name)) return null;
  const dot = name.lastIndexOf(".");
  return dot < 0 || namespaces.has(name.slice(0, dot)) ? name : null;
}

export function literal(text: string, at = 0): Text {
  return { at, written: text, constant: text, expand: () => text };
}

/** The text of a string, or what is wrong with it. */
export function parseText({ text, at }: { text: string; at: number }, options: TextOptions): Text | string {
  let decoded = text;
  if (options.encodedCharacter && text.includes("${")) {
    const result = decodeCharacters(text);
    if (result === null) return "the character number is not in Unicode";
    decoded = result;
  }
  if (!options.variables || !decoded.includes("${")) return literal(decoded, at);
  const pieces: (string | { readonly name: string })[] = [];
  let from = 0;
  for (const match of decoded.matchAll(VARIABLE)) {
    const name = referenced(match[1]!, options.namespaces);
    if (name === null) return `there is no namespace in "${match[1]}" here`;
    pieces.push(decoded.slice(from, match.index), { name });
    from = match.index + match[0].length;
  }
  if (pieces.length === 0) return literal(decoded, at);
  pieces.push(decoded.slice(from));
  return {
    at,
    written: decoded,
    constant: null,
    expand: (run) => {
      let result = "";
      for (const piece of pieces) result += typeof piece === "string" ? piece : run.variable(piece.name);
      return run.limit(result);
    },
  };
}

function referenced(text: string, namespaces: ReadonlySet<string>): string | null {
  if (!/^[0-9]+$/.test(text)) return variableName(text, namespaces);
  const digits = text.replace(/^0+(?=.)/, "");
  return digits.length > MAX_INDEX_DIGITS ? "none" : digits;
}

/** Null where a number is outside of Unicode. Octets that make up UTF-8 together are one character. */
function decodeCharacters(text: string): string | null {
  let outside = false;
  const result = text.replace(ENCODED, (whole, kind: string, list: string) => {
    const numbers = list.trim().split(/\s+/).map((word) => ({ word, value: parseInt(word, 16) }));
    if (kind.toLowerCase() === "hex") {
      if (numbers.some(({ word }) => word.length > 2)) return whole;
      return utf8(Uint8Array.from(numbers, ({ value }) => value));
    }
    if (numbers.some(({ value }) => value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))) {
      outside = true;
      return whole;
    }
    return String.fromCodePoint(...numbers.map(({ value }) => value));
  });
  return outside ? null : result;
}
