/**
 * STORE: changes flags and keywords of messages by UID, with one new MODSEQ for all that changed.
 *
 * Rows that differ are found first (flags before and after are needed for the mailbox's counters), then each group of
 * rows with the same outcome is written by one statement over its UIDs.
 */
import { FLAG_DELETED, FLAG_SEEN, type FlagState } from "../changes.ts";
import type { WriteOp, WriteResult } from "../ops.ts";
import { type OperationContext, refuse, uidCondition } from "./context.ts";

type StoreFlags = Extract<WriteOp, { kind: "store-flags" }>;

export function storeFlags(context: OperationContext, op: StoreFlags): WriteResult {
  const mailbox = context.rows("SELECT account_id, highest_modseq + 1 FROM mailboxes WHERE id = ?").get(
    op.mailboxId,
  );
  if (mailbox === undefined) return refuse("no-such-mailbox", `mailbox ${op.mailboxId}`);
  const [accountId, modSeq] = mailbox as [number, number];
  const { where, parameters } = uidCondition(op.mailboxId, op.uids);
  const rows = op.uids.length === 0
    ? []
    : context.rows(`SELECT uid, flags, keywords, modseq FROM messages WHERE ${where} ORDER BY uid`).all(
      ...parameters,
    );
  const modified: number[] = [];
  const changed: FlagState[] = [];
  const outcomes = new Map<string, { flags: number; keywords: string; uids: number[] }>();
  const next = outcome(op);
  let unseen = 0;
  let deleted = 0;
  for (const row of rows as [number, number, string, number][]) {
    const [uid, oldFlags, oldKeywords, oldModSeq] = row;
    if (op.unchangedSince !== null && oldModSeq > op.unchangedSince) {
      modified.push(uid);
      continue;
    }
    const flags = next.flags(oldFlags);
    const keywords = next.keywords(oldKeywords);
    if (flags === oldFlags && keywords === oldKeywords) continue;
    changed.push({ uid, flags, keywords });
    unseen += (oldFlags & FLAG_SEEN ? 1 : 0) - (flags & FLAG_SEEN ? 1 : 0);
    deleted += (flags & FLAG_DELETED ? 1 : 0) - (oldFlags & FLAG_DELETED ? 1 : 0);
    const key = `${flags} ${keywords}`;
    const group = outcomes.get(key);
    if (group === undefined) outcomes.set(key, { flags, keywords, uids: [uid] });
    else group.uids.push(uid);
  }
  if (changed.length === 0) return { ok: true, kind: "flags", modSeq: modSeq - 1, changed, modified };
  for (const { flags, keywords, uids } of outcomes.values()) {
    if (uids.length === 1) {
      context.sql("UPDATE messages SET flags = ?, keywords = ?, modseq = ? WHERE mailbox_id = ? AND uid = ?")
        .run(flags, keywords, modSeq, op.mailboxId, uids[0]!);
    } else {
      context.sql(
        "UPDATE messages SET flags = ?, keywords = ?, modseq = ? " +
          "WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))",
      ).run(flags, keywords, modSeq, op.mailboxId, JSON.stringify(uids));
    }
  }
  context.sql(
    "UPDATE mailboxes SET highest_modseq = ?, unseen = unseen + ?, deleted = deleted + ? WHERE id = ?",
  )
    .run(modSeq, unseen, deleted, op.mailboxId);
  context.changes.push({ kind: "flags", accountId, mailboxId: op.mailboxId, modSeq, messages: changed });
  return { ok: true, kind: "flags", modSeq, changed, modified };
}

/** How the operation changes one message's flags and keywords. */
function outcome(op: StoreFlags): { flags: (old: number) => number; keywords: (old: string) => string } {
  const named = [...new Set(op.keywords)].sort();
  switch (op.mode) {
    case "replace":
      return { flags: () => op.flags, keywords: () => named.join(" ") };
    case "add":
      return {
        flags: (old) => old | op.flags,
        keywords: (old) => named.length === 0 ? old : join(new Set([...split(old), ...named])),
      };
    case "remove":
      return {
        flags: (old) => old & ~op.flags,
        keywords: (old) =>
          named.length === 0 || old === "" ? old : join(new Set(split(old)).difference(new Set(named))),
      };
    default:
      return op.mode satisfies never;
  }
}

function split(keywords: string): string[] {
  return keywords === "" ? [] : keywords.split(" ");
}

function join(keywords: Set<string>): string {
  return [...keywords].sort().join(" ");
}
