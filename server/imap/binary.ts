/** BINARY (RFC 3516 4): the octets of a part with its Content-Transfer-Encoding undone. */
import { decodeTransferEncoding } from "../../message/content.ts";
import { partsOf } from "../../message/packed.ts";
import type { MessageRow } from "../../storage/messages.ts";
import type { BlobReader } from "../../storage/store.ts";
import { findPart } from "./section.ts";

const KNOWN = new Set(["", "7BIT", "8BIT", "BINARY", "BASE64", "QUOTED-PRINTABLE"]);

/** Null: there is no such part. "unknown": an encoding we cannot undo. */
export async function binaryPart(
  blobs: BlobReader,
  row: MessageRow,
  numbers: readonly number[],
): Promise<Uint8Array | null | "unknown"> {
  if (numbers.length === 0) {
    const shared = await blobs.read(row.blob, 0, row.blob.length);
    const whole = new Uint8Array(row.prefix.length + shared.length);
    whole.set(row.prefix);
    whole.set(shared, row.prefix.length);
    return whole;
  }
  const part = findPart(partsOf(row.imap), numbers);
  if (part === null) return null;
  // Encodings apply to leaves only (RFC 2045 6.4).
  const leaf = part.children.length === 0 && part.message === null;
  if (leaf && !KNOWN.has(part.encoding.trim().toUpperCase())) return "unknown";
  const octets = await blobs.read(row.blob, part.bodyStart, part.bodyEnd);
  return leaf ? decodeTransferEncoding(octets, part.encoding) : octets;
}
