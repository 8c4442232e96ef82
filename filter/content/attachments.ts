/**
 * The attachments of a message: its leaves with their names, found while the message is read in pieces.
 *
 * A message of one part is not parsed beyond its header. What MIME hides deeper than its limits is octets of the part
 * around it, and looked at as such.
 */
import { type Steps, when } from "../../bytes/steps.ts";
import { latin1 } from "../../bytes/decode.ts";
import { decodeTransferEncoding } from "../../message/content.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../../message/mime_parser.ts";
import { parameter, parseParameterized } from "../../message/parameter.ts";
import type { MessageSource } from "../message_source.ts";
import {
  Budget,
  type ContentLimits,
  type Finding,
  type FindingKind,
  inspectHead,
  inspectName,
  inspectWhole,
} from "./inspect.ts";
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

/** A leaf of the message and what was found in it. Offsets count from the first octet of the message. */
export interface Attachment {
  /** "" where it has none. */
  readonly name: string;
  readonly headerStart: number;
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** It is the message itself: its header is that of the message. */
  readonly whole: boolean;
  /** It is encrypted, or signed together with what is around it: no octet of it may change. */
  readonly sealed: boolean;
  readonly kinds: ReadonlySet<FindingKind>;
}

export interface Inspected {
  readonly findings: readonly Finding[];
  /** Those that something was found in, in their order. */
  readonly attachments: readonly Attachment[];
}

/** Looks at all of them, here or in another thread; null where that failed, which is in the log. */
export type Inspect = (message: MessageSource, limits: ContentLimits) => Steps<Inspected | null>;

/** Looks at all of them here. Throws when the message cannot be read. */
export function* inspected(message: MessageSource, limits: ContentLimits): Steps<Inspected> {
  const budget = new Budget(limits);
  const attachments = yield* inspectMessage(message, budget);
  return { findings: budget.findings, attachments };
}

/**
 * Looks at all of them; what is found is in the budget. Those that something was found in, in their order. Throws when the
 * message cannot be read.
 */
export function* inspectMessage(message: MessageSource, budget: Budget): Steps<Attachment[]> {
  if (message.headerOctets > MAX_HEADER) budget.found("not-seen", "header", "larger than is looked at");
  const found: Attachment[] = [];
  for (const { part, whole, sealed } of yield* leavesOf(message)) {
    if (!budget.file()) {
      budget.found("not-seen", "message", "too many parts");
      break;
    }
    const kinds = budget.kinds = new Set<FindingKind>();
    const { headerStart, bodyStart, bodyEnd } = part;
    const name = nameOf(part);
    yield* inspectLeaf(message, { part, name }, budget);
    if (kinds.size > 0) found.push({ name, headerStart, bodyStart, bodyEnd, whole, sealed, kinds });
  }
  return found;
}

function* inspectLeaf(
  message: MessageSource,
  { part: leaf, name }: { readonly part: MimePart; readonly name: string },
  budget: Budget,
): Steps<void> {
  const path = name === "" ? "part without a name" : name;
  if (name !== "") inspectName(name, path, budget);
  const rawOctets = leaf.bodyEnd - leaf.bodyStart;
  if (rawOctets <= 0) return;
  const decoded = function* (most: number): Steps<Uint8Array> {
    const raw = yield* octetsOf(message, leaf.bodyStart, Math.min(most, rawOctets));
    return decodeTransferEncoding(raw, leaf.fields.get("content-transfer-encoding") ?? "");
  };
  if (!inspectHead((yield* decoded(HEAD_RAW_OCTETS)).subarray(0, HEAD_OCTETS), path, budget)) return;
  if (rawOctets > budget.octets) return budget.found("not-seen", path, "larger than is looked at");
  const octets = (yield* decoded(rawOctets)).slice(); // what looks into archives may be given up and go on
  budget.spend(octets.length);
  yield inspectWhole(octets, { path, depth: 0 }, budget);
}

/** To be looked at, not to be kept. */
function octetsOf(message: MessageSource, offset: number, length: number): Steps<Uint8Array> {
  return when(message.held(offset, length) ?? message.read(offset, length));
}

interface Leaf {
  readonly part: MimePart;
  readonly whole: boolean;
  readonly sealed: boolean;
}

function* leavesOf(message: MessageSource): Steps<Leaf[]> {
  const parser = new MimeParser(DEFAULT_MIME_LIMITS, (block, spans) => pick(block, spans, WANTED));
  const header = yield* octetsOf(message, 0, Math.min(message.headerOctets, MAX_HEADER));
  parser.push(header, 0, header.length);
  if (!MAY_HAVE_PARTS.test(latin1(header))) {
    const root = parser.finish();
    const part = { ...root, bodyStart: message.headerOctets, bodyEnd: message.octets };
    return [{ part, whole: true, sealed: isSealed(root) }];
  }
  for (let at = header.length; at < message.octets; at += READ_OCTETS) {
    const octets = yield* octetsOf(message, at, READ_OCTETS);
    parser.push(octets, 0, octets.length);
  }
  const leaves: Leaf[] = [];
  collect({ part: parser.finish(), whole: true, sealed: false }, leaves);
  return leaves;
}

function collect({ part, whole, sealed: around }: Leaf, leaves: Leaf[]): void {
  const sealed = around || isSealed(part);
  if (part.message !== null) collect({ part: part.message, whole: false, sealed }, leaves);
  else if (part.children.length === 0) leaves.push({ part, whole, sealed });
  else for (const child of part.children) collect({ part: child, whole: false, sealed }, leaves);
}

/** PGP/MIME and S/MIME (RFC 1847, RFC 8551). */
function isSealed({ type, subtype }: MimePart): boolean {
  return type === "MULTIPART"
    ? /^(signed|encrypted)$/i.test(subtype)
    : type === "APPLICATION" && /^(x-)?pkcs7-mime$/i.test(subtype);
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
