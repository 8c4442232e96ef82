/** Macros of SPF (RFC 7208 7): `%{ir}.%{v}._spf.%{d2}` to a name or an explanation. Pure. */
import type { Steps } from "../bytes/steps.ts";
import { formatIpv6, parseIpv4, parseIpv6 } from "../dns/ip_address.ts";

/** What the letters stand for. */
export interface MacroFacts {
  /** `s`: the sender, with `postmaster` where it has no local part. */
  readonly sender: string;
  /** `d`: the domain that is being evaluated. */
  readonly domain: string;
  /** `c` and `i`. */
  readonly address: string;
  readonly helo: string;
  /** `r`: our own name. */
  readonly receiver: string;
  /** `t`: seconds since the epoch. */
  readonly seconds: number;
  /** `p`, looked up only where it is used. */
  readonly validatedName: () => Steps<string>;
}

const EXPAND = /%\{([a-z])(\d*)(r?)([.\-+,/_=]*)\}|%[%_-]/gi;
/** What may stand between macros, and macros; `c`, `r` and `t` are for explanations only (RFC 7208 7.2). */
const MACRO_STRING = /^(?:%\{[slodiphv]\d*r?[.\-+,/_=]*\}|%[%_-]|[\x21-\x24\x26-\x7e])*$/i;
const MACRO_STRING_WITH_SPACES = /^(?:%\{[slodiphvcrt]\d*r?[.\-+,/_=]*\}|%[%_-]|[\x20-\x24\x26-\x7e])*$/i;
const MAX_NAME = 253;

export function checkMacroString(text: string): boolean {
  return MACRO_STRING.test(text) && !/%\{[a-z]0+[^1-9]/i.test(text);
}

export function checkExplanation(text: string): boolean {
  return MACRO_STRING_WITH_SPACES.test(text);
}

/** A domain-spec; labels are dropped from the left until it fits into a name (RFC 7208 7.3). */
export function* expandDomain(text: string, facts: MacroFacts): Steps<string> {
  let name = yield* expand(text, facts);
  while (name.length > MAX_NAME && name.includes(".")) name = name.slice(name.indexOf(".") + 1);
  return name;
}

export function* expand(text: string, facts: MacroFacts): Steps<string> {
  let result = "";
  let last = 0;
  for (const match of text.matchAll(EXPAND)) {
    result += text.slice(last, match.index);
    last = match.index + match[0].length;
    result += match[1] === undefined ? ESCAPES[match[0]] ?? "" : yield* macro(match, facts);
  }
  return result + text.slice(last);
}

const ESCAPES: Readonly<Record<string, string>> = { "%%": "%", "%_": " ", "%-": "%20" };

function* macro(match: RegExpExecArray, facts: MacroFacts): Steps<string> {
  const [, letter, digits, reversed, delimiters] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
  ];
  const separators = delimiters === "" ? "." : delimiters;
  let parts = split(yield* valueOf(letter.toLowerCase(), facts), separators);
  if (reversed !== "") parts.reverse();
  if (digits !== "") parts = parts.slice(-Math.max(1, Math.min(128, Number(digits))));
  const text = parts.join(".");
  // An upper-case letter asks for URL escapes.
  return letter === letter.toLowerCase() ? text : encodeURIComponent(text).replace(/[!'()*]/g, percent);
}

function percent(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function split(value: string, separators: string): string[] {
  const parts: string[] = [""];
  for (const character of value) {
    if (separators.includes(character)) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}

function* valueOf(letter: string, facts: MacroFacts): Steps<string> {
  const at = facts.sender.lastIndexOf("@");
  switch (letter) {
    case "s":
      return facts.sender;
    case "l":
      return facts.sender.slice(0, at);
    case "o":
      return facts.sender.slice(at + 1);
    case "d":
      return facts.domain;
    case "i":
      return dotted(facts.address);
    case "p":
      return yield* facts.validatedName();
    case "v":
      return parseIpv4(facts.address) === null ? "ip6" : "in-addr";
    case "h":
      return facts.helo;
    case "c":
      return facts.address;
    case "r":
      return facts.receiver;
    default: // t
      return String(facts.seconds);
  }
}

/** `i`: dotted decimal, or one nibble a label (RFC 7208 7.3). */
function dotted(address: string): string {
  const six = parseIpv4(address) === null ? parseIpv6(address) : null;
  if (six === null) return address;
  return [...six].flatMap((octet) => [octet >> 4, octet & 15]).map((nibble) =>
    nibble.toString(16).toUpperCase()
  )
    .join(".");
}

/** `c` of an IPv6 address in its usual form. */
export function readable(address: string): string {
  const six = parseIpv6(address);
  return six === null ? address : formatIpv6(six);
}
