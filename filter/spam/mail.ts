/**
 * A message as the spam filter sees it: its fields, its parts, what a reader would read, and where its links lead.
 *
 * Made once of the octets and then only looked at. Pure and bounded ({@linkcode MAIL_LIMITS}); what was left out stands in
 * `marks`. Hot: bench/filter/.
 */
import { latin1 } from "../../bytes/decode.ts";
import { parseAddressList } from "../../message/address.ts";
import { decodeText } from "../../message/content.ts";
import { parseDate } from "../../message/date.ts";
import { decodeHeaderText } from "../../message/encoded_word.ts";
import { type FieldSpan, fieldValue } from "../../message/header.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../../message/mime_parser.ts";
import { parameter, parseParameterized } from "../../message/parameter.ts";
import { type HtmlFacts, readHtml } from "./html.ts";
import { MAIL_LIMITS, type MailLimits } from "./limits.ts";
import { type Link, linkOf, linksIn } from "./link.ts";
import { Runs } from "./phrases.ts";

/** One field of the header. */
export interface Field {
  /** Lower case. */
  readonly name: string;
  /** As it was written, for signals that look at the spelling. */
  readonly written: string;
  /** Unfolded, one character an octet, encoded words as they are. */
  readonly value: string;
}

/** A part without parts of its own. */
export interface Leaf {
  /** Lower case, as in "text/html". */
  readonly type: string;
  readonly charset: string;
  readonly encoding: string;
  /** The name it would be saved under; "" has none. */
  readonly name: string;
  readonly attached: boolean;
  readonly octets: number;
}

export interface Address {
  readonly name: string;
  /** Lower case. */
  readonly address: string;
  readonly domain: string;
}

const PART_FIELDS: ReadonlySet<string> = new Set([
  "content-type",
  "content-transfer-encoding",
  "content-disposition",
]);
const NO_ADDRESS: Address = { name: "", address: "", domain: "" };

export class Mail {
  readonly fields: readonly Field[];
  readonly leaves: readonly Leaf[];
  /** What a reader reads, of plain and HTML parts in order. */
  readonly plain: readonly string[];
  readonly html: readonly HtmlFacts[];
  readonly links: readonly Link[];
  /** Top-level type, lower case. */
  readonly type: string;
  readonly octets: number;
  /** What was not looked at, in plain words. */
  readonly marks: readonly string[];
  readonly subject: string;
  readonly from: Address;
  readonly replyTo: Address;
  readonly sentAtMs: number | null;
  /** Of the topmost Received; null where there is none. */
  readonly receivedAtMs: number | null;
  /** The first value of each name. */
  readonly #first: ReadonlyMap<string, string>;
  #text: string | null;
  #runs: Runs | null;

  constructor(octets: Uint8Array, { total = octets.length, limits = MAIL_LIMITS }: {
    /** Octets of the whole message, where `octets` is only its start. */
    readonly total?: number;
    readonly limits?: MailLimits;
  } = {}) {
    const reader = new Reader(octets, { total, limits });
    const root = reader.read();
    this.fields = reader.fields;
    // A map keeps the last of equal keys.
    this.#first = new Map(reader.fields.toReversed().map(({ name, value }) => [name, value]));
    this.leaves = reader.leaves;
    this.plain = reader.plain;
    this.html = reader.html;
    this.links = reader.links;
    this.type = `${root.type}/${root.subtype}`.toLowerCase();
    this.octets = total;
    this.marks = [...reader.marks];
    this.subject = decodeHeaderText(this.first("subject"));
    this.from = addressOf(this.first("from"));
    this.replyTo = addressOf(this.first("reply-to"));
    const date = this.first("date");
    this.sentAtMs = date === "" ? null : parseDate(date);
    const received = this.first("received");
    const semicolon = received.lastIndexOf(";");
    this.receivedAtMs = semicolon < 0 ? null : parseDate(received.slice(semicolon + 1).trim());
    this.#text = null;
    this.#runs = null;
  }

  /** The value of the first field of that name; "" where there is none. */
  first(name: string): string {
    return this.#first.get(name) ?? "";
  }

  has(name: string): boolean {
    return this.#first.has(name);
  }

  all(name: string): readonly string[] {
    return this.fields.filter((field) => field.name === name).map(({ value }) => value);
  }

  /** Everything a reader reads, subject first. */
  get text(): string {
    return this.#text ??= [this.subject, ...this.plain, ...this.html.map(({ text }) => text)].join("\n");
  }

  /** What stands in the text, for patterns of phrases. */
  get runs(): Runs {
    return this.#runs ??= new Runs(this.text);
  }
}

