/**
 * A message on its way into a connection: where its octets are, and how they are written.
 *
 * By DATA with dots doubled, or in chunks of BDAT (RFC 3030). Nothing here waits for the peer but `flush`, which is called
 * when much is to be sent and says false when the connection is lost.
 */
import { Out } from "../bytes/out.ts";
import type { ClientSession } from "../protocols/smtp/client_session.ts";
import type { ClientTransaction } from "../protocols/smtp/client_transaction.ts";
import { DotStuffer } from "../protocols/smtp/dot_stuff.ts";

/** The octets of a message; the whole is read at once only when small. */
export interface MessageSource {
  readonly octets: number;
  read(start: number, end: number): Uint8Array | Promise<Uint8Array>;
}

/** A message for the next host, and where its octets are. */
export interface Outgoing {
  readonly transaction: ClientTransaction;
  readonly source: MessageSource;
}

type Flush = () => Promise<boolean>;

const PIECE_OCTETS = 64 * 1024;

/** The message and its end; false when the connection was lost on the way. Rejects when it cannot be read. */
export async function writeData(
  session: ClientSession,
  source: MessageSource,
  flush: Flush,
): Promise<boolean> {
  const stuffer = new DotStuffer(session.out);
  const octets = session.emptyData ? 0 : source.octets;
  for (let at = 0; at < octets; at += PIECE_OCTETS) {
    stuffer.push(await source.read(at, Math.min(octets, at + PIECE_OCTETS)));
    if (!await flush()) return false;
  }
  stuffer.finish();
  session.dataSent();
  return true;
}

/** The same in a chunk for each piece; the last one ends a line where the message did not. */
export async function writeChunks(
  session: ClientSession,
  source: MessageSource,
  flush: Flush,
): Promise<boolean> {
  const piece = new Out();
  const lines = new DotStuffer(piece, { dots: false });
  for (let at = 0; at < source.octets; at += PIECE_OCTETS) {
    lines.push(await source.read(at, Math.min(source.octets, at + PIECE_OCTETS)));
    const last = at + PIECE_OCTETS >= source.octets;
    if (last) lines.finish();
    const octets = piece.take();
    session.chunk(octets, last);
    piece.give(octets);
    if (!await flush()) return false;
  }
  if (source.octets === 0) session.chunk(new Uint8Array(0), true);
  session.dataSent();
  return true;
}

/** The message read as a whole; null where it cannot be: then it fails in its own turn, not in that of the one before. */
export async function inMemory(
  { transaction, source: { octets, read } }: Outgoing,
): Promise<Outgoing | null> {
  try {
    const whole = await read(0, octets);
    return { transaction, source: { octets, read: (start, end) => whole.subarray(start, end) } };
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return null;
  }
}
