/**
 * A header field whose value is UTF-8, said in ASCII: texts and names become encoded words (RFC 2047), parameters are
 * percent-encoded (RFC 2231), domains become A-labels (RFC 5891).
 *
 * Two callers with two ends. A surrogate for an old client (RFC 6858) says as much as possible: what cannot be said is
 * replaced or left out. Mail for a server without SMTPUTF8 must say all or not be sent: a local part that is not ASCII, an
 * identifier, a trace field, what is not UTF-8 at all cannot be said. Comments are kept only where they stand for a name.
 * Values have one character per octet, unfolded. Pure.
 */
import { domainToASCII } from "node:url";
import { encode, encodeLatin1, utf8OrNull } from "../bytes/decode.ts";
import { type AddressItem, MAX_ADDRESSES, parseAddressList } from "./address.ts";
import { decodeHeaderText, decodeRaw, encodeHeaderText } from "./encoded_word.ts";
import { parseParameterized } from "./parameter.ts";

/** RFC 5322 2.1.1, less the name of the field. */
const MAX_LINE = 900;
const NOBODY = "invalid@internationalized-address.invalid";
/** RFC 6858 2.1; Delivered-To has one address too. */
const ADDRESS_FIELDS: ReadonlySet<string> = new Set([
  "bcc",
  "cc",
  "delivered-to",
  "from",
  "reply-to",
  "resent-bcc",
  "resent-cc",
  "resent-from",
  "resent-sender",
  "resent-to",
  "return-path",
  "sender",
  "to",
]);
const PARAMETER_FIELDS: ReadonlySet<string> = new Set(["content-type", "content-disposition"]);
/** Structured fields in which an encoded word has no place (RFC 2047 5). */
const NO_WORDS: ReadonlySet<string> = new Set([
  "arc-authentication-results",
  "arc-message-signature",
  "arc-seal",
  "authentication-results",
  "content-id",
  "content-transfer-encoding",
  "date",
  "dkim-signature",
  "in-reply-to",
  "message-id",
  "mime-version",
  "received",
  "received-spf",
  "references",
  "resent-date",
  "resent-message-id",
]);

/** The value with as much of it as possible; null: the field is left out. */
export function surrogateValue(name: string, value: string): string | null {
  if (name === "return-path") return `<${addressOf(parseAddressList(value)[0]) ?? NOBODY}>`;
  if (ADDRESS_FIELDS.has(name)) return addressList(parseAddressList(value), surrogateMailbox);
  if (PARAMETER_FIELDS.has(name)) return parameters(value, { whole: false });
  return NO_WORDS.has(name) ? null : fold(encodeHeaderText(decodeHeaderText(value)));
}

/** The value with all of it; null where that cannot be, or not in lines that may be sent. */
export function exactValue(name: string, value: string): string | null {
  const said = exact(name, value);
  return said === null || said.split("\r\n").some((line) => line.length > MAX_LINE) ? null : said;
}

function exact(name: string, value: string): string | null {
  if (utf8OrNull(encodeLatin1(value)) === null) return null;
  if (ADDRESS_FIELDS.has(name)) {
    const items = parseAddressList(value);
    return items.length >= MAX_ADDRESSES ? null : addressList(items, exactMailbox);
  }
  if (PARAMETER_FIELDS.has(name)) return parameters(value, { whole: true });
  if (NO_WORDS.has(name) || name.startsWith("list-")) return null;
  if (name === "keywords") return value.split(",").map((word) => phrase(word.trim())).join(",\r\n ");
  return fold(encodeHeaderText(decodeHeaderText(value)));
}

type Mailbox = Extract<AddressItem, { kind: "mailbox" }>;

function addressList(
  items: readonly AddressItem[],
  mailbox: (item: Mailbox) => string | null,
): string | null {
  let text = "";
  let separator = "";
  for (const item of items) {
    switch (item.kind) {
      case "group-start":
        text += `${separator}${phrase(item.name)}:`;
        separator = " ";
        break;
      case "group-end":
        text += ";";
        separator = ",\r\n ";
        break;
      case "mailbox": {
        const said = mailbox(item);
        if (said === null) return null;
        text += separator + said;
        separator = ",\r\n ";
        break;
      }
      default:
        item satisfies never;
    }
  }
  return text;
}

function exactMailbox(item: Mailbox): string | null {
  const address = addressOf(item);
  if (address === null) return null;
  return item.name === null ? address : `${phrase(item.name)} <${address}>`;
}

function surrogateMailbox(item: Mailbox): string {
  const exact = exactMailbox(item);
  if (exact !== null) return exact;
  const lost = decodeRaw(item.domain === "" ? item.localPart : `${item.localPart}@${item.domain}`);
  const name = item.name === null ? lost : `${decodeHeaderText(item.name)} ${lost}`;
  return `${phrase(name)} <${NOBODY}>`;
}

/** The address in ASCII, or null when it cannot be said. */
function addressOf(item: AddressItem | undefined): string | null {
  if (item?.kind !== "mailbox" || /[^\x20-\x7e]/.test(item.localPart)) return null;
  const domain = /[^\x20-\x7e]/.test(item.domain) ? domainToASCII(decodeRaw(item.domain)) : item.domain;
  if (domain === "") return null;
  const { localPart } = item;
  return `${/^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+$/.test(localPart) ? localPart : quote(localPart)}@${domain}`;
}

function phrase(name: string): string {
  const text = decodeHeaderText(name);
  if (/[^\x20-\x7e]/.test(text)) return fold(encodeHeaderText(text));
  return /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+$/.test(text) ? text : quote(text);
}

/** `whole`: null where anything is lost. */
function parameters(value: string, { whole }: { readonly whole: boolean }): string | null {
  const parsed = parseParameterized(value);
  if (/[^\x20-\x7e]/.test(parsed.value)) return null;
  let text = parsed.value;
  for (const [name, raw] of parsed.parameters) {
    if (/[^\x21-\x7e]/.test(name) || (name.includes("*") && /[^\x20-\x7e]/.test(raw))) {
      if (whole) return null;
      continue;
    }
    text += /[^\x20-\x7e]/.test(raw)
      ? `;\r\n ${name}*=UTF-8''${percent(decodeRaw(raw))}`
      : `;\r\n ${name}=${/^[A-Za-z0-9.+_-]+$/.test(raw) || name.endsWith("*") ? raw : quote(raw)}`;
  }
  return text;
}

/** RFC 2231 4: everything but letters, digits and a few marks as %XX. */
function percent(text: string): string {
  let result = "";
  for (const octet of encode(text)) {
    const character = String.fromCharCode(octet);
    result += /[A-Za-z0-9._-]/.test(character)
      ? character
      : `%${octet.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return result;
}

function quote(text: string): string {
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}

/** One encoded word to a line. */
function fold(text: string): string {
  return text.replaceAll("?= =?", "?=\r\n =?");
}
