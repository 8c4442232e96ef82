/**
 * RETR and TOP (RFC 1939 5 and 7): a stored message as a multi-line response.
 *
 * A small message is read straight into the output buffer; only one with a line that begins with a dot is copied again.
 * A long one is read in pieces off the event loop, each written before the next is read: bounded memory, and a slow
 * client holds the reading back. Octets are sent as stored; \Seen is not set, reading by POP3 is not seeing (as in
 * Dovecot). Hot (bench/micro/pop3_bench.ts).
 */
import { isAscii } from "../../bytes/decode.ts";
import type { Out } from "../../bytes/out.ts";
import { needsSurrogate, surrogateHeader } from "../../message/surrogate.ts";
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
  /** The client takes UTF-8 in headers (RFC 6856). */
  readonly utf8: boolean;
  /** Writes what is waiting when there is much of it, and lets other sessions run. */
  drain(): Promise<void>;
}

/** A response in the making: octets of ours, then the record from an offset on. */
interface Content {
  readonly head: Uint8Array;
  readonly from: number;
  /** Octets of the record's header that are not in `head`. */
  readonly headerOctets: number;
}

/**
 * Writes the whole response. Throws StorageError when nothing of it was sent and it can be refused; any other error
 * means that the response is cut and the connection must end.
 */
export function retrieve(context: RetrieveContext, message: Readable): Promise<void> | undefined {
  if (message.blob.length > SYNC_OCTETS || !writeShort(context, message)) {
    return retrieveLong(context, message);
  }
  retrievedOctets.inc(message.sizeOctets);
}

/** The response, read on the event loop; false: a surrogate header is needed, and nothing was written. */
export function writeShort(
  { out, blobs, utf8 }: Pick<RetrieveContext, "out" | "blobs" | "utf8">,
  message: Readable,
): boolean {
  const { blob, prefix, headerOctets } = message;
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
    if (!utf8 && !(isAscii(prefix) && isAscii(octets, 0, headerOctets))) {
      const content = contentOf(message, octets.slice(0, headerOctets));
      if (content.from > 0) {
        out.rollback(begin);
        return false;
      }
    }
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
  return true;
}

async function retrieveLong(context: RetrieveContext, message: Readable): Promise<void> {
  const { out, blobs } = context;
  const { blob } = message;
  const { head, from } = readContent(context, message);
  // The first piece before the +OK: a message that cannot be read is refused.
  let piece = await blobs.read(blob, from, Math.min(blob.length, from + PIECE_OCTETS));
  const sizeOctets = head.length + blob.length - from;
  out.text(`+OK ${sizeOctets} octets\r\n`);
  const body = new MultiLine(out);
  body.write(head, 0, head.length);
  for (let end = from + piece.length;;) {
    body.write(piece, 0, piece.length);
    await context.drain();
    if (end === blob.length) break;
    piece = await readOn(blobs, message, { start: end, end: Math.min(blob.length, end + PIECE_OCTETS) });
    end += piece.length;
  }
  body.end();
  retrievedOctets.inc(sizeOctets);
}

/** TOP: the header, the empty line, and so many lines of the body. */
export async function top(context: RetrieveContext, message: Readable, lines: number): Promise<void> {
  const { out, blobs } = context;
  const { blob } = message;
  const { head, from, headerOctets } = readContent(context, message);
  const guess = Math.min(SYNC_OCTETS, headerOctets + lines * LINE_OCTETS);
  let piece = blobs.readSync(blob, from, Math.min(blob.length, from + guess));
  out.text("+OK\r\n");
  const body = new MultiLine(out);
  body.write(head, 0, head.length);
  let left = lines;
  for (let at = 0;;) {
    const header = Math.min(piece.length, Math.max(0, headerOctets - at));
    body.write(piece, 0, header);
    left = body.writeLines(piece, { start: header, end: piece.length }, left);
    retrievedOctets.inc(piece.length);
    await context.drain();
    at += piece.length;
    const start = from + at;
    if (start >= blob.length || (left === 0 && at >= headerOctets)) break;
    piece = await readOn(blobs, message, { start, end: Math.min(blob.length, start + PIECE_OCTETS) });
  }
  body.end();
}

/** What to send: the message as stored, or with a surrogate header to a client in ASCII mode (RFC 6856 2.1). */
function readContent(context: RetrieveContext, message: Readable): Content {
  const { blob, prefix, headerOctets } = message;
  // A header that long is nobody's address list; it goes as it is.
  if (context.utf8 || headerOctets > SYNC_OCTETS) return { head: prefix, from: 0, headerOctets };
  return contentOf(message, context.blobs.readSync(blob, 0, headerOctets));
}

function contentOf({ prefix, headerOctets }: Readable, header: Uint8Array): Content {
  const whole = new Uint8Array(prefix.length + header.length);
  whole.set(prefix);
  whole.set(header, prefix.length);
  if (!needsSurrogate(whole)) return { head: prefix, from: 0, headerOctets };
  return { head: surrogateHeader(whole), from: headerOctets, headerOctets: 0 };
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
