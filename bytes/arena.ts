/**
 * Short pieces of memory that live for about a reply: parts of one larger piece, because fresh memory of its own costs each
 * more than what is put into it. Whoever keeps a piece for longer keeps the larger one alive, and copies instead.
 */
const PIECE_OCTETS = 64 * 1024;
/** Longer ones are on their own. */
const MOST_OCTETS = 8 * 1024;

const encoder = new TextEncoder();

let piece = new Uint8Array(0);
let used = 0;

/** Memory for the caller alone, of any content. */
export function shortLived(octets: number): Uint8Array<ArrayBuffer> {
  if (octets > MOST_OCTETS) return new Uint8Array(octets);
  if (used + octets > piece.length) {
    piece = new Uint8Array(PIECE_OCTETS);
    used = 0;
  }
  return piece.subarray(used, used += octets);
}

/** A text as UTF-8 in such memory. */
export function shortLivedText(text: string): Uint8Array<ArrayBuffer> {
  const most = text.length * 3;
  const room = shortLived(most);
  const { written } = encoder.encodeInto(text, room);
  if (most <= MOST_OCTETS) used -= most - written; // the last piece that was given: its rest is for the next
  return room.subarray(0, written);
}
