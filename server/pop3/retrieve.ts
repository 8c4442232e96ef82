/**
 * RETR and TOP (RFC 1939 5 and 7): a stored message as a multi-line response.
 *
 * A small message is read straight into the output buffer; only one with a line that begins with a dot is copied again.
 * A long one is read in pieces off the event loop, each written before the next is read: bounded memory, and a slow
 * client holds the reading back. Octets are sent as stored; \Seen is not set, reading by POP3 is not seeing (as in
 * Dovecot). Hot (bench/micro/pop3_bench.ts).
 */
import type { Out } from "../../bytes/out.ts";
import { MultiLine } from "../../protocols/pop3/multi_line.ts";
import { type BlobReader, StorageError } from "../../storage/store.ts";
import type { Readable } from "./held_messages.ts";
import { retrievedOctets } from "./metrics.ts";

/** Longer messages are read off the event loop, a piece at a time. */
const SYNC_OCTETS = 64 * 1024;
const PIECE_OCTETS = 128 * 1024;
/** What TOP reads at first for each line asked for. */
const LINE_OCTETS = 80;

export interface RetrieveContext {
  readonly out: Out;
  readonly blobs: BlobReader;
  /** Writes what is waiting when there is much of it, and lets other sessions run. */
  drain(): Promise<void>;
}

/**
 * Writes the whole response. Throws StorageError when nothing of it was sent and it can be refused; any other error
 * means that the response is cut and the connection must end.
 */
export function retrieve(context: RetrieveContext, message: Readable): Promise<void> | undefined {
  const { out, blobs } = context;
  const { blob, prefix } = message;
  if (blob.length > SYNC_OCTETS) return retrieveLong(context, message);
  const begin = out.mark();
  out.text(`+OK ${message.sizeOctets} octets\r\n`);
  const body = new MultiLine(out);
  body.write(prefix, 0, prefix.length);
  const mark = out.mark();
  try {
    let octets = prefix;
    out.fill(blob.length, (into, at) => {
      blobs.readIntoSync(blob, { start: 0, end: blob.length }, into, at);
      octets = into.subarray(at, at + blob.length);
    });
    if (!body.accept(octets)) {
      const copy = octets.slice();
      out.rollback(mark);
      body.write(copy, 0, copy.length);
    }
  } catch (error) {
    out.rollback(begin);
    throw error;
  }
  body.end();
  retrievedOctets.inc(message.sizeOctets);
}

async function retrieveLong(context: RetrieveContext, message: Readable): Promise<void> {
  const { out } = context;
  const { blob, prefix } = message;
  // The first piece before the +OK: a message that cannot be read is refused.
  let piece = await context.blobs.read(blob, 0, PIECE_OCTETS < blob.length ? PIECE_OCTETS : blob.length);
  out.text(`+OK ${message.sizeOctets} octets\r\n`);
  const body = new MultiLine(out);
  body.write(prefix, 0, prefix.length);
  for (let end = piece.length;;) {
    body.write(piece, 0, piece.length);
    await context.drain();
    if (end === blob.length) break;
    piece = await readOn(context.blobs, message, {
      start: end,
      end: Math.min(blob.length, end + PIECE_OCTETS),
    });
    end += piece.length;
  }
  body.end();
  retrievedOctets.inc(message.sizeOctets);
}

/** TOP: the header, the empty line, and so many lines of the body. */
export async function top(context: RetrieveContext, message: Readable, lines: number): Promise<void> {
  const { out, blobs } = context;
  const { blob, prefix, headerOctets } = message;
  const guess = Math.min(SYNC_OCTETS, headerOctets + lines * LINE_OCTETS, blob.length);
  let piece = blobs.readSync(blob, 0, guess);
  out.text("+OK\r\n");
  const body = new MultiLine(out);
  body.write(prefix, 0, prefix.length);
  let left = lines;
  for (let start = 0;;) {
    const header = Math.min(piece.length, Math.max(0, headerOctets - start));
    body.write(piece, 0, header);
    left = body.writeLines(piece, { start: header, end: piece.length }, left);
    retrievedOctets.inc(piece.length);
    await context.drain();
    start += piece.length;
    if (start >= blob.length || (left === 0 && start >= headerOctets)) break;
    piece = await readOn(blobs, message, { start, end: Math.min(blob.length, start + PIECE_OCTETS) });
  }
  body.end();
}

/** The next piece of a response that has begun. */
async function readOn(
  blobs: BlobReader,
  { blob }: Readable,
  span: { readonly start: number; readonly end: number },
): Promise<Uint8Array> {
  try {
    return await blobs.read(blob, span.start, span.end);
  } catch (error) {
    if (!(error instanceof StorageError)) throw error;
    throw new Error("a message cannot be read to its end", { cause: error });
  }
}
