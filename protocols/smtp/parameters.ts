/**
 * Parameters of MAIL and RCPT: ` KEYWORD[=value]` behind the path (RFC 5321 4.1.2).
 *
 * MAIL: SIZE (RFC 1870), BODY (RFC 6152, BINARYMIME of RFC 3030), SMTPUTF8 (RFC 6531), RET and ENVID (RFC 3461),
 * REQUIRETLS (RFC 8689), HOLDFOR and HOLDUNTIL (RFC 4865), MT-PRIORITY (RFC 6710), AUTH (RFC 4954 5, read and ignored). RCPT: NOTIFY and ORCPT
 * (RFC 3461). Anything else is 555, twice the same is 501. Which of them are offered is for the session to say. Limits:
 * {@linkcode MAX_ENVELOPE_ID}, {@linkcode MAX_ORIGINAL_RECIPIENT}.
 */
import { EQUAL, SP } from "../../bytes/ascii.ts";
import { charClass, ESMTP_VALUE, LET_DIG, NON_ASCII } from "../../bytes/char_class.ts";
import type { Cursor } from "../../bytes/cursor.ts";
import { encodeLatin1, utf8OrNull } from "../../bytes/decode.ts";
import { type Reply, SYNTAX, UNKNOWN_PARAMETER } from "./reply.ts";
import { xtextForm } from "./utf8_address.ts";

export interface MailParameters {
  /** Announced octets; null without SIZE. */
  readonly size: number | null;
  readonly body: "7BIT" | "8BITMIME" | "BINARYMIME";
  readonly smtputf8: boolean;
  readonly ret: "" | "FULL" | "HDRS";
  /** xtext as received, "" without. */
  readonly envelopeId: string;
  readonly requireTls: boolean;
  /** When it may be sent on at the earliest (RFC 4865); null at once. */
  readonly hold: { readonly forSeconds: number } | { readonly untilMs: number } | null;
  /** RFC 6710, -9 to 9; null without. */
  readonly priority: number | null;
}

export interface RcptParameters {
  /** `NEVER`, or words of SUCCESS, FAILURE and DELAY in capitals with commas between; "" without. */
  readonly notify: string;
  /** Type in lower case, ";", xtext as received, or utf-8-addr-xtext (RFC 6533 3); "" without. */
  readonly originalRecipient: string;
}

export const NO_MAIL_PARAMETERS: MailParameters = {
  size: null,
  body: "7BIT",
  smtputf8: false,
  ret: "",
  envelopeId: "",
  requireTls: false,
  hold: null,
  priority: null,
};
export const NO_RCPT_PARAMETERS: RcptParameters = { notify: "", originalRecipient: "" };

/** RFC 3461 4.4. */
const MAX_ENVELOPE_ID = 100;
/** RFC 3461 4.2. */
const MAX_ORIGINAL_RECIPIENT = 500;

const KEYWORD = charClass(LET_DIG, "-");
const VALUE = charClass(ESMTP_VALUE, NON_ASCII);
const MAX_SIZE = Number.MAX_SAFE_INTEGER;
/** RFC 3461 4: printable ASCII but `+` and `=`, which are `+` and two capital hex digits. */
const XTEXT = /^(?:[!-*,-<>-~]|\+[0-9A-F]{2})+$/;
/** An address type of RFC 3461 4.2, and what stands behind it. */
const ORIGINAL_RECIPIENT = /^([A-Za-z0-9-]{1,40});(.+)$/s;
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/i;

/** What may stand once; HOLDFOR and HOLDUNTIL exclude each other (RFC 4865 4). */
const ONCE: Readonly<Record<string, number>> = {
  SIZE: 1,
  BODY: 2,
  SMTPUTF8: 4,
  RET: 8,
  ENVID: 16,
  REQUIRETLS: 32,
  HOLDFOR: 64,
  HOLDUNTIL: 64,
  "MT-PRIORITY": 128,
};
/** RFC 6710 6. */
const PRIORITY = /^(?:0|-?[1-9])$/;

