/**
 * One SMTP command line to a command, or the reply that refuses it.
 *
 * RFC 5321 4.1.1 and 4.1.2; parameters of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531), AUTH
 * (RFC 4954 5, read and ignored); anything else is 555. Verbs are matched as packed integers. A line with a bare CR or
 * LF or another control octet is no command (RFC 5321 2.3.8).
 */
import { EQUAL, isLetter, SP, TAB } from "../../bytes/ascii.ts";
import { charClass, ESMTP_VALUE, LET_DIG, NON_ASCII } from "../../bytes/char_class.ts";
import { Cursor } from "../../bytes/cursor.ts";
import { latin1 } from "../../bytes/decode.ts";
import { pack, packAt } from "../../bytes/keyword.ts";
import { forwardPath, type Path, reversePath } from "./path.ts";
import {
  BAD_RECIPIENT,
  BAD_SENDER,
  NEEDS_SMTPUTF8,
  NO_CHUNK_SIZE,
  type Reply,
  SYNTAX,
  UNKNOWN_COMMAND,
  UNKNOWN_PARAMETER,
} from "./reply.ts";

export interface MailParameters {
  /** Announced octets; null without SIZE. */
  readonly size: number | null;
  readonly body: "7BIT" | "8BITMIME";
  readonly smtputf8: boolean;
}

export type Command =
  | { readonly verb: "HELO" | "EHLO"; readonly name: string }
  | { readonly verb: "MAIL"; readonly reversePath: Path | null; readonly parameters: MailParameters }
  | { readonly verb: "RCPT"; readonly forwardPath: Path }
  | { readonly verb: "BDAT"; readonly size: number; readonly last: boolean; readonly wellFormed: boolean }
  | { readonly verb: "AUTH"; readonly mechanism: string; readonly initialResponse: string | null }
  | { readonly verb: "VRFY"; readonly text: string }
  | { readonly verb: "DATA" | "RSET" | "NOOP" | "QUIT" | "HELP" | "STARTTLS" | "EXPN" };

export type ParsedCommand = { readonly command: Command } | { readonly refused: Reply };

const HELO = pack("HELO");
const EHLO = pack("EHLO");
const MAIL = pack("MAIL");
const RCPT = pack("RCPT");
const DATA = pack("DATA");
const BDAT = pack("BDAT");
const RSET = pack("RSET");
const NOOP = pack("NOOP");
const QUIT = pack("QUIT");
const VRFY = pack("VRFY");
const EXPN = pack("EXPN");
const HELP = pack("HELP");
export const AUTH = pack("AUTH");
const STAR = pack("STAR");

const VERBS: ReadonlyMap<number, string> = new Map([
  ...["HELO", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "QUIT", "VRFY", "EXPN", "HELP", "AUTH"]
    .map(
      (verb): [number, string] => [pack(verb), verb],
    ),
  [STAR, "STARTTLS"],
]);

const KEYWORD = charClass(LET_DIG, "-");
const VALUE = charClass(ESMTP_VALUE, NON_ASCII);
const HOST_NAME = /^[!-~]{1,255}$/;
const MAX_SIZE = Number.MAX_SAFE_INTEGER;
/** Octets of one BDAT chunk; what is larger than a message may be is refused by size anyway. */
const MAX_CHUNK = 2 ** 40;

/** The verb a line begins with, for metrics and logs; "" when it is none of ours. */
export function verbAt(bytes: Uint8Array, start: number, end: number): string {
  return end - start < 4 ? "" : VERBS.get(packAt(bytes, start)) ?? "";
}

export function parseCommand(bytes: Uint8Array, start: number, end: number): ParsedCommand {
  if (end - start < 4 || hasControl(bytes, start, end)) return { refused: UNKNOWN_COMMAND };
  for (let i = 0; i < 4; i++) if (!isLetter(bytes[start + i]!)) return { refused: UNKNOWN_COMMAND };
  const verb = packAt(bytes, start);
  if (verb === STAR) {
    const word = latin1(bytes, start, end).trimEnd().toUpperCase();
    if (word === "STARTTLS") return { command: { verb: "STARTTLS" } };
    return { refused: word.startsWith("STARTTLS ") ? SYNTAX : UNKNOWN_COMMAND };
  }
  const after = start + 4;
  if (after < end && bytes[after] !== SP) return { refused: UNKNOWN_COMMAND };
  const bare = onlySpaces(bytes, after, end);
  switch (verb) {
    case HELO:
    case EHLO:
      return helo(verb === HELO ? "HELO" : "EHLO", bytes, after, end);
    case MAIL:
      return mail(new Cursor(bytes, after, end));
    case RCPT:
      return rcpt(new Cursor(bytes, after, end));
    case DATA:
      return bare ? { command: { verb: "DATA" } } : { refused: SYNTAX };
    case BDAT:
      return bdat(new Cursor(bytes, after, end));
    case RSET:
      return bare ? { command: { verb: "RSET" } } : { refused: SYNTAX };
    case QUIT:
      return bare ? { command: { verb: "QUIT" } } : { refused: SYNTAX };
    case NOOP:
      return { command: { verb: "NOOP" } };
    case HELP:
      return { command: { verb: "HELP" } };
    case EXPN:
      return { command: { verb: "EXPN" } };
    case VRFY:
      return bare ? { refused: SYNTAX } : { command: { verb: "VRFY", text: latin1(bytes, after + 1, end) } };
    case AUTH:
      return auth(bytes, after, end);
    default:
      return { refused: UNKNOWN_COMMAND };
  }
}

