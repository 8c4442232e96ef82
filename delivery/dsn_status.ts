/**
 * The part of a notice that programs read: message/delivery-status (RFC 3464 2), or message/global-delivery-status
 * (RFC 6533 4.1) to those who sent by SMTPUTF8.
 *
 * The former is ASCII: addresses in utf-8-addr-xtext, words of other servers escaped in the same way. The latter says
 * addresses and words in UTF-8, and is used only where that makes a difference: many programs read nothing but the former.
 * Pure.
 */
import { encode, utf8 } from "../bytes/decode.ts";
import { formatDate } from "../message/date.ts";
import { addrXtext, mailboxOf } from "../protocols/smtp/utf8_address.ts";
import type { Notice, NoticeRecipient } from "./outcomes.ts";

export interface StatusPart {
  readonly type: "message/delivery-status" | "message/global-delivery-status";
  /** Lines with CRLF, an empty one behind each block. */
  readonly text: string;
}

export interface Reporter {
  /** Our name. */
  readonly hostname: string;
  readonly now: number;
}

/** How what is not ASCII is written. */
interface Form {
  readonly mailbox: (address: string) => string;
  /** What stood in an ORCPT of the type utf-8. */
  readonly original: (encoded: string) => string;
  readonly words: (text: string) => string;
}

/** Octets of a line of text (RFC 5321 4.5.3.1.6), less some for its prefix. */
export const MAX_LINE = 900;

const SEVEN_BIT: Form = { mailbox: addrXtext, original: (encoded) => encoded, words: escaped };
const UTF8: Form = {
  mailbox: (address) => address,
  original: (encoded) => mailboxOf(encoded) ?? encoded,
  words: (text) => text,
};

export function statusPart(notice: Notice, reporter: Reporter): StatusPart {
  if (notice.message.smtputf8) {
    const text = report(notice, reporter, UTF8);
    if (!isPlain(text)) return { type: "message/global-delivery-status", text };
  }
  return { type: "message/delivery-status", text: report(notice, reporter, SEVEN_BIT) };
}

/** RFC 3464 2.1: fields of the message, then a block for each recipient. */
function report({ kind, message, recipients }: Notice, { hostname, now }: Reporter, form: Form): string {
  const blocks = [
    [
      `Reporting-MTA: dns; ${hostname}`,
      ...(message.envelopeId === "" ? [] : [`Original-Envelope-Id: ${unxtext(message.envelopeId)}`]),
      `X-Veredus-Id: ${message.traceId}`,
      `Arrival-Date: ${formatDate(message.createdAt)}`,
    ],
    ...recipients.map((about) => [
      ...(about.recipient.originalRecipient === ""
        ? []
        : [`Original-Recipient: ${originalRecipient(about.recipient.originalRecipient, form)}`]),
      `Final-Recipient: ${finalRecipient(about.recipient.recipient, form)}`,
      `Action: ${about.action}`,
      `Status: ${about.enhanced}`,
      ...(about.remote === "" ? [] : [`Remote-MTA: dns; ${remoteMta(about)}`]),
      ...(about.text === ""
        ? []
        : [`Diagnostic-Code: ${about.fromPeer ? "smtp" : "X-Veredus"}; ${form.words(about.text)}`]),
      `Last-Attempt-Date: ${formatDate(now)}`,
      ...(kind === "delay" ? [`Will-Retry-Until: ${formatDate(message.expiresAt)}`] : []),
    ]),
  ];
  return blocks.map((block) => block.map((line) => `${oneLine(line)}\r\n`).join("") + "\r\n").join("");
}

/** `mx.example.org[192.0.2.1]:25` names a host and how it was reached; the host is what the field is for. */
function remoteMta({ remote }: NoticeRecipient): string {
  return /^([^[\]:]+)\[/.exec(remote)?.[1] ?? remote.replace(/:\d+$/, "");
}

function finalRecipient(address: string, { mailbox }: Form): string {
  return isPlain(address) ? `rfc822; ${address}` : `utf-8; ${mailbox(address)}`;
}

function originalRecipient(stated: string, { original }: Form): string {
  const semicolon = stated.indexOf(";");
  const type = stated.slice(0, semicolon), encoded = stated.slice(semicolon + 1);
  return `${type}; ${type === "utf-8" ? original(encoded) : unxtext(encoded)}`;
}

/** RFC 3464 2.2.1 and 2.3.1: the fields hold the octets that xtext stood for. */
function unxtext(text: string): string {
  return text.replace(/\+([0-9A-F]{2})/g, (_all, hex) => String.fromCharCode(parseInt(hex, 16)));
}

function isPlain(text: string): boolean {
  return /^[\x20-\x7e\r\n]*$/.test(text);
}

/** Words in ASCII; what is beyond it as `\x{HEX}`, as in addresses. */
function escaped(text: string): string {
  return text.replace(
    /[^\x20-\x7e]/gu,
    (character) => `\\x{${character.codePointAt(0)!.toString(16).toUpperCase()}}`,
  );
}

/** No line of a value's choosing, and none too long. */
export function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  const line = text.replace(/[\x00-\x1f\x7f]+/g, " ");
  if (line.length * 3 <= MAX_LINE) return line;
  const octets = encode(line);
  return octets.length > MAX_LINE ? `${utf8(octets, 0, characterStart(octets, MAX_LINE))}...` : line;
}

/** The first octet of the character of UTF-8 that `at` lies in; `at` itself where there is none. */
export function characterStart(octets: Uint8Array, at: number): number {
  for (let start = at; start > at - 4 && start >= 0; start--) {
    if ((octets[start]! & 0xc0) !== 0x80) return start;
  }
  return at;
}
