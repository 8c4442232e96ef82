/**
 * A message with NUL octets as every client can fetch it (RFC 3516 4.4, 6).
 *
 * BODY and BODYSTRUCTURE know no NUL, so parts that declare `Content-Transfer-Encoding: binary` and hold one become
 * base64; nothing else is touched. NUL anywhere else has no form without loss: such a message is refused. Works in
 * pieces, in bounded memory.
 */
import { encodeBase64Lines, OCTETS_PER_LINE } from "../../bytes/base64.ts";
import { encode } from "../../bytes/decode.ts";
import { scanFields } from "../../message/header.ts";
import type { PartSpan } from "../../message/packed.ts";
import type { Spool } from "../../storage/store.ts";

const PIECE_OCTETS = OCTETS_PER_LINE * 1_024;
const FIELD = encode("Content-Transfer-Encoding: base64\r\n");
/** Parts with a longer header are left alone, and so refused. */
const MAX_HEADER_OCTETS = 256 * 1024;

/** `[start, end)` of the message and what stands there instead: octets, or its own in base64. */
interface Edit {
  readonly start: number;
  readonly end: number;
  readonly instead: Uint8Array | "base64";
}

/** Gives the message to `write`, piece by piece; false: it holds NUL where no part declares it. */
export async function writeWithoutNul(
  source: Spool,
  root: PartSpan,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<boolean> {
  const edits: Edit[] = [];
  for (const part of leavesOf(root)) {
    if (part.encoding !== "BINARY" || part.headerEnd - part.headerStart > MAX_HEADER_OCTETS) continue;
    if (!await holdsNul(source, part.bodyStart, part.bodyEnd)) continue;
    edits.push(await fieldEdit(source, part));
    edits.push({ start: part.bodyStart, end: part.bodyEnd, instead: "base64" });
  }
  let at = 0;
  for (const { start, end, instead } of edits) {
    if (!await copy(source, { start: at, end: start }, write)) return false;
    if (instead === "base64") await writeBase64(source, { start, end }, write);
    else await write(instead);
    at = end;
  }
  return await copy(source, { start: at, end: source.octets }, write);
}

function* leavesOf(part: PartSpan): Generator<PartSpan> {
  if (part.message !== null) yield* leavesOf(part.message);
  else if (part.children.length === 0) yield part;
  for (const child of part.children) yield* leavesOf(child);
}

async function holdsNul(source: Spool, start: number, end: number): Promise<boolean> {
  for (let at = start; at < end; at += PIECE_OCTETS) {
    if ((await source.read(at, Math.min(end, at + PIECE_OCTETS))).includes(0)) return true;
  }
  return false;
}

/** The part has such a field: its encoding came from there. */
async function fieldEdit(source: Spool, part: PartSpan): Promise<Edit> {
  const block = await source.read(part.headerStart, part.headerEnd);
  const field = scanFields(block, 0, block.length).find(({ name }) => name === "content-transfer-encoding");
  if (field === undefined) throw new Error("a part with an encoding and no field of it");
  return { start: part.headerStart + field.start, end: part.headerStart + field.end, instead: FIELD };
}

async function copy(
  source: Spool,
  { start, end }: { start: number; end: number },
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<boolean> {
  for (let at = start; at < end; at += PIECE_OCTETS) {
    const piece = await source.read(at, Math.min(end, at + PIECE_OCTETS));
    if (piece.includes(0)) return false;
    await write(piece);
  }
  return true;
}

/** Lines of 76 characters (RFC 2045 6.8). */
async function writeBase64(
  source: Spool,
  { start, end }: { start: number; end: number },
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const lines = new Uint8Array(PIECE_OCTETS * 2);
  for (let at = start; at < end; at += PIECE_OCTETS) {
    const piece = await source.read(at, Math.min(end, at + PIECE_OCTETS));
    await write(lines.subarray(0, encodeBase64Lines(piece, lines)));
  }
}
