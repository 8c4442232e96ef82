/**
 * One ManageSieve command to its verb and arguments, or the words that refuse it (RFC 5804 2. and 4.).
 *
 * Arguments are strings in UTF-8 (quoted or literal) and numbers of 32 bits. Verbs in any case.
 */
import { encodeLatin1, utf8OrNull } from "../../bytes/decode.ts";

export const VERBS = [
  "AUTHENTICATE",
  "CAPABILITY",
  "CHECKSCRIPT",
  "DELETESCRIPT",
  "GETSCRIPT",
  "HAVESPACE",
  "LISTSCRIPTS",
  "LOGOUT",
  "NOOP",
  "PUTSCRIPT",
  "RENAMESCRIPT",
  "SETACTIVE",
  "STARTTLS",
  "UNAUTHENTICATE",
] as const;
export type Verb = (typeof VERBS)[number];

export type Argument =
  | { readonly kind: "string"; readonly octets: Uint8Array; readonly text: string }
  | { readonly kind: "number"; readonly value: number };

export type ParsedCommand =
  | { readonly verb: Verb; readonly arguments: readonly Argument[] }
  | { readonly verb: Verb | null; readonly fault: string };

const KNOWN: ReadonlySet<string> = new Set(VERBS);
const MAX_NUMBER = 2 ** 32 - 1;
/** RFC 5804 4.: quoted. */
const MAX_QUOTED = 1024;
const TOKEN = /[ \t]*(?:"((?:[^"\\\r\n]|\\["\\])*)"|(0|[1-9][0-9]{0,9}))(?=[ \t]|$)/y;

export function parseCommand(lines: readonly string[], literals: readonly Uint8Array[]): ParsedCommand {
  const head = /^([A-Za-z]{1,20})(?=[ \t]|$)/.exec(lines[0] ?? "")?.[1] ?? "";
  const verb = head.toUpperCase();
  if (!KNOWN.has(verb)) return { verb: null, fault: "Unknown command" };
  const known = verb as Verb;
  const given = parseStrings([(lines[0] ?? "").slice(head.length), ...lines.slice(1)], literals);
  return typeof given === "string" ? { verb: known, fault: given } : { verb: known, arguments: given };
}

/** Arguments alone: what a client answers to a challenge. A text is what is wrong. */
export function parseStrings(
  lines: readonly string[],
  literals: readonly Uint8Array[],
): readonly Argument[] | string {
  const given: Argument[] = [];
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!.trimEnd();
    TOKEN.lastIndex = 0;
    let at = 0;
    while (at < line.length) {
      const match = TOKEN.exec(line);
      if (match === null) return "Expected strings and numbers";
      at = TOKEN.lastIndex;
      if (match[2] === undefined) {
        if (match[1]!.length > MAX_QUOTED) return `A quoted string has at most ${MAX_QUOTED} octets`;
        const octets = encodeLatin1(match[1]!.replace(/\\(.)/g, "$1"));
        const argument = stringOf(octets);
        if (argument === null) return NOT_UTF8;
        given.push(argument);
      } else {
        const value = Number(match[2]);
        if (value > MAX_NUMBER) return "The number is too large";
        given.push({ kind: "number", value });
      }
    }
    const literal = literals[i];
    if (literal !== undefined && i < lines.length - 1) {
      const argument = stringOf(literal);
      if (argument === null) return NOT_UTF8;
      given.push(argument);
    }
  }
  return given;
}

const NOT_UTF8 = "Strings are in UTF-8, without NUL";

function stringOf(octets: Uint8Array): Argument | null {
  const text = utf8OrNull(octets);
  return text === null || text.includes("\0") ? null : { kind: "string", octets, text };
}
