/**
 * Mail with 8-bit octets for a server without 8BITMIME: sent as it is, converted, or refused, as the operator says.
 *
 * RFC 6152 3. Nearly every server takes 8-bit octets whatever it offers, and a conversion breaks signatures over the body:
 * therefore the first is the default. Converted parts become quoted-printable or base64 (long_lines.ts); a header that is
 * not ASCII, and parts under multipart/signed, cannot be converted and go as they are.
 */
import { ours, type TransactionResult } from "../../protocols/smtp/client_result.ts";
import type { QueuedMessage, Store } from "../../storage/store.ts";
import { reencodeSevenBit } from "../long_lines.ts";
import type { OutboundConnection } from "../outbound_connection.ts";
import type { MessageSource, Outgoing } from "../outgoing_message.ts";

export type EightBitRule = "send" | "convert" | "refuse";

const PIECE_OCTETS = 64 * 1024;

/** True where the rule has something to say: an 8-bit message and a peer that does not say that it takes it. */
export function isRuled(
  { eightBit }: QueuedMessage,
  { offersEightBit }: OutboundConnection,
  rule: EightBitRule,
): boolean {
  return eightBit && !offersEightBit && rule !== "send";
}

/** Sends a message that {@linkcode isRuled}. */
export async function sendByRule(
  connection: OutboundConnection,
  { transaction, source }: Outgoing,
  { rule, store }: { readonly rule: EightBitRule; readonly store: Pick<Store, "spool"> },
): Promise<TransactionResult> {
  if (rule === "refuse") {
    const text = "the message is 8-bit, and the next server does not offer 8BITMIME";
    return { recipients: transaction.recipients.map(() => ours("5.6.3", text, "mail")), untouched: false };
  }
  const converted = await sevenBit(store, source);
  if (converted === null) return await connection.send({ transaction, source });
  try {
    return await connection.send({
      transaction: { ...transaction, eightBit: false, sizeOctets: converted.octets },
      source: converted,
    });
  } finally {
    converted.discard();
  }
}

/** The message without 8-bit parts; null where nothing could be converted. `discard` when it was sent. */
export async function sevenBit(
  store: Pick<Store, "spool">,
  source: MessageSource,
): Promise<(MessageSource & { readonly discard: () => void }) | null> {
  const [from, to] = [store.spool(), store.spool()];
  try {
    for (let at = 0; at < source.octets; at += PIECE_OCTETS) {
      const piece = await source.read(at, Math.min(source.octets, at + PIECE_OCTETS));
      await from.write(piece, 0, piece.length);
    }
    if (await reencodeSevenBit(from, to) === null) {
      to.discard();
      return null;
    }
    return { octets: to.octets, read: (start, end) => to.read(start, end), discard: () => to.discard() };
  } catch (error) {
    to.discard();
    throw error;
  } finally {
    from.discard();
  }
}
