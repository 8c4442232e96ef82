/** A message written anew, with another header in front of the same body. */
import { isAscii } from "../../bytes/decode.ts";
import { FactsBuilder, type MessageFacts } from "../../message/facts.ts";
import type { WriteOp } from "../../storage/ops.ts";
import type { Spool, Store } from "../../storage/store.ts";
import type { Filing, FilingFacts } from "../filing.ts";

const PIECE_OCTETS = 64 * 1024;

/** Octets that are not stored yet, and what they are. */
export interface Written {
  readonly spool: Spool;
  readonly message: MessageFacts;
  readonly eightBit: boolean;
}

/** The pieces of `head`, then what `body` has from its offset on. */
export async function writeAnew(
  store: Store,
  head: readonly Uint8Array[],
  body: { readonly spool: Spool; readonly from: number } | null,
): Promise<Written> {
  const spool = store.spool();
  const facts = new FactsBuilder();
  let eightBit = false;
  const put = async (octets: Uint8Array) => {
    eightBit ||= !isAscii(octets);
    facts.push(octets);
    await spool.write(octets, 0, octets.length);
  };
  for (const octets of head) await put(octets);
  for (let at = body?.from ?? 0; body !== null && at < body.spool.octets; at += PIECE_OCTETS) {
    await put(await body.spool.read(at, Math.min(body.spool.octets, at + PIECE_OCTETS)));
  }
  return { spool, message: facts.finish(), eightBit };
}

/** Makes it durable; the operation files or queues it. Rejects with StorageError. */
export async function fileWritten(
  { spool, message, eightBit }: Written,
  filing: Filing,
  facts: FilingFacts,
): Promise<WriteOp> {
  try {
    return await filing.operation(spool, message, { ...facts, eightBit });
  } finally {
    spool.discard();
  }
}
