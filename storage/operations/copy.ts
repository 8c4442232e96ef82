/**
 * COPY and MOVE: narrow rows only; the octets behind them are shared (`contents.refs`).
 *
 * Between mailboxes of several accounts a message brings the flags that its reader may set there (RFC 4314 4), and \Seen
 * as he has it: in the mailbox of another it is his own again, and new for everybody else.
 */
import { FLAG_DELETED, FLAG_SEEN, type FlagState } from "../changes.ts";
import type { UidRanges, WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse, uidCondition } from "./context.ts";
import { removeMessages } from "./expunge.ts";
import { changeSeen, readSeen } from "./seen.ts";
import { wishFor } from "./spam.ts";
import { addUsage, overQuota } from "./usage.ts";

export function copy(context: OperationContext, op: Extract<WriteOp, { kind: "copy" }>): WriteResult {
  const target = context.rows(
    "SELECT account_id, uid_next, uid_validity, highest_modseq + 1 FROM mailboxes WHERE id = ? AND selectable = 1",
  ).get(op.to) as [number, number, number, number] | undefined;
  if (target === undefined) return refuse("no-such-mailbox", `mailbox ${op.to}`);
  const [accountId, uidNext, uidValidity, modSeq] = target;
  const { where, parameters } = uidCondition(op.from, op.uids);
  // One row of JSON: a quarter of the time that as many rows take.
  const [found] = op.uids.length === 0 ? ["[]"] : context.rows(
    "SELECT json_group_array(json_array(uid, flags, keywords, size_octets)) FROM " +
      `(SELECT uid, flags, keywords, size_octets FROM messages WHERE ${where} ORDER BY uid)`,
  ).get(...parameters) as [string];
  const rows = JSON.parse(found) as [number, number, string, number][];
  if (rows.length === 0) {
    if (op.piece?.last === true) forgetPieces(context, op.piece.key);
    return { ok: true, kind: "copied", uidValidity, from: [], to: [] };
  }
  const size = rows.reduce((sum, row) => sum + row[3], 0);
  const more = { accountId, octets: size, messages: rows.length };
  const [sourceAccount] = context.rows("SELECT account_id FROM mailboxes WHERE id = ?").get(op.from) ?? [];
  if (!op.move || sourceAccount !== accountId) {
    const over = overQuota(context, more);
    if (over !== null) return over;
  }
  // A message that moves is pointed at as often as before.
  if (!op.move) {
    context.sql(
      `UPDATE contents SET refs = refs + c.n FROM (SELECT content_id, count(*) AS n FROM messages WHERE ${where} ` +
        "GROUP BY content_id) AS c WHERE contents.id = c.content_id",
    ).run(...parameters);
  }
  const kept = keptFlags(context, op, { rows, sourceAccount: Number(sourceAccount), accountId });
  context.sql(
    "INSERT INTO messages (mailbox_id, uid, modseq, flags, keywords, internal_date, saved_at, size_octets, content_id, prefix) " +
      `SELECT ?, ? + row_number() OVER (ORDER BY uid) - 1, ?, flags & ?, ${
        kept.keywords ? "keywords" : "''"
      }, ` +
      `internal_date, ?, size_octets, content_id, prefix FROM messages WHERE ${where}`,
  ).run(op.to, uidNext, modSeq, kept.mask, context.clock(), ...parameters);
  const seen = kept.seen.map((place) => uidNext + place);
  if (!kept.shared && seen.length > 0) {
    context.sql(
      `UPDATE messages SET flags = flags | ${FLAG_SEEN} WHERE mailbox_id = ? AND uid IN (SELECT value FROM json_each(?))`,
    ).run(op.to, JSON.stringify(seen));
  }
  const own = new Set(kept.shared ? [] : seen);
  const added: FlagState[] = rows.map(([, flags, keywords], i) => ({
    uid: uidNext + i,
    flags: (flags & kept.mask) | (own.has(uidNext + i) ? FLAG_SEEN : 0),
    keywords: kept.keywords ? keywords : "",
  }));
  const count = (test: (state: FlagState) => boolean) =>
    added.reduce((n, state) => n + (test(state) ? 1 : 0), 0);
  if (op.teaches !== undefined) wishFor(context, { accountId, kind: op.teaches, where, parameters });
  context.sql(
    "UPDATE mailboxes SET uid_next = uid_next + ?, highest_modseq = ?, messages = messages + ?, unseen = unseen + ?, " +
      "deleted = deleted + ?, size_octets = size_octets + ? WHERE id = ?",
  ).run(
    rows.length,
    modSeq,
    rows.length,
    count(({ flags }) => (flags & FLAG_SEEN) === 0),
    count(({ flags }) => (flags & FLAG_DELETED) !== 0),
    size,
    op.to,
  );
  addUsage(context, more);
  context.changes.push({ kind: "added", accountId, mailboxId: op.to, modSeq, messages: added });
  if (kept.shared) {
    const reader = { mailboxId: op.to, readerId: op.reader!.readerId, accountId };
    changeSeen(context, reader, { modSeq, added: seen, removed: [] });
  }
  if (op.piece !== undefined) {
    notePiece(context, op.to, { ...op.piece, from: uidNext, to: uidNext + rows.length - 1 });
  }
  const from = rows.map(([uid]) => uid);
  if (op.move) removeMessages(context, op.from, toRanges(from), { moved: true });
  return { ok: true, kind: "copied", uidValidity, from, to: added.map(({ uid }) => uid) };
}

