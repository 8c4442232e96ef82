/**
 * Headers of many messages by few reads: records of one segment that lie close together are read in one piece, because a
 * read costs as much as {@linkcode NEAR_OCTETS} octets more of it. Hot: header fields of a whole mailbox.
 */
import { shortLived } from "../../bytes/arena.ts";
import type { KnownRow } from "../../storage/known_rows.ts";
import type { MessageRow } from "../../storage/messages.ts";
import { type BlobReader, StorageError } from "../../storage/store.ts";

const NEAR_OCTETS = 8 * 1024;
const PIECE_OCTETS = 128 * 1024;
/** Headers that are held at once; what is beyond is left for reads of their own. */
const MOST_OCTETS = 1024 * 1024;
/** What is read, until the headers are copied out of it: fresh memory would cost more than the reads. */
let piece = new Uint8Array(0);

type Row = MessageRow | KnownRow;

/**
 * The header of each row, prefix included: that which the row keeps (storage/known_rows.ts), or read; null for those that are
 * too long or cannot be read, which are left for a read of their own. Not to be written to.
 */
export function readHeaders(blobs: BlobReader, rows: readonly (Row | null)[]): (Uint8Array | null)[] {
  const result: (Uint8Array | null)[] = new Array(rows.length).fill(null);
  let held = 0;
  for (let from = 0; from < rows.length && held < MOST_OCTETS;) {
    const first = rows[from] ?? null;
    const known = keptHeader(first);
    if (first === null || known !== null || first.headerOctets > PIECE_OCTETS) {
      result[from++] = known;
      continue;
    }
    const start = first.blob.offset;
    let end = start + first.headerOctets, to = from + 1;
    for (; to < rows.length; to++) {
      const next = rows[to] ?? null;
      if (next === null || keptHeader(next) !== null || next.blob.segment !== first.blob.segment) break;
      const { offset } = next.blob, nextEnd = offset + next.headerOctets;
      if (offset < end || offset - end > NEAR_OCTETS || nextEnd - start > PIECE_OCTETS) break;
      end = nextEnd;
    }
    readTogether(blobs, { rows, result, from, to, start, end });
    held += end - start;
    from = to;
  }
  return result;
}

function keptHeader(row: Row | null): Uint8Array | null {
  return row !== null && "header" in row ? row.header : null;
}

function readTogether(
  blobs: BlobReader,
  range: {
    readonly rows: readonly (Row | null)[];
    readonly result: (Uint8Array | null)[];
    readonly from: number;
    readonly to: number;
    /** Octets of the segment. */
    readonly start: number;
    readonly end: number;
  },
): void {
  const { rows, result, from, to, start, end } = range;
  const { segment } = rows[from]!.blob;
  if (piece.length === 0) piece = new Uint8Array(PIECE_OCTETS);
  try {
    const record = { segment, offset: start, length: end - start };
    blobs.readIntoSync(record, { start: 0, end: end - start }, piece, 0);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    return; // whose octets are missing is found out one by one
  }
  for (let at = from; at < to; at++) {
    const row = rows[at]!;
    const { prefix, headerOctets } = row;
    const header = shortLived(prefix.length + headerOctets);
    if (prefix.length > 0) header.set(prefix);
    const begin = row.blob.offset - start;
    header.set(piece.subarray(begin, begin + headerOctets), prefix.length);
    result[at] = header;
  }
}
