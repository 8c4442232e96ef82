/**
 * The attachments of a message: its leaves with their names, found while the message is read in pieces.
 *
 * A message of one part is not parsed beyond its header. What MIME hides deeper than its limits is octets of the part
 * around it, and looked at as such.
 */
import { latin1 } from "../../bytes/decode.ts";
import { decodeTransferEncoding } from "../../message/content.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../../message/mime_parser.ts";
import { parameter, parseParameterized } from "../../message/parameter.ts";
import type { MessageSource } from "../message_source.ts";
import { type Budget, inspectHead, inspectName, inspectWhole } from "./inspect.ts";
import { HEAD_OCTETS } from "./true_type.ts";

const READ_OCTETS = 256 * 1024;
/** As base64 with its line ends. */
const HEAD_RAW_OCTETS = Math.ceil(HEAD_OCTETS * 4 / 3 * 1.1);
const WANTED: ReadonlySet<string> = new Set([
  "content-type",
  "content-transfer-encoding",
  "content-disposition",
]);
/** Octets of a header that are looked at, as the parser does. */
const MAX_HEADER = DEFAULT_MIME_LIMITS.headerOctets;

/** Looks at all of them; what is found is in the budget. Rejects when the message cannot be read. */
export async function inspectMessage(message: MessageSource, budget: Budget): Promise<void> {
  if (message.headerOctets > MAX_HEADER) budget.found("not-seen", "header", "larger than is looked at");
  for (const leaf of await leavesOf(message)) {
    if (!budget.file()) return budget.found("not-seen", "message", "too many parts");
    await inspectLeaf(message, leaf, budget);
  }
}

async function inspectLeaf(message: MessageSource, leaf: MimePart, budget: Budget): Promise<void> {
  const name = nameOf(leaf);
  const path = name === "" ? "part without a name" : name;
  if (name !== "") inspectName(name, path, budget);
  const rawOctets = leaf.bodyEnd - leaf.bodyStart;
  if (rawOctets <= 0) return;
  const decoded = async (most: number) =>
    decodeTransferEncoding(
      await message.read(leaf.bodyStart, Math.min(most, rawOctets)),
      leaf.fields.get("content-transfer-encoding") ?? "",
    );
  if (!inspectHead((await decoded(HEAD_RAW_OCTETS)).subarray(0, HEAD_OCTETS), path, budget)) return;
  if (rawOctets > budget.octets) return budget.found("not-seen", path, "larger than is looked at");
  const octets = await decoded(rawOctets);
  budget.spend(octets.length);
  await inspectWhole(octets, { path, depth: 0 }, budget);
}

async function leavesOf(message: MessageSource): Promise<MimePart[]> {
  const parser = new MimeParser(DEFAULT_MIME_LIMITS, (block, spans) => pick(block, spans, WANTED));
  const header = await message.read(0, Math.min(message.headerOctets, MAX_HEADER));
  parser.push(header, 0, header.length);
  if (!MAY_HAVE_PARTS.test(latin1(header))) {
    const root = parser.finish();
    return [{ ...root, bodyStart: message.headerOctets, bodyEnd: message.octets }];
  }
  for (let at = header.length; at < message.octets; at += READ_OCTETS) {
    const octets = await message.read(at, READ_OCTETS);
    parser.push(octets, 0, octets.length);
  }
  const leaves: MimePart[] = [];
  collect(parser.finish(), leaves);
  return leaves;
}

function collect(part: MimePart, leaves: MimePart[]): void {
  if (part.message !== null) collect(part.message, leaves);
  else if (part.children.length === 0) leaves.push(part);
  else for (const child of part.children) collect(child, leaves);
}

/** "" where it has none. */
function nameOf(part: MimePart): string {
  const disposition = part.fields.get("content-disposition");
  const name = disposition === undefined ? null : parameter(parseParameterized(disposition), "filename");
  return (name ?? parameter(part.contentType, "name") ?? "").slice(0, MAX_NAME);
}

const MAX_NAME = 1_000;
/** In a content type anywhere in the header: too many rather than too few. */
const MAY_HAVE_PARTS = /\b(?:multipart|message)\s*(?:\([^)]*\)\s*)?\//i;