/** The first mailbox of an address list. */
export function addressOf(value: string): Address {
  if (value === "") return NO_ADDRESS;
  for (const item of parseAddressList(value)) {
    if (item.kind !== "mailbox") continue;
    const domain = item.domain.toLowerCase();
    const address = domain === ""
      ? item.localPart.toLowerCase()
      : `${item.localPart.toLowerCase()}@${domain}`;
    return { name: decodeHeaderText(item.name ?? ""), address, domain };
  }
  return NO_ADDRESS;
}

/** Gathers while the parser walks; given up when the mail is made. */
class Reader {
  readonly fields: Field[] = [];
  readonly leaves: Leaf[] = [];
  readonly plain: string[] = [];
  readonly html: HtmlFacts[] = [];
  readonly links: Link[] = [];
  readonly marks = new Set<string>();
  #octets: Uint8Array;
  #limits: MailLimits;
  #left: number;
  #parts: number;

  constructor(octets: Uint8Array, { total, limits }: { total: number; limits: MailLimits }) {
    this.#octets = octets.length > limits.octets ? octets.subarray(0, limits.octets) : octets;
    this.#limits = limits;
    this.#left = limits.text;
    this.#parts = 0;
    if (total > this.#octets.length) {
      this.marks.add(`only the first ${this.#octets.length} of ${total} octets were looked at`);
    }
  }

  read(): MimePart {
    const { parts } = this.#limits;
    const parser = new MimeParser(
      { ...DEFAULT_MIME_LIMITS, parts, previewOctets: 0 },
      (block, spans, root) => {
        if (root) this.#root(block, spans);
        return pick(block, spans, PART_FIELDS);
      },
    );
    parser.push(this.#octets, 0, this.#octets.length);
    const root = parser.finish();
    this.#visit(root);
    if (this.#parts >= parts) this.marks.add(`only the first ${parts} parts were looked at`);
    return root;
  }

  #root(block: Uint8Array, spans: readonly FieldSpan[]): void {
    const { fields } = this.#limits;
    for (const span of spans.slice(0, fields)) {
      const { name, start } = span;
      this.fields.push({
        name,
        written: latin1(block, start, start + name.length),
        value: fieldValue(block, span),
      });
    }
    if (spans.length > fields) this.marks.add(`only the first ${fields} header fields were looked at`);
  }

  #visit(part: MimePart): void {
    this.#parts++;
    for (const child of part.children) this.#visit(child);
    if (part.message !== null) return this.#visit(part.message);
    if (part.children.length > 0 || part.type === "MULTIPART") return;
    const charset = parameter(part.contentType, "charset") ?? "";
    const encoding = part.fields.get("content-transfer-encoding") ?? "";
    const given = part.fields.get("content-disposition");
    const disposition = given === undefined ? null : parseParameterized(given);
    const name = (disposition === null ? null : parameter(disposition, "filename")) ??
      parameter(part.contentType, "name") ?? "";
    const type = `${part.type}/${part.subtype}`.toLowerCase();
    const attached = disposition !== null && /^attachment$/i.test(disposition.value);
    const octets = part.bodyEnd - part.bodyStart;
    this.leaves.push({
      type,
      charset: charset.toLowerCase(),
      encoding: encoding.toLowerCase(),
      name,
      attached,
      octets,
    });
    if (part.type === "TEXT" && !(attached && type !== "text/html")) {
      this.#text(part, { type, charset, encoding });
    }
  }

  #text(
    { bodyStart, bodyEnd }: MimePart,
    { type, charset, encoding }: { type: string; charset: string; encoding: string },
  ): void {
    const room = Math.min(this.#limits.partText, this.#left);
    if (room <= 0) {
      this.marks.add(`only the first ${this.#limits.text} characters of text were looked at`);
      return;
    }
    // Encodings make text longer, at most threefold.
    const end = Math.min(bodyEnd, bodyStart + room * 3);
    let text = decodeText(this.#octets.subarray(bodyStart, end), { encoding, charset });
    if (end < bodyEnd || text.length > room) {
      this.marks.add(`only the first ${room} characters of a part were looked at`);
      text = text.slice(0, room);
    }
    this.#left -= text.length;
    const links = this.#limits.urls - this.links.length;
    if (type === "text/html") {
      const facts = readHtml(text);
      this.html.push(facts);
      for (const { target, text: shown } of facts.anchors.slice(0, Math.max(0, links))) {
        const link = linkOf(target, shown);
        if (link !== null) this.links.push(link);
      }
    } else {
      this.plain.push(text);
      this.links.push(...linksIn(text, Math.max(0, links)));
    }
  }
}
