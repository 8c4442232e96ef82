/**
 * Messages that came with BODY=BINARYMIME, or with NUL in them all the same: parts that hold NUL or bare line ends are
 * encoded as base64 at acceptance, so that neither reaches BODY[], POP3 or another server.
 *
 * RFC 3030 3. A part that says `binary` becomes base64 where it has to and `8bit` where it is lines already; composite
 * types that say `binary` become `8bit`. Signatures over binary parts break: nobody behind us could have had the octets
 * as they were. NUL or a bare line end in a header, a boundary line or a part that is encoded already cannot be mended.
 * Two passes over the spool, bounded memory whatever the size. Limits: those of the MIME parser.
 */
import { setImmediate } from "node:timers/promises";
import { CR, LF, NUL } from "../bytes/ascii.ts";
import type { MessageFacts } from "../message/facts.ts";
import { DEFAULT_MIME_LIMITS, MimeParser, type MimePart, pick } from "../message/mime_parser.ts";
import type { Spool } from "../storage/store.ts";
import { MAX_LINE_OCTETS } from "./header_fold.ts";
import { type Plan, Rewriter, WANTED } from "./long_lines.ts";

const PIECE_OCTETS = 64 * 1024;

/** Octets one behind the other: the body of a leaf, or what lies between bodies. */
interface Region {
  readonly end: number;
  readonly leaf: Plan | null;
  /** NUL, or CR or LF alone, or a line that is too long. */
  unfit: boolean;
}

/** Writes `from` to `to` without binary parts; the facts of what was written, null when nothing needs it. */
export async function reencodeBinaryParts(
  from: Spool,
  to: Spool,
): Promise<MessageFacts | null | "unmendable"> {
  const parser = new MimeParser(DEFAULT_MIME_LIMITS, (block, spans) => pick(block, spans, WANTED));
  const buffer = new Uint8Array(PIECE_OCTETS);
  for (let at = 0; at < from.octets; at += PIECE_OCTETS) {
    const piece = await from.read(at, Math.min(at + PIECE_OCTETS, from.octets), buffer);
    parser.push(piece, 0, piece.length);
  }
  const plans: Plan[] = [];
  collect(parser.finish(), true, plans);
  const regions = regionsOf(plans, from.octets);
  await judge(from, regions);
  const needed: Plan[] = [];
  const unfit = new Set<MimePart>();
  for (const region of regions) {
    if (!region.unfit) continue;
    if (region.leaf === null || region.leaf.encoding === "8bit") return "unmendable";
    unfit.add(region.leaf.part);
  }
  for (const plan of plans) {
    if (unfit.has(plan.part)) needed.push(plan);
    else if (encodingOf(plan.part) === "binary") needed.push({ ...plan, encoding: "8bit" });
  }
  if (needed.length === 0) return null;
  const writer = new Rewriter(from, to);
  for (const plan of needed) await writer.part(plan);
  return await writer.end();
}

/** Parts in message order; composite ones only where their label has to change. */
function collect(part: MimePart, messageRoot: boolean, plans: Plan[]): void {
  const composite = part.type === "MULTIPART" || part.message !== null;
  if (!composite) {
    const stated = encodingOf(part);
    const encoded = stated !== "" && stated !== "7bit" && stated !== "8bit" && stated !== "binary";
    plans.push({ part, encoding: encoded ? "8bit" : "base64", wrap: false, messageRoot });
    return;
  }
  if (encodingOf(part) === "binary") plans.push({ part, encoding: "8bit", wrap: false, messageRoot });
  if (part.message !== null) collect(part.message, true, plans);
  for (const child of part.children) collect(child, false, plans);
}

function encodingOf(part: MimePart): string {
  return (part.fields.get("content-transfer-encoding") ?? "").toLowerCase();
}

function regionsOf(plans: readonly Plan[], octets: number): Region[] {
  const regions: Region[] = [];
  for (const plan of plans) {
    const { part } = plan;
    if (part.type === "MULTIPART" || part.message !== null) continue;
    regions.push({ end: part.bodyStart, leaf: null, unfit: false });
    regions.push({ end: part.bodyEnd, leaf: plan, unfit: false });
  }
  regions.push({ end: octets, leaf: null, unfit: false });
  return regions;
}

/** Marks the regions that hold what must not leave as it is. */
async function judge(from: Spool, regions: readonly Region[]): Promise<void> {
  const buffer = new Uint8Array(PIECE_OCTETS);
  let at = 0;
  let region = 0;
  let afterCr = false;
  let line = 0;
  while (at < from.octets) {
    const piece = await from.read(at, Math.min(at + PIECE_OCTETS, from.octets), buffer);
    for (let i = 0; i < piece.length; i++) {
      while (region < regions.length - 1 && at + i >= regions[region]!.end) {
        if (afterCr && regions[region]!.leaf !== null && piece[i] !== LF) regions[region]!.unfit = true;
        region++;
        line = 0;
      }
      const octet = piece[i]!;
      const here = regions[region]!;
      if (octet === LF) {
        if (!afterCr) here.unfit = true;
        line = 0;
      } else if (afterCr || octet === NUL || ++line > MAX_LINE_OCTETS + 1) here.unfit = true;
      afterCr = octet === CR;
    }
    at += piece.length;
    await setImmediate(); // other sessions have their turn
  }
  if (afterCr) regions[region]!.unfit = true;
}
