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

/** `extensible` writes BODYSTRUCTURE, otherwise BODY. */
export function bodyStructure(part: MimePart, extensible: boolean): string {
  return part.type === "MULTIPART" ? multipart(part, extensible) : single(part, extensible);
}

function multipart(part: MimePart, extensible: boolean): string {
  const children = part.children.length > 0
    ? part.children.map((child) => bodyStructure(child, extensible)).join("")
    // The grammar wants at least one part: an empty text stands for a multipart without any.
    : `("TEXT" "PLAIN" ("CHARSET" "US-ASCII") NIL NIL "7BIT" 0 0${extensible ? " NIL NIL NIL NIL" : ""})`;
  if (!extensible) return `(${children} ${quoted(part.subtype.toUpperCase())})`;
  return `(${children} ${quoted(part.subtype.toUpperCase())} ${parameters(part.contentType.parameters)} ${
    disposition(part)
  } ` +
    `${language(part)} ${nstring(part.fields.get("content-location"))})`;
}

function single(part: MimePart, extensible: boolean): string {
  const { fields } = part;
  const encoding = (fields.get("content-transfer-encoding") ?? "").replace(/\(.*?\)/g, "").trim();
  let text =
    `(${quoted(part.type)} ${quoted(part.subtype.toUpperCase())} ${
      parameters(part.contentType.parameters)
    } ` +
    `${nstring(fields.get("content-id"))} ${nstring(fields.get("content-description"))} ` +
    `${quoted(encoding === "" ? "7BIT" : encoding.toUpperCase())} ${part.bodyEnd - part.bodyStart}`;
  if (part.message !== null) {
    text += ` ${envelope(part.message.fields)} ${bodyStructure(part.message, extensible)} ${part.lines}`;
  } else if (part.type === "TEXT") text += ` ${part.lines}`;
  if (extensible) {
    text += ` ${nstring(fields.get("content-md5"))} ${disposition(part)} ${language(part)} ` +
      nstring(fields.get("content-location"));
  }
  return `${text})`;
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
  const tags = (part.fields.get("content-language") ?? "").split(",").map((tag) => tag.trim()).filter((tag) =>
    tag !== ""
  );
  return tags.length === 0 ? "NIL" : tags.length === 1 ? quoted(tags[0]!) : `(${tags.map(quoted).join(" ")})`;
}
