/** A message as a delivery stores it: spooled, with its real facts. */
import { FactsBuilder } from "../../message/facts.ts";
import { newContent } from "../../storage/new_content.ts";
import type { NewContent } from "../../storage/ops.ts";
import type { SalvageFacts, Store } from "../../storage/store.ts";

const SALVAGE: SalvageFacts = {
  accounts: ["alice@example.test"],
  mailbox: "INBOX",
  internalDate: 1_700_000_000_000,
  traceId: "t",
  sender: "sender@other.test",
  recipients: ["alice@example.test"],
};

/** Stores the octets and returns what a `deliver` operation takes. Rejects as `Spool.store` does. */
export async function storeMessage(
  store: Store,
  text: string,
  salvage: Partial<SalvageFacts> = {},
): Promise<NewContent> {
  const bytes = new TextEncoder().encode(text);
  const spool = store.spool();
  const facts = new FactsBuilder();
  facts.push(bytes);
  try {
    for (let at = 0; at < bytes.length; at += 64 * 1024) {
      await spool.write(bytes, at, Math.min(bytes.length, at + 64 * 1024));
    }
    const blob = await spool.store({ ...SALVAGE, ...salvage });
    return newContent(facts.finish(), { blob, traceId: SALVAGE.traceId });
  } catch (error) {
    spool.discard();
    throw error;
  }
}

/** Stores and files a message in one mailbox; its UID, or null when it was refused. */
export async function fileMessage(
  store: Store,
  mailboxId: number,
  text: string,
  options: { flags?: number; prefix?: Uint8Array; salvage?: Partial<SalvageFacts> } = {},
): Promise<number | null> {
  const content = await storeMessage(store, text, options.salvage);
  const target = { mailboxId, flags: options.flags ?? 0, keywords: "", internalDate: 1_700_000_000_000 };
  const result = await store.write({
    kind: "deliver",
    content,
    targets: [{ ...target, prefix: options.prefix ?? new Uint8Array(0) }],
    queue: null,
  });
  return result.ok && result.kind === "delivered" ? result.uids[0]!.uid : null;
}
