/**
 * The header of a submitted message (RFC 6409): held back until it is complete, checked, and mended.
 *
 * 6.1 and 8.: each From address, and Sender, must belong to the login. Missing Date (8.2) and Message-ID (8.3) are put in
 * front, Bcc and Resent-Bcc go (RFC 5322 3.6.3), lines over 998 octets are folded; all other octets stay as they are. A
 * header that two readers could understand differently is refused in clear words: lines that are no field, two From
 * fields, one without an address, one that is too large. One copy of the header is in memory, at most
 * {@linkcode MAX_HEADER_OCTETS}.
 */
import { CR, LF } from "../bytes/ascii.ts";
import { encode } from "../bytes/decode.ts";
import { type AddressItem, parseAddressList } from "../message/address.ts";
import { formatDate } from "../message/date.ts";
import { decodeRaw } from "../message/encoded_word.ts";
import { type FieldSpan, fieldValue, scanFields } from "../message/header.ts";
import { DEFAULT_MIME_LIMITS } from "../message/mime_parser.ts";
import { formatPath } from "../protocols/smtp/path.ts";
import { type Reply, reply } from "../protocols/smtp/reply.ts";
import type { Account } from "../storage/directory_view.ts";
import { foldLongLines } from "./header_fold.ts";
import { ownsAddress, type SenderDirectory } from "./sender.ts";

/** What FactsBuilder looks at of a header: nothing may hide behind it. */
export const MAX_HEADER_OCTETS = DEFAULT_MIME_LIMITS.headerOctets;
const FIELD_NAME = /^[\x21-\x39\x3b-\x7e]+$/;

const HEADER_TOO_LARGE = reply(552, "5.3.4", `Message header exceeds ${MAX_HEADER_OCTETS} octets`);
const NOT_A_FIELD = reply(554, "5.6.0", "Message header has a line that is no header field");
const ONE_FROM = reply(554, "5.6.0", "Message header must have exactly one From field");
const ONE_SENDER = reply(554, "5.6.0", "Message header must have at most one Sender field");
const FROM_UNREADABLE = reply(
  554,
  "5.6.0",
  "Message header has a From field without a readable address",
);
const SENDER_UNREADABLE = reply(
  554,
  "5.6.0",
  "Message header has a Sender field that is no single address",
);
const FROM_NOT_YOURS = reply(550, "5.7.1", "The From address does not belong to this login");
const SENDER_NOT_YOURS = reply(550, "5.7.1", "The Sender address does not belong to this login");

export interface SubmissionFacts {
  readonly account: Account;
  readonly directory: SenderDirectory;
  /** For a message without Date. */
  readonly date: number;
  /** For a message without Message-ID, with its angle brackets. */
  readonly messageId: string;
}

export type GateResult =
  /** The header is not complete yet. */
  | { readonly kind: "held" }
  | { readonly kind: "refused"; readonly reply: Reply }
  /** The whole header as it is stored; the body begins at `bodyStart` of the span just pushed. */
  | {
    readonly kind: "header";
    readonly header: Uint8Array;
    readonly bodyStart: number;
    readonly mended: boolean;
  }
  /** The header has passed before: everything from `bodyStart` is body. */
  | { readonly kind: "open"; readonly bodyStart: number };

const HELD: GateResult = { kind: "held" };

export class SubmissionHeader {
  #facts: SubmissionFacts;
  #held: Uint8Array<ArrayBuffer>;
  #length: number;
  /** Octets of the line being read, and whether the first of them is a CR. */
  #lineOctets: number;
  #lineCr: boolean;
  #open: boolean;

  constructor(facts: SubmissionFacts) {
    this.#facts = facts;
    this.#held = new Uint8Array(2 * 1024);
    this.#length = 0;
    this.#lineOctets = 0;
    this.#lineCr = false;
    this.#open = false;
  }