/**
 * Real hosts greet with names that are no domains (underscores, missing dots, no brackets): any printable word is a
 * name here, and what it is worth is for policy to say. RFC 6531 3.7.1 keeps it ASCII.
 */
function helo(verb: "HELO" | "EHLO", bytes: Uint8Array, at: number, end: number): ParsedCommand {
  const name = latin1(bytes, at, end).trim();
  return HOST_NAME.test(name) ? { command: { verb, name } } : { refused: SYNTAX };
}

function mail(cursor: Cursor): ParsedCommand {
  cursor.space();
  if (!cursor.word("from:")) return { refused: SYNTAX };
  cursor.take(SP); // not in the grammar, but sent by many
  const path = reversePath(cursor);
  if (!cursor.ok) return { refused: BAD_SENDER };
  let size: number | null = null;
  let body: "7BIT" | "8BITMIME" | null = null;
  let smtputf8 = false;
  for (;;) {
    const parameter = nextParameter(cursor);
    if (parameter === null) break;
    if (parameter === "malformed") return { refused: SYNTAX };
    const { keyword, value } = parameter;
    if (keyword === "SIZE") {
      if (value === null || !/^\d{1,20}$/.test(value) || size !== null) return { refused: SYNTAX };
      size = Math.min(Number(value), MAX_SIZE);
    } else if (keyword === "BODY") {
      const kind = value?.toUpperCase();
      if ((kind !== "7BIT" && kind !== "8BITMIME") || body !== null) return { refused: SYNTAX };
      body = kind;
    } else if (keyword === "SMTPUTF8") {
      if (value !== null || smtputf8) return { refused: SYNTAX };
      smtputf8 = true;
    } else if (keyword !== "AUTH" || value === null) return { refused: UNKNOWN_PARAMETER };
  }
  if (path?.international && !smtputf8) return { refused: NEEDS_SMTPUTF8 };
  return {
    command: { verb: "MAIL", reversePath: path, parameters: { size, body: body ?? "7BIT", smtputf8 } },
  };
}

function rcpt(cursor: Cursor): ParsedCommand {
  cursor.space();
  if (!cursor.word("to:")) return { refused: SYNTAX };
  cursor.take(SP);
  const path = forwardPath(cursor);
  if (path === null) return { refused: BAD_RECIPIENT };
  const parameter = nextParameter(cursor);
  if (parameter === "malformed") return { refused: SYNTAX };
  if (parameter !== null) return { refused: UNKNOWN_PARAMETER };
  return { command: { verb: "RCPT", forwardPath: path } };
}

/** The next ` KEYWORD[=value]`; null at the end (trailing spaces are let be). */
function nextParameter(cursor: Cursor): { keyword: string; value: string | null } | "malformed" | null {
  if (onlySpaces(cursor.bytes, cursor.at, cursor.end)) return null;
  if (!cursor.space()) return "malformed";
  const keyword = cursor.run(KEYWORD, "a parameter")?.toUpperCase();
  if (keyword === undefined) return "malformed";
  if (!cursor.take(EQUAL)) return { keyword, value: null };
  const value = cursor.run(VALUE, "a value");
  return value === null ? "malformed" : { keyword, value };
}

/**
 * RFC 3030 2. Without a size nobody knows where the chunk ends, and its octets must not be read as commands: the
 * reply ends the session. A fault behind the size costs the chunk only.
 */
function bdat(cursor: Cursor): ParsedCommand {
  cursor.space();
  const size = cursor.number(MAX_CHUNK, "a chunk size");
  if (!cursor.ok) return { refused: NO_CHUNK_SIZE };
  const last = cursor.take(SP) && cursor.word("last");
  const wellFormed = onlySpaces(cursor.bytes, cursor.at, cursor.end);
  return { command: { verb: "BDAT", size, last, wellFormed } };
}

/** RFC 4954 4. */
function auth(bytes: Uint8Array, at: number, end: number): ParsedCommand {
  const match = /^ +([A-Za-z0-9_-]{1,20})(?: +(\S+))? *$/.exec(latin1(bytes, at, end));
  if (match === null) return { refused: SYNTAX };
  return { command: { verb: "AUTH", mechanism: match[1]!.toUpperCase(), initialResponse: match[2] ?? null } };
}

function hasControl(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! < SP && bytes[i] !== TAB) return true;
  return false;
}

function onlySpaces(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== SP) return false;
  return true;
}
