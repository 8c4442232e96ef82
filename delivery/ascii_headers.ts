/**
 * A message whose headers are in UTF-8, written with headers in ASCII for a server without SMTPUTF8.
 *
 * RFC 6531 3.2 leaves to a submission server what it makes of such a message, as long as nothing in UTF-8 is left. Here
 * all of it must be said in ASCII (message/ascii_field.ts), in the headers of all parts, and nothing that somebody else
 * has signed may change: a DKIM or ARC signature that covers a field or the body that would be another, or anything
 * under multipart/signed. Signatures of our own go; the caller signs anew. Messages inside the message are its content
 * and stay as they are. Two passes over the spool, bounded memory.
 */
import { encode, isAscii, latin1 } from "../bytes/decode.ts";
import { colonList, parseTagList } from "../mailauth/tag_list.ts";
import { exactValue } from "../message/ascii_field.ts";
import type { MessageFacts } from "../message/facts.ts";
import { type FieldSpan, fieldValue, scanFields } from "../message/header.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../message/mime_parser.ts";
import type { Spool } from "../storage/store.ts";
import { Rewriter, WANTED } from "./long_lines.ts";

const PIECE_OCTETS = 64 * 1024;
const SIGNATURES: ReadonlySet<string> = new Set(["dkim-signature", "arc-message-signature"]);

export type AsciiForm =
  /** Its headers are ASCII. */
  | { readonly kind: "is-ascii" }
  | { readonly kind: "written"; readonly facts: MessageFacts }
  /** `why` in words for its sender. */
  | { readonly kind: "impossible"; readonly why: string };

export interface AsciiOptions {
  /** True for a signature of ours. */
  readonly isOurs: (domain: string, selector: string) => boolean;
  /** Bodies of parts will be encoded anew behind this: a signature over the body breaks in any case. */
  readonly bodyChanges: boolean;
}

/** Writes `from` to `to` where something has to change and may. */
export async function writeAsciiHeaders(from: Spool, to: Spool, options: AsciiOptions): Promise<AsciiForm> {
  const root = await treeOf(from);
  const parts: Unfit[] = [];
  await collect(from, root, { signed: false, parts });
  if (parts.length === 0) return { kind: "is-ascii" };
  // The message's own header in any case: signatures stand in it.
  const all = parts[0]!.part === root ? parts : [{ part: root, signed: false }, ...parts];
  const changes: { part: MimePart; header: Uint8Array }[] = [];
  for (const { part, signed } of all) {
    if (signed) return { kind: "impossible", why: "the header of a part that is signed" };
    if (part.headerEnd - part.headerStart > DEFAULT_MIME_LIMITS.headerOctets) {
      return { kind: "impossible", why: "a header that is too long" };
    }
    const header = await from.read(part.headerStart, part.headerEnd);
    const fields = part === root ? rootFields(header, parts, options) : { kept: everything };
    const ascii = "why" in fields ? fields : asciiHeader(header, fields.kept);
    if ("why" in ascii) return { kind: "impossible", why: ascii.why };
    changes.push({ part, header: ascii.header });
  }
  const writer = new Rewriter(from, to);
  for (const { part, header } of changes) await writer.replace(part.headerStart, part.headerEnd, header);
  return { kind: "written", facts: await writer.end() };
}

/** A part whose header is not ASCII. */
interface Unfit {
  readonly part: MimePart;
  readonly signed: boolean;
}

async function treeOf(from: Spool): Promise<MimePart> {
  const parser = new MimeParser(DEFAULT_MIME_LIMITS, (block, spans) => pick(block, spans, WANTED));
  const buffer = new Uint8Array(PIECE_OCTETS);
  for (let at = 0; at < from.octets; at += PIECE_OCTETS) {
    const piece = await from.read(at, Math.min(at + PIECE_OCTETS, from.octets), buffer);
    parser.push(piece, 0, piece.length);
  }
  return parser.finish();
}

/** In message order. */
async function collect(
  from: Spool,
  part: MimePart,
  { signed, parts }: { readonly signed: boolean; readonly parts: Unfit[] },
): Promise<void> {
  if (!isAscii(await from.read(part.headerStart, part.headerEnd))) parts.push({ part, signed });
  const below = signed || (part.type === "MULTIPART" && /^signed$/i.test(part.subtype));
  for (const child of part.children) await collect(from, child, { signed: below, parts });
}

const everything = () => true;

/** Somebody vouches for this header and the body behind it, as far as it says. */
export function isSigned(header: Uint8Array): boolean {
  return scanFields(header, 0, header.length).some(({ name }) => SIGNATURES.has(name));
}

/** Which fields of the message's own header stay, or why it cannot change. */
function rootFields(
  header: Uint8Array,
  parts: readonly Unfit[],
  { isOurs, bodyChanges }: AsciiOptions,
): { readonly kept: (span: FieldSpan) => boolean } | { readonly why: string } {
  const spans = scanFields(header, 0, header.length);
  const changed = new Set(
    spans.filter(({ start, end }) => !isAscii(header, start, end)).map(({ name }) => name),
  );
  const body = bodyChanges || parts.some(({ part }) => part.headerStart > 0);
  /** By where they begin. */
  const ours = new Set<number>();
  for (const span of spans) {
    if (!SIGNATURES.has(span.name)) continue;
    const tags = parseTagList(fieldValue(header, span));
    if (tags === null) continue; // no signature for anybody
    const domain = tags.get("d") ?? "";
    if (span.name === "dkim-signature" && isOurs(domain.toLowerCase(), tags.get("s") ?? "")) {
      ours.add(span.start);
      continue;
    }
    const covered = colonList((tags.get("h") ?? "").toLowerCase()).find((name) => changed.has(name));
    if (covered !== undefined || body) {
      return { why: `what the signature of ${domain} covers (${covered ?? "the body"})` };
    }
  }
  return { kept: ({ start }) => !ours.has(start) };
}

function asciiHeader(
  header: Uint8Array,
  kept: (span: FieldSpan) => boolean,
): { readonly header: Uint8Array } | { readonly why: string } {
  let text = "";
  let end = 0;
  for (const span of scanFields(header, 0, header.length)) {
    if (!isAscii(header, end, span.start)) return { why: "a line that is no header field" };
    text += latin1(header, end, span.start);
    end = span.end;
    if (!kept(span)) continue;
    if (isAscii(header, span.start, span.end)) {
      text += latin1(header, span.start, span.end);
      continue;
    }
    const name = latin1(header, span.start, span.start + span.name.length);
    const value = isAscii(header, span.start, span.value)
      ? exactValue(span.name, fieldValue(header, span))
      : null;
    if (value === null) {
      return { why: `the header field ${isAscii(encode(name)) ? name : "whose name is not ASCII"}` };
    }
    text += `${name}: ${value}\r\n`;
  }
  if (!isAscii(header, end, header.length)) return { why: "a line that is no header field" };
  return { header: encode(text + latin1(header, end, header.length)) };
}
