/**
 * Fields put in front of a message that is in the spool already, and fields taken out of its header, once it is known
 * what they must say: results of checks, signatures, seals.
 *
 * The octets are written anew with the facts that describe them; everything else stays octet for octet. Bounded memory.
 */
import { encodeLatin1, isAscii } from "../bytes/decode.ts";
import { BodyHash } from "../mailauth/dkim_canonical.ts";
import { FactsBuilder, type MessageFacts } from "../message/facts.ts";
import type { Spool } from "../storage/store.ts";

const PIECE_OCTETS = 64 * 1024;

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** `removed` in order, without overlap. */
export async function writeWithFields(
  { from, to }: { readonly from: Spool; readonly to: Spool },
  { front, removed }: { readonly front: string; readonly removed: readonly Span[] },
): Promise<MessageFacts> {
  const facts = new FactsBuilder();
  const put = async (bytes: Uint8Array) => {
    facts.push(bytes);
    await to.write(bytes, 0, bytes.length);
  };
  await put(encodeLatin1(front));
  let at = 0;
  for (const { start, end } of [...removed, { start: from.octets, end: from.octets }]) {
    await eachPiece(from, { start: at, end: start }, put);
    at = end;
  }
  return facts.finish();
}

/** SHA-256 of the relaxed body that begins at `start`. */
export async function bodyDigest(spool: Spool, start: number): Promise<Uint8Array> {
  const hash = new BodyHash("relaxed", { algorithm: "sha256", limit: null });
  await eachPiece(spool, { start, end: spool.octets }, (piece) => {
    hash.write(piece, 0, piece.length);
  });
  return hash.digest();
}

/** True when octets beyond ASCII stand anywhere behind `start`. */
export async function hasEightBitFrom(spool: Spool, start: number): Promise<boolean> {
  let found = false;
  await eachPiece(spool, { start, end: spool.octets }, (piece) => {
    found ||= !isAscii(piece);
  });
  return found;
}

async function eachPiece(
  spool: Spool,
  { start, end }: Span,
  take: (piece: Uint8Array) => void | Promise<void>,
): Promise<void> {
  for (let at = start; at < end; at += PIECE_OCTETS) {
    await take(await spool.read(at, Math.min(end, at + PIECE_OCTETS)));
  }
}
