/**
 * STORE in a mailbox that is not the client's own: \Seen goes to his own set, the rest to all, and only what his rights
 * cover (RFC 4314 4). One new MODSEQ for all that changed.
 */
import { FLAG_DELETED, FLAG_SEEN, type FlagState } from "../changes.ts";
import type { ReaderRights, WriteOp, WriteResult } from "../ops.ts";
import { type OperationContext, refuse } from "./context.ts";
import { type Outcome, outcomeOf, readRows } from "./flags.ts";
import { changeSeen, readSeen } from "./seen.ts";

type StoreFlags = Extract<WriteOp, { kind: "store-flags" }>;

export function storeSharedFlags(
  context: OperationContext,
  op: StoreFlags,
  { readerId, flags: allowed, keywords: mayKeywords }: ReaderRights,
): WriteResult {
  const { mailboxId } = op;
  const seen = readSeen(context, { mailboxId, readerId });
  const next = outcomeOf(op);
  const modified: number[] = [], changed: number[] = [], added: number[] = [], removed: number[] = [];
  const messages: FlagState[] = [];
  const outcomes = new Map<string, Outcome>();
  let deleted = 0;
  for (const [uid, base, oldKeywords, oldModSeq] of readRows(context, op)) {
    if (op.unchangedSince !== null && oldModSeq > op.unchangedSince) {
      modified.push(uid);
      continue;
    }
    const old = (base & ~FLAG_SEEN) | (seen.has(uid) ? FLAG_SEEN : 0);
    const flags = (old & ~allowed) | (next.flags(old) & allowed);
    const keywords = mayKeywords ? next.keywords(oldKeywords) : oldKeywords;
    if (flags === old && keywords === oldKeywords) continue;
    changed.push(uid);
    if ((flags ^ old) & FLAG_SEEN) (flags & FLAG_SEEN ? added : removed).push(uid);
    const shared = (flags & ~FLAG_SEEN) | (base & FLAG_SEEN);
    if (shared !== base || keywords !== oldKeywords) messages.push({ uid, flags: shared, keywords });
    deleted += (shared & FLAG_DELETED ? 1 : 0) - (base & FLAG_DELETED ? 1 : 0);
    const key = `${shared} ${keywords}`;
    const group = outcomes.get(key);
    if (group === undefined) outcomes.set(key, { flags: shared, keywords, uids: [uid] });
    else group.uids.push(uid);
  }
  const mailbox = context.rows(
    "UPDATE mailboxes SET highest_modseq = highest_modseq + ?, deleted = deleted + ? WHERE id = ? " +
      "RETURNING account_id, highest_modseq",
  ).get(changed.length === 0 ? 0 : 1, deleted, mailboxId);
  if (mailbox === undefined) return refuse("no-such-mailbox", `mailbox ${mailboxId}`);
  const [accountId, modSeq] = mailbox as [number, number];
  for (const { flags, keywords, uids } of outcomes.values()) {
    context.sql(
      "UPDATE messages SET flags = ?, keywords = ?, modseq = ? WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))",
    ).run(flags, keywords, modSeq, mailboxId, JSON.stringify(uids));
  }
  if (messages.length > 0) context.changes.push({ kind: "flags", accountId, mailboxId, modSeq, messages });
  changeSeen(context, { mailboxId, readerId, accountId }, { modSeq, added, removed }, seen);
  return { ok: true, kind: "flags", modSeq, changed, modified };
}
