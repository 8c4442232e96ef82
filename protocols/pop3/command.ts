/**
 * One POP3 command line to a command, or the words that refuse it.
 *
 * RFC 1939 5 to 7, RFC 2449 3 (grammar), RFC 5034 4 (AUTH), RFC 6856 (UTF8, LANG). Verbs in any case. USER and PASS
 * take the rest of the line as it is, spaces included, because passwords have them. Numbers are below 2^31.
 */
import { isDigit, SP } from "../../bytes/ascii.ts";
import { latin1, utf8OrNull } from "../../bytes/decode.ts";

export type Command =
  | { readonly verb: "USER"; readonly user: string }
  | { readonly verb: "PASS"; readonly password: string }
  /** Without a mechanism: asks for the list of them, as clients before RFC 5034 do. */
  | { readonly verb: "AUTH"; readonly mechanism: string; readonly initialResponse: string | null }
  | { readonly verb: "LIST" | "UIDL"; readonly message: number | null }
  | { readonly verb: "RETR" | "DELE"; readonly message: number }
  | { readonly verb: "TOP"; readonly message: number; readonly lines: number }
  /** Without a range: asks for the list of languages. */
  | { readonly verb: "LANG"; readonly range: string | null }
  | { readonly verb: "STAT" | "NOOP" | "RSET" | "QUIT" | "CAPA" | "STLS" | "UTF8" };

export type Verb = Command["verb"];

/** `verb` is null when the line has none that is known. */
export type ParsedCommand =
  | { readonly command: Command }
  | { readonly verb: Verb | null; readonly fault: string };

/** RFC 2449 4 asks for 255; passwords of 1,024 octets fit. AUTH alone may be longer, its tokens are. */
const MAX_LINE_OCTETS = 1_100;
const MAX_NUMBER = 2 ** 31 - 1;
const UNKNOWN: ParsedCommand = { verb: null, fault: "Unknown command" };

export function parseCommand(bytes: Uint8Array, start: number, end: number): ParsedCommand {
  let at = start;
  while (at < end && at - start < 5 && bytes[at] !== SP) at++;
  if (at - start < 3 || at - start > 4) return UNKNOWN;
  const verb = latin1(bytes, start, at).toUpperCase();
  if (end - start > MAX_LINE_OCTETS && verb !== "AUTH") return { verb: null, fault: "The line is too long" };
  switch (verb) {
    case "RETR":
    case "DELE": {
      const numbers = numbersOf(bytes, at, end);
      return numbers?.length === 1 && numbers[0]! > 0
        ? { command: { verb, message: numbers[0]! } }
        : { verb, fault: "Expected a message number" };
    }
    case "LIST":
    case "UIDL": {
      const numbers = numbersOf(bytes, at, end);
      if (numbers === null || numbers.length > 1 || numbers[0] === 0) {
        return { verb, fault: "Expected a message number or nothing" };
      }
      return { command: { verb, message: numbers[0] ?? null } };
    }
    case "TOP": {
      const numbers = numbersOf(bytes, at, end);
      return numbers?.length === 2 && numbers[0]! > 0
        ? { command: { verb, message: numbers[0]!, lines: numbers[1]! } }
        : { verb, fault: "Expected a message number and a number of lines" };
    }
    case "USER": {
      const user = argument(bytes, at, end)?.trim() ?? "";
      return user === "" ? { verb, fault: "Expected a name in UTF-8" } : { command: { verb, user } };
    }
    case "PASS": {
      const password = argument(bytes, at, end) ?? "";
      return password === ""
        ? { verb, fault: "Expected a password in UTF-8" }
        : { command: { verb, password } };
    }
    case "AUTH": {
      const words = /^(?: +([A-Za-z0-9_-]{1,20})(?: +(\S+))?)? *$/.exec(latin1(bytes, at, end));
      if (words === null) return { verb, fault: "Expected a mechanism and a response" };
      return {
        command: { verb, mechanism: (words[1] ?? "").toUpperCase(), initialResponse: words[2] ?? null },
      };
    }
    case "LANG": {
      const words = /^(?: +([A-Za-z0-9*-]{1,70}))? *$/.exec(latin1(bytes, at, end));
      return words === null
        ? { verb, fault: "Expected a language range" }
        : { command: { verb, range: words[1] ?? null } };
    }
    case "STAT":
    case "NOOP":
    case "RSET":
    case "QUIT":
    case "CAPA":
    case "STLS":
    case "UTF8":
      return onlySpaces(bytes, at, end)
        ? { command: { verb } }
        : { verb, fault: `${verb} takes no argument` };
    default:
      return UNKNOWN;
  }
}

/** Up to two numbers behind spaces; null when there is anything else. */
function numbersOf(bytes: Uint8Array, start: number, end: number): number[] | null {
  const numbers: number[] = [];
  let at = start;
  for (;;) {
    while (at < end && bytes[at] === SP) at++;
    if (at === end) return numbers;
    if (numbers.length === 2) return null;
    let value = 0;
    const from = at;
    while (at < end && isDigit(bytes[at]!)) {
      value = value * 10 + (bytes[at]! - 0x30);
      if (value > MAX_NUMBER) return null;
      at++;
    }
    if (at === from || (at < end && bytes[at] !== SP)) return null;
    numbers.push(value);
  }
}

/** Everything behind the first space; null when it is not UTF-8 or has a NUL. */
function argument(bytes: Uint8Array, at: number, end: number): string | null {
  if (at >= end) return null;
  const text = utf8OrNull(bytes, at + 1, end);
  return text === null || text.includes("\0") ? null : text;
}

function onlySpaces(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] !== SP) return false;
  return true;
}
