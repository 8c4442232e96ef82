/** BODYSTRUCTURE and BODY in wire form (RFC 3501 7.4.2): the tree of a message with sizes, types and parameters. */
import { envelope } from "./envelope.ts";
import type { MimePart } from "./mime_parser.ts";
import { parseParameterized } from "./parameter.ts";
import { nstring, quoted } from "./wire.ts";

/** Fields of a part's header that its structure is made of. */
export const STRUCTURE_FIELDS: readonly string[] = [
  ...["content-type", "content-transfer-encoding", "content-id", "content-description"],
  ...["content-md5", "content-disposition", "content-language", "content-location"],
];

/** Both forms: BODY, and BODYSTRUCTURE with its extension data. */
export interface Structure {
  readonly body: string;
  readonly bodyStructure: string;
}

/** The grammar wants at least one part: an empty text stands for a multipart without any. */
const NO_PARTS = `"TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0`;

export function structureOf(part: MimePart): Structure {
  return part.type === "MULTIPART" ? multipart(part) : single(part);
}

function multipart(part: MimePart): Structure {
  let body = "";
  let bodyStructure = "";
  for (const child of part.children) {
    const structure = structureOf(child);
    body += structure.body;
    bodyStructure += structure.bodyStructure;
  }
  if (part.children.length === 0) {
    body = `(${NO_PARTS})`;
    bodyStructure = `(${NO_PARTS} NIL NIL NIL NIL)`;
  }
  const subtype = quoted(part.subtype.toUpperCase());
  return {
    body: `(${body} ${subtype})`,
    bodyStructure: `(${bodyStructure} ${subtype} ${parameters(part.contentType.parameters)} ${
      disposition(part)
    } ${language(part)} ${nstring(part.fields.get("content-location"))})`,
  };
}

function single(part: MimePart): Structure {
  const { fields } = part;
  const start = `(${quoted(part.type)} ${quoted(part.subtype.toUpperCase())} ${
    parameters(part.contentType.parameters)
  } ${nstring(fields.get("content-id"))} ${nstring(fields.get("content-description"))} ${
    quoted(encodingOf(part))
  } ${part.bodyEnd - part.bodyStart}`;
  const extension = ` ${nstring(fields.get("content-md5"))} ${disposition(part)} ${language(part)} ${
    nstring(fields.get("content-location"))
  })`;
  if (part.message !== null) {
    const message = structureOf(part.message);
    const before = `${start} ${envelope(part.message.fields)} `;
    return {
      body: `${before}${message.body} ${part.lines})`,
      bodyStructure: `${before}${message.bodyStructure} ${part.lines}${extension}`,
    };
  }
  const basic = part.type === "TEXT" ? `${start} ${part.lines}` : start;
  return { body: `${basic})`, bodyStructure: basic + extension };
}

function encodingOf(part: MimePart): string {
  const value = part.fields.get("content-transfer-encoding");
  const encoding = value?.replace(/\(.*?\)/g, "").trim() ?? "";
  return encoding === "" ? "7BIT" : encoding.toUpperCase();
}

function parameters(list: readonly (readonly [string, string])[]): string {
  if (list.length === 0) return "NIL";
  return `(${list.map(([name, value]) => `${quoted(name.toUpperCase())} ${quoted(value)}`).join(" ")})`;
}

function disposition(part: MimePart): string {
  const value = part.fields.get("content-disposition");
  if (value === undefined || value === "") return "NIL";
  const parsed = parseParameterized(value);
  return parsed.value === ""
    ? "NIL"
    : `(${quoted(parsed.value.toUpperCase())} ${parameters(parsed.parameters)})`;
}

function language(part: MimePart): string {
  const value = part.fields.get("content-language");
  if (value === undefined) return "NIL";
  const tags = value.split(",").map((tag) => tag.trim()).filter((tag) => tag !== "");
  return tags.length === 0 ? "NIL" : tags.length === 1 ? quoted(tags[0]!) : `(${tags.map(quoted).join(" ")})`;
}
