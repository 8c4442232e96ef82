/**
 * \Seen of readers who do not own a mailbox: a set of UIDs for each of them, in one row.
 *
 * It moves the MODSEQ of the messages like a change of flags, so that CONDSTORE and QRESYNC find it (RFC 7162); other
 * readers see a larger MODSEQ and the same flags.
 */
import { UidSet } from "../uid_set.ts";
import type { UidRanges } from "../ops.ts";
import type { OperationContext } from "./context.ts";

export interface Reader {
  readonly mailboxId: number;
  readonly readerId: number;
}

export function readSeen(context: OperationContext, { mailboxId, readerId }: Reader): UidSet {
  const [uids] = context.rows("SELECT uids FROM seen_by WHERE mailbox_id = ? AND account_id = ?")
    .get(mailboxId, readerId) ?? [];
  return new UidSet(uids === undefined ? [] : JSON.parse(String(uids)) as UidRanges);
}

/** Writes the set and announces what changed in it; `added` and `removed` ascend and were not so before. */
export function changeSeen(
  context: OperationContext,
  reader: Reader & { readonly accountId: number },
  change: { readonly modSeq: number; readonly added: readonly number[]; readonly removed: readonly number[] },
  seen = readSeen(context, reader),
): void {
  const { mailboxId, readerId, accountId } = reader;
  const { modSeq, added, removed } = change;
  if (added.length === 0 && removed.length === 0) return;
  seen.add(added);
  seen.remove(removed);
  context.sql(
    "INSERT INTO seen_by (mailbox_id, account_id, modseq, uids) VALUES (?, ?, ?, ?) " +
      "ON CONFLICT (mailbox_id, account_id) DO UPDATE SET modseq = excluded.modseq, uids = excluded.uids",
  ).run(mailboxId, readerId, modSeq, JSON.stringify(seen.ranges));
  context.changes.push({ kind: "seen", accountId, mailboxId, modSeq, readerId, added, removed });
}