export function mailParameters(cursor: Cursor): MailParameters | { readonly refused: Reply } {
  if (onlySpaces(cursor)) return NO_MAIL_PARAMETERS;
  const found: { -readonly [K in keyof MailParameters]: MailParameters[K] } = { ...NO_MAIL_PARAMETERS };
  let seen = 0;
  for (;;) {
    const parameter = nextParameter(cursor);
    if (parameter === null) return found;
    if (parameter === "malformed") return { refused: SYNTAX };
    const { keyword, value } = parameter;
    const bit = ONCE[keyword] ?? 0;
    if ((seen & bit) !== 0) return { refused: SYNTAX };
    seen |= bit;
    switch (keyword) {
      case "SIZE":
        if (value === null || !/^\d{1,20}$/.test(value)) return { refused: SYNTAX };
        found.size = Math.min(Number(value), MAX_SIZE);
        break;
      case "BODY": {
        const kind = value?.toUpperCase();
        if (kind !== "7BIT" && kind !== "8BITMIME" && kind !== "BINARYMIME") return { refused: SYNTAX };
        found.body = kind;
        break;
      }
      case "SMTPUTF8":
        if (value !== null) return { refused: SYNTAX };
        found.smtputf8 = true;
        break;
      case "RET": {
        const kind = value?.toUpperCase();
        if (kind !== "FULL" && kind !== "HDRS") return { refused: SYNTAX };
        found.ret = kind;
        break;
      }
      case "ENVID":
        if (value === null || value.length > MAX_ENVELOPE_ID || !XTEXT.test(value)) {
          return { refused: SYNTAX };
        }
        found.envelopeId = value;
        break;
      case "REQUIRETLS":
        if (value !== null) return { refused: SYNTAX };
        found.requireTls = true;
        break;
      case "HOLDFOR":
        if (value === null || !/^\d{1,9}$/.test(value)) return { refused: SYNTAX };
        found.hold = { forSeconds: Number(value) };
        break;
      case "HOLDUNTIL": {
        const untilMs = value !== null && RFC_3339.test(value) ? Date.parse(value) : NaN;
        if (Number.isNaN(untilMs)) return { refused: SYNTAX };
        found.hold = { untilMs };
        break;
      }
      case "MT-PRIORITY":
        if (value === null || !PRIORITY.test(value)) return { refused: SYNTAX };
        found.priority = Number(value);
        break;
      case "AUTH":
        if (value === null) return { refused: UNKNOWN_PARAMETER };
        break;
      default:
        return { refused: UNKNOWN_PARAMETER };
    }
  }
}

export function rcptParameters(cursor: Cursor): RcptParameters | { readonly refused: Reply } {
  if (onlySpaces(cursor)) return NO_RCPT_PARAMETERS;
  let notify = "";
  let originalRecipient = "";
  for (;;) {
    const parameter = nextParameter(cursor);
    if (parameter === null) return { notify, originalRecipient };
    if (parameter === "malformed") return { refused: SYNTAX };
    const { keyword, value } = parameter;
    if (keyword === "NOTIFY") {
      const words = value?.toUpperCase() ?? "";
      if (notify !== "" || !notifyWords(words)) return { refused: SYNTAX };
      notify = words;
    } else if (keyword === "ORCPT") {
      const stated = value === null || value.length > MAX_ORIGINAL_RECIPIENT ? null : originalOf(value);
      if (stated === null || originalRecipient !== "") return { refused: SYNTAX };
      originalRecipient = stated;
    } else return { refused: UNKNOWN_PARAMETER };
  }
}

/** RFC 3461 4.1: NEVER stands alone, the others at most once. */
function notifyWords(text: string): boolean {
  if (text === "NEVER") return true;
  const words = text.split(",");
  return new Set(words).size === words.length &&
    words.every((word) => word === "SUCCESS" || word === "FAILURE" || word === "DELAY");
}

/** Type and address in ASCII, whatever it came in; null where it is no ORCPT. */
function originalOf(value: string): string | null {
  const text = utf8OrNull(encodeLatin1(value));
  const match = text === null ? null : ORIGINAL_RECIPIENT.exec(text);
  if (match === null) return null;
  const type = match[1]!.toLowerCase(), address = match[2]!;
  const international = type === "utf-8" ? xtextForm(address) : null;
  // RFC 6533 3: what only says that it is of this type is kept as it is.
  const kept = international ?? (XTEXT.test(address) ? address : null);
  return kept === null ? null : `${type};${kept}`;
}

/** The next ` KEYWORD[=value]`; null at the end (trailing spaces are let be). */
function nextParameter(cursor: Cursor): { keyword: string; value: string | null } | "malformed" | null {
  if (onlySpaces(cursor)) return null;
  if (!cursor.space()) return "malformed";
  const keyword = cursor.run(KEYWORD, "a parameter")?.toUpperCase();
  if (keyword === undefined) return "malformed";
  if (!cursor.take(EQUAL)) return { keyword, value: null };
  const value = cursor.run(VALUE, "a value");
  return value === null ? "malformed" : { keyword, value };
}

function onlySpaces({ bytes, at, end }: Cursor): boolean {
  for (let i = at; i < end; i++) if (bytes[i] !== SP) return false;
  return true;
}
