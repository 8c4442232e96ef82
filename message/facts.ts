/**
 * Everything a delivery must know of a message, gathered while its octets pass by: structure in IMAP's form, preview,
 * the header facts for searching, threading and loop detection. Bounded memory whatever the size.
 */
import { decodeTextOf } from "./content.ts";
import { STRUCTURE_FIELDS } from "./body_structure.ts";
import { parseDate } from "./date.ts";
import { decodeHeaderText, decodeRaw } from "./encoded_word.ts";
import { ENVELOPE_FIELDS } from "./envelope.ts";
import { type FieldSpan, fieldValue } from "./header.ts";
import {
  charsetOf,
  DEFAULT_MIME_LIMITS,
  type Fields,
  type MimeLimits,
  MimeParser,
  type MimePart,
  pick,
} from "./mime_parser.ts";
import { packImap } from "./packed.ts";
import { preview } from "./preview.ts";

/** Fields kept of each header: enough for ENVELOPE, BODYSTRUCTURE and References. */
const WANTED: ReadonlySet<string> = new Set([...ENVELOPE_FIELDS, ...STRUCTURE_FIELDS, "references"]);
const MAX_REFERENCES = 100;
const MAX_DELIVERED_TO = 200;
const MAX_TEXT = 1_000;
const MESSAGE_ID = /<[^<>\s]{1,900}>/g;
const NO_IDS: readonly string[] = [];

export interface MessageFacts {
  readonly sizeOctets: number;
  /** Octets of the header block including the empty line. */
  readonly headerOctets: number;
  /** See packed.ts. */
  readonly imap: Uint8Array;
  readonly preview: string;
  /** Decoded, at most 1,000 characters. */
  readonly subject: string;
  /** Decoded From, at most 1,000 characters. */
  readonly from: string;
  /** With its angle brackets. */
  readonly messageId: string | null;
  /** Message ids of In-Reply-To and References, newest last. */
  readonly references: readonly string[];
  readonly sentAtMs: number | null;
  readonly longestLineOctets: number;
  /** Number of Received fields (RFC 5321 6.3). */
  readonly receivedCount: number;
  /** Values of Delivered-To fields. */
  readonly deliveredTo: readonly string[];
}

export class FactsBuilder {
  #parser: MimeParser;
  #receivedCount = 0;
  #deliveredTo: string[] = [];

  constructor(limits: Partial<MimeLimits> | null = null) {
    this.#parser = new MimeParser(
      limits === null ? DEFAULT_MIME_LIMITS : { ...DEFAULT_MIME_LIMITS, ...limits },
      (block, spans, root) => {
        if (root) this.#root(block, spans);
        return pick(block, spans, WANTED);
      },
    );
  }

  push(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.#parser.push(bytes, start, end);
  }

  finish(): MessageFacts {
    const root = this.#parser.finish();
    const { fields } = root;
    const date = fields.get("date");
    return {
      sizeOctets: root.bodyEnd,
      headerOctets: root.headerEnd,
      imap: packImap(root),
      preview: this.#preview(),
      subject: shorten(decodeHeaderText(fields.get("subject") ?? "")),
      from: shorten(decodeHeaderText(fields.get("from") ?? "")),
      messageId: messageIds(fields.get("message-id"))[0] ?? null,
      references: referencesOf(fields),
      sentAtMs: date === undefined ? null : parseDate(date),
      longestLineOctets: this.#parser.longestLineOctets,
      receivedCount: this.#receivedCount,
      deliveredTo: this.#deliveredTo,
    };
  }

  #root(block: Uint8Array, spans: readonly FieldSpan[]): void {
    for (const span of spans) {
      if (span.name === "received") this.#receivedCount++;
      else if (span.name === "delivered-to" && this.#deliveredTo.length < MAX_DELIVERED_TO) {
        this.#deliveredTo.push(fieldValue(block, span).toLowerCase());
      }
    }
  }

  #preview(): string {
    const part: MimePart | null = this.#parser.previewPart;
    if (part === null) return "";
    const encoding = part.fields.get("content-transfer-encoding") ?? "";
    return preview(
      decodeTextOf(this.#parser.preview, { encoding, charset: charsetOf(part) }),
      part.subtype.toLowerCase() === "html",
    );
  }
}

function referencesOf(fields: Fields): readonly string[] {
  const references = fields.get("references");
  const inReplyTo = fields.get("in-reply-to");
  if (references === undefined && inReplyTo === undefined) return NO_IDS;
  return [...new Set([...messageIds(references), ...messageIds(inReplyTo)])].slice(-MAX_REFERENCES);
}

function messageIds(value: string | undefined): readonly string[] {
  return value?.match(MESSAGE_ID)?.map(decodeRaw) ?? NO_IDS;
}

function shorten(text: string): string {
  return (text.length > MAX_TEXT ? text.slice(0, MAX_TEXT) : text).toWellFormed();
}
