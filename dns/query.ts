/**
 * One question as it goes out, and whether what comes back answers it.
 *
 * RFC 5452 9.1 (what must match), RFC 1035 7.3. The case of the letters of the name is random and must come back as
 * it was sent ("0x20"), which makes an answer harder to guess. Pure: randomness is an argument.
 */
import { isLetter } from "../bytes/ascii.ts";
import { CLASS_IN, decodeMessage, encodeMessage, type Message, messageId, RCODES } from "./message.ts";
import { canonicalName } from "./name.ts";

/** Below any fragmentation on today's paths (DNS flag day 2020). */
export const UDP_OCTETS = 1_232;

/** The EDNS option of RFC 7873. */
const COOKIE = 10;
export const CLIENT_COOKIE_OCTETS = 8;

/** A uniform whole number from 0 to `limit` - 1, not to be guessed. */
export type RandomBelow = (limit: number) => number;

export interface QuerySpec {
  /** Canonical. */
  readonly name: string;
  /** TYPE code. */
  readonly type: number;
  readonly mixedCase: boolean;
  readonly edns: boolean;
  /** Ask a recursive server (the default), or the server of a zone. */
  readonly recursion?: boolean;
  /** Have signatures sent (RFC 4035 3.2.1), and whatever a recursive server thinks of them (CD, 3.2.2). */
  readonly dnssec?: boolean;
  /** RFC 7873 4: our 8 octets, and the server's behind them when it has given us some. */
  readonly cookie?: Uint8Array | null;
}

export interface Query {
  readonly id: number;
  /** In the case that was sent. */
  readonly name: string;
  readonly type: number;
  readonly edns: boolean;
  readonly cookie: Uint8Array | null;
  readonly octets: Uint8Array<ArrayBuffer>;
}

export function buildQuery(spec: QuerySpec, random: RandomBelow): Query {
  const id = random(0x10000);
  const name = spec.mixedCase ? randomCase(spec.name, random) : spec.name;
  const recursion = spec.recursion ?? true, dnssec = spec.edns && spec.dnssec === true;
  const cookie = spec.edns ? spec.cookie ?? null : null;
  const options = cookie === null ? [] : [{ code: COOKIE, octets: cookie }];
  const octets = encodeMessage({
    id,
    response: false,
    opcode: 0,
    authoritative: false,
    truncated: false,
    recursionDesired: recursion,
    recursionAvailable: false,
    authenticData: false,
    checkingDisabled: recursion && dnssec,
    rcode: RCODES.NOERROR,
    questions: [{ name, type: spec.type, class: CLASS_IN }],
    answers: [],
    authorities: [],
    additionals: [],
    edns: spec.edns ? { udpOctets: UDP_OCTETS, version: 0, dnssecOk: dnssec, options } : null,
  });
  return { id, name, type: spec.type, edns: spec.edns, cookie, octets };
}

function randomCase(name: string, random: RandomBelow): string {
  let text = "", bits = 0, left = 0;
  for (let at = 0; at < name.length; at++) {
    if (!isLetter(name.charCodeAt(at))) {
      text += name[at];
      continue;
    }
    if (left === 0) {
      bits = random(0x10000);
      left = 16;
    }
    text += (bits & 1) === 1 ? name[at]!.toUpperCase() : name[at];
    bits >>= 1;
    left--;
  }
  return text;
}

export type Verdict =
  /** The server wants to see the cookie that it has just given. */
  | { readonly kind: "bad-cookie"; readonly cookie: Uint8Array }
  | { readonly kind: "answer"; readonly message: Message }
  /** An answer to this question, in other case than was asked. */
  | { readonly kind: "other-case"; readonly message: Message }
  /** The rest is to be had over TCP. */
  | { readonly kind: "truncated" }
  /** The server does not know EDNS (RFC 6891 7), or an option of it. */
  | { readonly kind: "no-edns" }
  /** The right id, but not to be read. */
  | { readonly kind: "malformed" }
  /** Not the answer to this query; the right one may still come. */
  | { readonly kind: "foreign" };

/** Judges octets that came from the address that was asked. */
export function judge(query: Query, octets: Uint8Array): Verdict {
  if (messageId(octets) !== query.id) return { kind: "foreign" };
  const message = decodeMessage(octets);
  if (message === null) return { kind: "malformed" };
  if (!message.response || message.opcode !== 0) return { kind: "foreign" };
  const cookie = query.cookie === null ? null : cookieOf(message);
  // RFC 7873 5.3: a cookie that is not ours means that somebody guesses.
  if (cookie !== null && !beginsWith(cookie, query.cookie!.subarray(0, CLIENT_COOKIE_OCTETS))) {
    return { kind: "foreign" };
  }
  if (cookie !== null && message.rcode === RCODES.BADCOOKIE) return { kind: "bad-cookie", cookie };
  if (query.edns && rejectsEdns(message, query.cookie !== null)) return { kind: "no-edns" };
  const [question] = message.questions;
  // An error may come as a bare header; it proves nothing and costs one server's turn.
  if (question === undefined && isError(message.rcode)) return { kind: "answer", message };
  if (message.questions.length !== 1 || question === undefined) return { kind: "foreign" };
  if (question.type !== query.type || question.class !== CLASS_IN) return { kind: "foreign" };
  if (question.name === query.name) {
    return message.truncated ? { kind: "truncated" } : { kind: "answer", message };
  }
  if (canonicalName(question.name) !== canonicalName(query.name)) return { kind: "foreign" };
  return { kind: "other-case", message };
}

/** The cookie in an answer, when it is one: RFC 7873 4. */
export function cookieOf(message: Message): Uint8Array | null {
  const octets = message.edns?.options.find(({ code }) => code === COOKIE)?.octets;
  return octets !== undefined && (octets.length === 8 || octets.length >= 16 && octets.length <= 40)
    ? octets
    : null;
}

function beginsWith(octets: Uint8Array, start: Uint8Array): boolean {
  return start.every((octet, at) => octets[at] === octet);
}

function isError(rcode: number): boolean {
  return rcode !== RCODES.NOERROR && rcode !== RCODES.NXDOMAIN;
}

/**
 * RFC 6891 7: FORMERR, or NOTIMP as some do, perhaps without the question; or a version that we do not speak. Servers that
 * know EDNS and not what to do with a cookie answer FORMERR with EDNS.
 */
function rejectsEdns(message: Message, withCookie: boolean): boolean {
  if (message.rcode === RCODES.BADVERS) return true;
  if (message.rcode !== RCODES.FORMERR && message.rcode !== RCODES.NOTIMP) return false;
  return message.edns === null || (withCookie && message.rcode === RCODES.FORMERR);
}