function notePiece(
  context: OperationContext,
  mailboxId: number,
  piece: { readonly key: string; readonly last: boolean; readonly from: number; readonly to: number },
): void {
  if (piece.last) return forgetPieces(context, piece.key);
  context.sql("INSERT INTO unfinished_copies (key, mailbox_id, from_uid, to_uid) VALUES (?, ?, ?, ?)")
    .run(piece.key, mailboxId, piece.from, piece.to);
}

function forgetPieces(context: OperationContext, key: string): void {
  context.sql("DELETE FROM unfinished_copies WHERE key = ?").run(key);
}

/** Takes back what a COPY in pieces has brought, as far as it is still there (RFC 3501 6.4.7). */
export function abandonCopy(context: OperationContext, { key }: { readonly key: string }): WriteResult {
  const pieces = context.rows(
    "SELECT mailbox_id, from_uid, to_uid FROM unfinished_copies WHERE key = ? AND mailbox_id IN (SELECT id FROM mailboxes) " +
      "ORDER BY from_uid",
  ).all(key) as [number, number, number][];
  for (const [mailboxId, from, to] of pieces) removeMessages(context, mailboxId, [[from, to]]);
  forgetPieces(context, key);
  return DONE;
}

/** The same for all of them, when nobody is left to bring the rest. */
export function abandonCopies(context: OperationContext): number {
  const keys = context.rows("SELECT DISTINCT key FROM unfinished_copies").all().map(([key]) => String(key));
  for (const key of keys) abandonCopy(context, { key });
  return keys.length;
}

interface Kept {
  /** Bits of the flags that the new rows take from the old ones. */
  readonly mask: number;
  readonly keywords: boolean;
  /** Places of the messages that get \Seen besides. */
  readonly seen: readonly number[];
  /** \Seen is the reader's own in the target. */
  readonly shared: boolean;
}

const ALL_FLAGS = 0xff;

function keptFlags(
  context: OperationContext,
  { reader, from }: Extract<WriteOp, { kind: "copy" }>,
  copied: {
    readonly rows: readonly (readonly [number, number, string, number])[];
    readonly sourceAccount: number;
    readonly accountId: number;
  },
): Kept {
  if (reader === undefined) return { mask: ALL_FLAGS, keywords: true, seen: [], shared: false };
  const { readerId, flags, keywords } = reader;
  const ownSource = copied.sourceAccount === readerId, ownTarget = copied.accountId === readerId;
  if (ownSource && ownTarget) return { mask: flags, keywords, seen: [], shared: false };
  const seen = ownSource ? null : readSeen(context, { mailboxId: from, readerId });
  const places: number[] = [];
  if ((flags & FLAG_SEEN) !== 0) {
    copied.rows.forEach(([uid, old], place) => {
      if (seen === null ? (old & FLAG_SEEN) !== 0 : seen.has(uid)) places.push(place);
    });
  }
  return { mask: flags & ~FLAG_SEEN, keywords, seen: places, shared: !ownTarget };
}

/** Ascending UIDs as ranges. */
function toRanges(uids: readonly number[]): UidRanges {
  const ranges: [number, number][] = [];
  for (const uid of uids) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === uid - 1) last[1] = uid;
    else ranges.push([uid, uid]);
  }
  return ranges;
}
