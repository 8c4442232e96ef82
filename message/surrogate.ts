/**
 * A surrogate header for clients that cannot take UTF-8 in a header: ASCII that says as much as possible.
 *
 * RFC 6858 (simplified downgrading), with more kept where RFC 2047, RFC 2231 and A-labels can say it: names and texts
 * become encoded words, parameters percent-encoded, domains A-labels. A local part that is not ASCII cannot be said:
 * its address is replaced by one that is invalid and told in the name (2.1). Identifiers and trace fields with UTF-8
 * are left out (2.4). Fields in ASCII stay octet by octet, so do the headers of inner parts.
 *
 * Only mail that came as SMTPUTF8 gets one (our Received field says so, RFC 6531 4.3): raw 8-bit header fields of
 * other mail break the rules with or without a surrogate, and clients know how to live with them. Pure.
 */
import { domainToASCII } from "node:url";
import { encode, isAscii, latin1 } from "../bytes/decode.ts";
import { type AddressItem, parseAddressList } from "./address.ts";
import { decodeHeaderText, decodeRaw, encodeHeaderText } from "./encoded_word.ts";
import { type FieldSpan, fieldValue, scanFields } from "./header.ts";
import { parseParameterized } from "./parameter.ts";

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
const LEFT_OUT: ReadonlySet<string> = new Set([
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

/** True when the header (any prefix included) is one that a client in ASCII mode must not be sent as it is. */
export function needsSurrogate(header: Uint8Array): boolean {
  if (isAscii(header)) return false;
  const received = scanFields(header, 0, header.length).find(({ name }) => name === "received");
  return received !== undefined && /\swith\s+UTF8SMTP/i.test(fieldValue(header, received));
}

/** The header in ASCII, with its empty line when it has one. */
export function surrogateHeader(header: Uint8Array): Uint8Array {
  let text = "";
  let end = 0;
  for (const span of scanFields(header, 0, header.length)) {
    end = span.end;
    if (isAscii(header, span.start, span.end)) {
      text += latin1(header, span.start, span.end);
      continue;
    }
    if (!isAscii(header, span.start, span.value)) continue; // a name that is none
    const value = surrogateValue(span.name, fieldValue(header, span));
    if (value !== null) text += `${writtenName(header, span)}: ${value}\r\n`;
  }
  return encode(end < header.length ? `${text}\r\n` : text);
}

/** Null: the field is left out. */
function surrogateValue(name: string, value: string): string | null {
  if (name === "return-path") return `<${addressOf(parseAddressList(value)[0]) ?? NOBODY}>`;
  if (ADDRESS_FIELDS.has(name)) return addressList(parseAddressList(value));
  if (PARAMETER_FIELDS.has(name)) return parameters(value);
  return LEFT_OUT.has(name) ? null : fold(encodeHeaderText(decodeHeaderText(value)));
}

function addressList(items: readonly AddressItem[]): string {
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
      case "mailbox":
        text += separator + mailbox(item);
        separator = ",\r\n ";
        break;
      default:
        item satisfies never;
    }
  }
  return text;
}

function mailbox(item: Extract<AddressItem, { kind: "mailbox" }>): string {
  const address = addressOf(item);
  if (address !== null) return item.name === null ? address : `${phrase(item.name)} <${address}>`;
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

function parameters(value: string): string | null {
  const parsed = parseParameterized(value);
  if (/[^\x20-\x7e]/.test(parsed.value)) return null;
  let text = parsed.value;
  for (const [name, raw] of parsed.parameters) {
    if (/[^\x21-\x7e]/.test(name) || (name.includes("*") && /[^\x20-\x7e]/.test(raw))) continue;
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

function writtenName(header: Uint8Array, span: FieldSpan): string {
  return latin1(header, span.start, span.start + span.name.length);
}
