/**
 * Reverse-path and Forward-path of RFC 5321 4.1.2: quoted local parts, address literals, source routes (ignored), the
 * null path, `<Postmaster>` without domain; UTF-8 as RFC 6531 3.3 allows. Limits of RFC 5321 4.5.3.1: 64 octets of local
 * part (without quotes), 255 of domain, 256 of path with its brackets (without source route); 63 of a label (RFC 1035 2.3.4).
 */
import {
  AT,
  BACKSLASH,
  COLON,
  COMMA,
  DOT,
  DQUOTE,
  GREATER,
  HYPHEN,
  LBRACKET,
  LESS,
  RBRACKET,
} from "../../bytes/ascii.ts";
import {
  ATEXT_UTF8,
  charClass,
  DCONTENT,
  LET_DIG,
  NON_ASCII,
  QTEXT_SMTP,
  skipClass,
  SUB_DOMAIN,
} from "../../bytes/char_class.ts";
import type { Cursor } from "../../bytes/cursor.ts";
import { isAscii, latin1, utf8OrNull } from "../../bytes/decode.ts";

const MAX_LOCAL_PART = 64;
const MAX_DOMAIN = 255;
const MAX_PATH = 256;
const MAX_LABEL = 63;
const QTEXT = charClass(QTEXT_SMTP, NON_ASCII);
const QUOTED_PAIR = charClass(" ~");
const DOMAIN_CHAR = charClass(SUB_DOMAIN, NON_ASCII);
const ALNUM = charClass(LET_DIG, NON_ASCII, "_");

export interface Path {
  /** Without quotes and backslashes. */
  readonly localPart: string;
  /** As given; "[127.0.0.1]" for literals, "" for `<Postmaster>`. */
  readonly domain: string;
  /** True when some octet is not ASCII: SMTPUTF8 is needed. A source route, which nobody sends on, does not count. */
  readonly international: boolean;
}

/** `<...>` of MAIL; null is the null reverse path. A fault is in the cursor. */
export function reversePath(cursor: Cursor): Path | null {
  if (!cursor.expect(LESS, "<")) return null;
  if (cursor.take(GREATER)) return null;
  return path(cursor, false);
}

/** `<...>` of RCPT. */
export function forwardPath(cursor: Cursor): Path | null {
  if (!cursor.expect(LESS, "<")) return null;
  return path(cursor, true);
}

/** The path as it stands between the angle brackets, its local part quoted where it must be. */
export function formatPath(path: Path | null): string {
  if (path === null) return "";
  const { localPart, domain } = path;
  const dotString = /^[^\s()<>@,;:\\".[\]]+(\.[^\s()<>@,;:\\".[\]]+)*$/.test(localPart);
  const local = dotString ? localPart : `"${localPart.replace(/[\\"]/g, "\\$&")}"`;
  return domain === "" ? local : `${local}@${domain}`;
}

function path(cursor: Cursor, postmasterAllowed: boolean): Path | null {
  if (cursor.peek() === AT) sourceRoute(cursor);
  const from = cursor.at - 1;
  const localPart = local(cursor);
  let domain = "";
  if (cursor.take(AT)) domain = domainOrLiteral(cursor);
  else if (!postmasterAllowed || localPart.toLowerCase() !== "postmaster") cursor.fail("@ and a domain");
  cursor.expect(GREATER, ">");
  if (cursor.at - from > MAX_PATH) cursor.fail(`a path of at most ${MAX_PATH} octets`);
  if (!cursor.ok) return null;
  return { localPart, domain, international: !isAscii(cursor.bytes, from, cursor.at) };
}

/** A-d-l ":" is read and forgotten (4.1.2, appendix C). */
function sourceRoute(cursor: Cursor): void {
  do {
    cursor.expect(AT, "@ of a source route");
    domainOrLiteral(cursor);
  } while (cursor.take(COMMA));
  cursor.expect(COLON, ": behind a source route");
}

function local(cursor: Cursor): string {
  const start = cursor.at;
  let text: string;
  let quotes = 0;
  if (cursor.take(DQUOTE)) {
    text = quotedString(cursor);
    quotes = 2;
  } else {
    for (;;) {
      const from = cursor.at;
      cursor.at = skipClass(cursor.bytes, { start: from, end: cursor.end }, ATEXT_UTF8);
      if (cursor.at === from) cursor.fail("a local part");
      if (!cursor.take(DOT)) break;
    }
    text = decoded(cursor, start, cursor.at);
  }
  if (cursor.at - start > MAX_LOCAL_PART + quotes) {
    cursor.fail(`a local part of at most ${MAX_LOCAL_PART} octets`);
  }
  return text;
}

function quotedString(cursor: Cursor): string {
  let text = "";
  for (;;) {
    const from = cursor.at;
    cursor.at = skipClass(cursor.bytes, { start: from, end: cursor.end }, QTEXT);
    text += decoded(cursor, from, cursor.at);
    if (cursor.take(DQUOTE)) return text;
    if (!cursor.take(BACKSLASH) || QUOTED_PAIR[cursor.peek()] !== 1) {
      cursor.fail("a closed quoted string");
      return text;
    }
    text += latin1(cursor.bytes, cursor.at, cursor.at + 1);
    cursor.at++;
  }
}

/** Domain or address-literal, also the argument of EHLO. */
function domainOrLiteral(cursor: Cursor): string {
  const start = cursor.at;
  if (cursor.take(LBRACKET)) {
    cursor.run(DCONTENT, "an address literal");
    cursor.expect(RBRACKET, "]");
  } else {
    do label(cursor); while (cursor.take(DOT));
  }
  if (cursor.at - start > MAX_DOMAIN) cursor.fail(`a domain of at most ${MAX_DOMAIN} octets`);
  return cursor.ok ? decoded(cursor, start, cursor.at) : "";
}

function label(cursor: Cursor): void {
  const { bytes } = cursor;
  const from = cursor.at;
  if (ALNUM[cursor.peek()] !== 1) {
    cursor.fail("a domain");
    return;
  }
  cursor.at = skipClass(bytes, { start: from, end: cursor.end }, DOMAIN_CHAR);
  if (bytes[cursor.at - 1] === HYPHEN) cursor.fail("a domain label that does not end with a hyphen");
  // A label in UTF-8 is counted in its ASCII form, where it is looked up.
  if (cursor.at - from > MAX_LABEL && isAscii(bytes, from, cursor.at)) {
    cursor.fail(`a label of at most ${MAX_LABEL} octets`);
  }
}

function decoded(cursor: Cursor, start: number, end: number): string {
  const text = utf8OrNull(cursor.bytes, start, end);
  if (text === null) cursor.fail("UTF-8");
  return text ?? "";
}
