/**
 * The original of a message that a check has taken something out of: set aside in the quarantine, whole and with what was found
 * out about its sender, in the transaction that files what is left of it. From there it can be let go like any other.
 */
import type { WriteOp } from "../../storage/ops.ts";
import { Filing } from "../filing.ts";
import { writeWithFields } from "../front_fields.ts";
import type { Mail } from "./mail.ts";

/** Null where the message is as it came. The octets are durable when it resolves; rejects with StorageError. */
export async function originalOperation(mail: Mail, at: number): Promise<WriteOp | null> {
  const {
    content: { original, eightBit },
    screen,
    envelope: { filing, sender, smtputf8 },
    setting,
    traceId,
  } = mail;
  const kept = screen?.changes.original ?? null;
  if (original === null || kept === null) return null;
  const { options: { store }, config } = setting;
  const aside = new Filing({ held: true });
  aside.add([...filing.targets()]);
  const spool = store.spool();
  try {
    const message = await writeWithFields({ from: original.spool, to: spool }, {
      front: mail.front,
      removed: [],
    });
    return await aside.operation(spool, message, {
      ...{ traceId, sender, smtputf8, eightBit, at, accountId: null },
      expiresAt: at + config.quarantineMs,
      quarantine: { ...kept, expiresAt: at + config.quarantineMs },
      senderFor: () => sender,
    });
  } finally {
    spool.discard();
  }
}
