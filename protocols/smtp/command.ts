/**
 * One SMTP command line to a command, or the reply that refuses it.
 *
 * RFC 5321 4.1.1, with LHLO (RFC 2033), ETRN (RFC 1985) and XCLIENT; parameters of MAIL and RCPT are in parameters.ts.
 * Verbs are matched as packed integers. A line with a bare CR or LF or another control octet is no command (RFC 5321
 * 2.3.8).
 */
import { isLetter, SP, TAB } from "../../bytes/ascii.ts";
import { Cursor } from "../../bytes/cursor.ts";
import { latin1 } from "../../bytes/decode.ts";
import { pack, packAt } from "../../bytes/keyword.ts";
import { type MailParameters, mailParameters, type RcptParameters, rcptParameters } from "./parameters.ts";
import { forwardPath, type Path, reversePath } from "./path.ts";
import {
  BAD_RECIPIENT,
  BAD_SENDER,
  NEEDS_SMTPUTF8,
  NO_CHUNK_SIZE,
  type Reply,
  SYNTAX,
  UNKNOWN_COMMAND,
} from "./reply.ts";

export type Command =
  | { readonly verb: "HELO" | "EHLO" | "LHLO"; readonly name: string }
  | { readonly verb: "MAIL"; readonly reversePath: Path | null; readonly parameters: MailParameters }
  | { readonly verb: "RCPT"; readonly forwardPath: Path; readonly parameters: RcptParameters }
  | { readonly verb: "BDAT"; readonly size: number; readonly last: boolean; readonly wellFormed: boolean }
  | { readonly verb: "AUTH"; readonly mechanism: string; readonly initialResponse: string | null }
  /** Text behind VRFY and EXPN; for ETRN the domain with what stands before it. */
  | { readonly verb: "VRFY" | "EXPN" | "ETRN"; readonly text: string }
  | { readonly verb: "XCLIENT"; readonly attributes: ReadonlyMap<string, string> }
  | { readonly verb: "DATA" | "RSET" | "NOOP" | "QUIT" | "HELP" | "STARTTLS" };

export type ParsedCommand = { readonly command: Command } | { readonly refused: Reply };

const HELO = pack("HELO");
const EHLO = pack("EHLO");
const LHLO = pack("LHLO");
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
const ETRN = pack("ETRN");
const STAR = pack("STAR");
const XCLI = pack("XCLI");

const VERBS: ReadonlyMap<number, string> = new Map([
  ...[
    ...[
      "HELO",
      "EHLO",
      "LHLO",
      "MAIL",
      "RCPT",
      "DATA",
      "BDAT",
      "RSET",
      "NOOP",
      "QUIT",
      "VRFY",
      "EXPN",
      "HELP",
    ],
    ...["AUTH", "ETRN"],
  ].map((verb): [number, string] => [pack(verb), verb]),
  [STAR, "STARTTLS"],
  [XCLI, "XCLIENT"],
]);

const HOST_NAME = /^[!-~]{1,255}$/;
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
  if (verb === XCLI) return xclient(latin1(bytes, start, end));
  const after = start + 4;
  if (after < end && bytes[after] !== SP) return { refused: UNKNOWN_COMMAND };
  const bare = onlySpaces(bytes, after, end);
  switch (verb) {
    case HELO:
    case EHLO:
    case LHLO:
      return helo(verb === HELO ? "HELO" : verb === EHLO ? "EHLO" : "LHLO", bytes, after, end);
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
    case VRFY:
    case ETRN: {
      const text = latin1(bytes, after, end).trim();
      const word = verb === VRFY ? "VRFY" : verb === EXPN ? "EXPN" : "ETRN";
      return text === "" ? { refused: SYNTAX } : { command: { verb: word, text } };
    }
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
function helo(verb: "HELO" | "EHLO" | "LHLO", bytes: Uint8Array, at: number, end: number): ParsedCommand {
  const name = latin1(bytes, at, end).trim();
  return HOST_NAME.test(name) ? { command: { verb, name } } : { refused: SYNTAX };
}

function mail(cursor: Cursor): ParsedCommand {
  cursor.space();
  if (!cursor.word("from:")) return { refused: SYNTAX };
  cursor.take(SP); // not in the grammar, but sent by many
  const path = reversePath(cursor);
  if (!cursor.ok) return { refused: BAD_SENDER };
  const parameters = mailParameters(cursor);
  if ("refused" in parameters) return parameters;
  if (path?.international && !parameters.smtputf8) return { refused: NEEDS_SMTPUTF8 };
  return { command: { verb: "MAIL", reversePath: path, parameters } };
}

function rcpt(cursor: Cursor): ParsedCommand {
  cursor.space();
  if (!cursor.word("to:")) return { refused: SYNTAX };
  cursor.take(SP);
  const path = forwardPath(cursor);
  if (path === null) return { refused: BAD_RECIPIENT };
  const parameters = rcptParameters(cursor);
  return "refused" in parameters ? parameters : { command: { verb: "RCPT", forwardPath: path, parameters } };
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

/** Postfix's XCLIENT: `NAME=value` with values in xtext. */
function xclient(line: string): ParsedCommand {
  const words = line.trimEnd().split(/ +/);
  if (words[0]!.toUpperCase() !== "XCLIENT") return { refused: UNKNOWN_COMMAND };
  const attributes = new Map<string, string>();
  for (const word of words.slice(1)) {
    const match = /^([A-Za-z]{1,20})=((?:[!-*,-<>-~]|\+[0-9A-Fa-f]{2})+)$/.exec(word);
    if (match === null) return { refused: SYNTAX };
    const value = match[2]!.replace(/\+(..)/g, (_all, hex) => String.fromCharCode(parseInt(hex, 16)));
    // deno-lint-ignore no-control-regex
    if (/[\x00-\x1f\x7f]/.test(value)) return { refused: SYNTAX };
    attributes.set(match[1]!.toUpperCase(), value);
  }
  return attributes.size === 0 ? { refused: SYNTAX } : { command: { verb: "XCLIENT", attributes } };
}

function hasControl(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i]! < SP && bytes[i] !== TAB) return true;
  return false;
}

function onlySpaces(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = start; i < end; i++) if (bytes[i] !== SP) return false;
  return true;
}