  push(bytes: Uint8Array, start: number, end: number): GateResult {
    if (this.#open) return { kind: "open", bodyStart: start };
    const bodyStart = this.#endOfHeader(bytes, start, end);
    if (!this.#keep(bytes, start, bodyStart ?? end)) return this.#refused(HEADER_TOO_LARGE);
    return bodyStart === null ? HELD : this.#complete(bodyStart);
  }

  /** The message ended: a header without an empty line is complete now. Null when it had passed before. */
  end(): GateResult | null {
    return this.#open ? null : this.#complete(0);
  }

  #complete(bodyStart: number): GateResult {
    const block = this.#held.subarray(0, this.#length);
    const spans = scanFields(block, 0, block.length);
    const refusal = headerRefusal(block, spans, this.#facts);
    if (refusal !== null) return this.#refused(refusal);
    this.#open = true;
    const header = foldLongLines(mendedHeader(block, spans, this.#facts));
    return { kind: "header", header, bodyStart, mended: header !== block };
  }

  #refused(answer: Reply): GateResult {
    this.#open = true;
    this.#held = new Uint8Array(0);
    return { kind: "refused", reply: answer };
  }

  /** Offset behind the empty line that ends the header, or null when it is not in this span. */
  #endOfHeader(bytes: Uint8Array, start: number, end: number): number | null {
    for (let at = start; at < end;) {
      const lf = bytes.indexOf(LF, at);
      const lineEnd = lf < 0 || lf >= end ? end : lf;
      if (this.#lineOctets === 0) this.#lineCr = bytes[at] === CR;
      this.#lineOctets += lineEnd - at;
      if (lineEnd === end) return null;
      if (this.#lineOctets === 0 || (this.#lineOctets === 1 && this.#lineCr)) return lf + 1;
      this.#lineOctets = 0;
      at = lf + 1;
    }
    return null;
  }

  #keep(bytes: Uint8Array, start: number, end: number): boolean {
    const size = this.#length + end - start;
    if (size > MAX_HEADER_OCTETS) return false;
    if (size > this.#held.length) {
      const grown = new Uint8Array(Math.max(size, this.#held.length * 2));
      grown.set(this.#held.subarray(0, this.#length));
      this.#held = grown;
    }
    this.#held.set(bytes.subarray(start, end), this.#length);
    this.#length = size;
    return true;
  }
}

/** Why this header cannot be submitted by the login; null when it can. */
function headerRefusal(
  block: Uint8Array,
  spans: readonly FieldSpan[],
  facts: SubmissionFacts,
): Reply | null {
  if (!onlyFields(block, spans)) return NOT_A_FIELD;
  const from = spans.filter(({ name }) => name === "from");
  const sender = spans.filter(({ name }) => name === "sender");
  if (from.length !== 1) return ONE_FROM;
  if (sender.length > 1) return ONE_SENDER;
  const fromAddresses = mailboxesOf(block, from[0]!);
  if (fromAddresses.length === 0) return FROM_UNREADABLE;
  if (!fromAddresses.every((address) => ownsAddress(facts.directory, facts.account, address))) {
    return FROM_NOT_YOURS;
  }
  if (sender.length === 0) return null;
  const senderAddresses = mailboxesOf(block, sender[0]!);
  if (senderAddresses.length !== 1) return SENDER_UNREADABLE;
  return ownsAddress(facts.directory, facts.account, senderAddresses[0]!) ? null : SENDER_NOT_YOURS;
}

/** The header with what is missing in front and without Bcc; `block` itself when nothing is to be done. */
function mendedHeader(
  block: Uint8Array<ArrayBuffer>,
  spans: readonly FieldSpan[],
  facts: SubmissionFacts,
): Uint8Array<ArrayBuffer> {
  let front = "";
  if (!spans.some(({ name }) => name === "date")) front += `Date: ${formatDate(facts.date)}\r\n`;
  if (!spans.some(({ name }) => name === "message-id")) front += `Message-ID: ${facts.messageId}\r\n`;
  const secret = spans.filter(({ name }) => name === "bcc" || name === "resent-bcc");
  if (front === "" && secret.length === 0) return block;
  const added = encode(front);
  const removed = secret.reduce((sum, span) => sum + span.end - span.start, 0);
  const header = new Uint8Array(added.length + block.length - removed);
  header.set(added);
  let at = added.length;
  let from = 0;
  for (const span of [...secret, { start: block.length, end: block.length }]) {
    header.set(block.subarray(from, span.start), at);
    at += span.start - from;
    from = span.end;
  }
  return header;
}

/** True when fields follow each other without a gap up to the empty line, and their names are names. */
function onlyFields(block: Uint8Array, spans: readonly FieldSpan[]): boolean {
  let at = 0;
  for (const span of spans) {
    if (span.start !== at || !FIELD_NAME.test(span.name)) return false;
    at = span.end;
  }
  const rest = block.length - at;
  return rest === 0 || (rest === 1 && block[at] === LF) ||
    (rest === 2 && block[at] === CR && block[at + 1] === LF);
}

function mailboxesOf(block: Uint8Array, span: FieldSpan): string[] {
  return parseAddressList(fieldValue(block, span)).filter(isMailbox).map(({ localPart, domain }) =>
    formatPath({ localPart: decodeRaw(localPart), domain: decodeRaw(domain), international: false })
  );
}

function isMailbox(item: AddressItem): item is Extract<AddressItem, { kind: "mailbox" }> {
  return item.kind === "mailbox";
}
