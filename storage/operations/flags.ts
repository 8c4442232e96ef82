/**
 * STORE: changes flags and keywords of messages by UID, with one new MODSEQ for all that changed.
 *
 * Rows are read first (flags before and after are needed for the mailbox's counters), then each group of
 * rows with the same outcome is written by one statement. Hot: three statements for one message.
 */
import { FLAG_DELETED, FLAG_SEEN, type FlagState } from "../changes.ts";
import type { WriteOp, WriteResult } from "../ops.ts";
import { type OperationContext, refuse, uidCondition } from "./context.ts";
import { wishFor } from "./spam.ts";

type StoreFlags = Extract<WriteOp, { kind: "store-flags" }>;

/** What a message has now: UID, flags, keywords, MODSEQ. */
type FlagRow = readonly [number, number, string, number];

/** Messages with the same flags and keywords after the operation. */
export interface Outcome {
  readonly flags: number;
  readonly keywords: string;
  readonly uids: number[];
}

export function storeFlags(context: OperationContext, op: StoreFlags): WriteResult {
  const rows = readRows(context, op);
  const modified: number[] = [];
  const messages: FlagState[] = [];
  const outcomes = new Map<string, Outcome>();
  const next = outcomeOf(op);
  let unseen = 0;
  let deleted = 0;
  for (const [uid, oldFlags, oldKeywords, oldModSeq] of rows) {
    if (op.unchangedSince !== null && oldModSeq > op.unchangedSince) {
      modified.push(uid);
      continue;
    }
    const flags = next.flags(oldFlags);
    const keywords = next.keywords(oldKeywords);
    if (flags === oldFlags && keywords === oldKeywords) continue;
    messages.push({ uid, flags, keywords });
    unseen += (oldFlags & FLAG_SEEN ? 1 : 0) - (flags & FLAG_SEEN ? 1 : 0);
    deleted += (flags & FLAG_DELETED ? 1 : 0) - (oldFlags & FLAG_DELETED ? 1 : 0);
    const key = `${flags} ${keywords}`;
    const group = outcomes.get(key);
    if (group === undefined) outcomes.set(key, { flags, keywords, uids: [uid] });
    else group.uids.push(uid);
  }
  const changed = messages.map(({ uid }) => uid);
  const mailbox = changed.length === 0
    ? context.rows("SELECT account_id, highest_modseq FROM mailboxes WHERE id = ?").get(op.mailboxId)
    : context.rows(
      "UPDATE mailboxes SET highest_modseq = highest_modseq + 1, unseen = unseen + ?, deleted = deleted + ? " +
        "WHERE id = ? RETURNING account_id, highest_modseq",
    ).get(unseen, deleted, op.mailboxId);
  if (mailbox === undefined) return refuse("no-such-mailbox", `mailbox ${op.mailboxId}`);
  const [accountId, modSeq] = mailbox as [number, number];
  if (changed.length === 0) return { ok: true, kind: "flags", modSeq, changed, modified };
  if (op.teaches !== undefined) {
    const { where, parameters } = uidCondition(op.mailboxId, changed.map((uid) => [uid, uid] as const));
    wishFor(context, { accountId, kind: op.teaches, where, parameters });
  }
  const all = outcomes.size === 1 && changed.length === rows.length;
  for (const group of outcomes.values()) writeOutcome(context, op, { ...group, modSeq, all });
  context.changes.push({ kind: "flags", accountId, mailboxId: op.mailboxId, modSeq, messages });
  return { ok: true, kind: "flags", modSeq, changed, modified };
}

/** The rows the operation names, ascending; many of them as one row of JSON, a quarter of the time. */
export function readRows(context: OperationContext, { mailboxId, uids }: StoreFlags): FlagRow[] {
  const [only] = uids;
  if (only === undefined) return [];
  if (uids.length === 1 && only[0] === only[1]) {
    const row = context.rows(
      "SELECT uid, flags, keywords, modseq FROM messages WHERE mailbox_id = ? AND uid = ?",
    ).get(mailboxId, only[0]);
    return row === undefined ? [] : [row as unknown as FlagRow];
  }
  const { where, parameters } = uidCondition(mailboxId, uids);
  const [json] = context.rows(
    "SELECT json_group_array(json_array(uid, flags, keywords, modseq)) FROM " +
      `(SELECT uid, flags, keywords, modseq FROM messages WHERE ${where} ORDER BY uid)`,
  ).get(...parameters) ?? [];
  return JSON.parse(String(json)) as FlagRow[];
}

/** Writes one outcome; `all`: it is that of every message the operation names. */
function writeOutcome(
  context: OperationContext,
  op: StoreFlags,
  { flags, keywords, uids, modSeq, all }: Outcome & { readonly modSeq: number; readonly all: boolean },
): void {
  const set = "UPDATE messages SET flags = ?, keywords = ?, modseq = ? WHERE ";
  if (uids.length === 1) {
    context.sql(`${set}mailbox_id = ? AND uid = ?`).run(flags, keywords, modSeq, op.mailboxId, uids[0]!);
  } else if (all) {
    const { where, parameters } = uidCondition(op.mailboxId, op.uids);
    context.sql(set + where).run(flags, keywords, modSeq, ...parameters);
  } else {
    context.sql(`${set}mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))`)
      .run(flags, keywords, modSeq, op.mailboxId, JSON.stringify(uids));
  }
}

/** How the operation changes one message's flags and keywords. */
export function outcomeOf(
  op: StoreFlags,
): { flags: (old: number) => number; keywords: (old: string) => string } {
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
