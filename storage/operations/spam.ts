/**
 * Lessons of the spam filter. What a user says by moving or marking mail becomes a wish in the transaction of the change
 * itself and is announced; a filter Worker reads the message later and teaches it. What it writes is not announced: whoever reads it
 * reads the tables.
 */
import type { LessonKind } from "../schema.ts";
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

/** Wishes that may wait; what a client says beyond is not learnt. */
const MAX_WISHES = 10_000;
const SWEPT_ROWS = 2_000;
/** What everybody knows, and in whose name traps teach. */
const SHARED = 0;
/** Lessons of traps: strangers could fill the knowledge of all with them. */
const MAX_TRAPPED_A_DAY = 1_000;
const DAY_MS = 86_400_000;
const NO_PREFIX = new Uint8Array(0);

/** How a kind of lesson counts: messages of each kind. */
const COUNTS: Readonly<Record<LessonKind, readonly [spam: number, ham: number]>> = {
  "spam": [1, 0],
  "ham": [0, 1],
  "weak-ham": [0, 1],
};

/** For messages that are there, by a condition on their rows. */
export function wishFor(
  context: OperationContext,
  { accountId, kind, where, parameters }: {
    readonly accountId: number;
    readonly kind: LessonKind;
    readonly where: string;
    readonly parameters: readonly (string | number)[];
  },
): void {
  const waiting = waitingWishes(context);
  if (waiting >= MAX_WISHES) return;
  context.sql(
    "INSERT INTO spam_wishes (account_id, content_id, prefix, kind) " +
      `SELECT ?, content_id, prefix, ? FROM messages WHERE ${where} LIMIT ?`,
  ).run(accountId, kind, ...parameters, MAX_WISHES - waiting);
  context.changes.push({ kind: "lessons" });
}

function waitingWishes(context: OperationContext): number {
  return (context.rows("SELECT count(*) FROM spam_wishes").get() as [number])[0];
}

/**
 * For a message that came to a trap in this transaction: nobody's word, which counts for all. It holds the message until it is learnt,
 * whatever becomes of copies in mailboxes, if there are any.
 */
export function wishForAll(context: OperationContext, contentId: number): void {
  if (waitingWishes(context) >= MAX_WISHES) return;
  context.sql("UPDATE contents SET refs = refs + 1 WHERE id = ?").run(contentId);
  wishOf(context, { accountId: SHARED, contentId, prefix: NO_PREFIX, kind: "spam" });
}

/** For a message that is filed in this transaction. */
export function wishOf(
  context: OperationContext,
  { accountId, contentId, prefix, kind }: {
    readonly accountId: number;
    readonly contentId: number;
    readonly prefix: Uint8Array;
    readonly kind: LessonKind;
  },
): void {
  context.sql("INSERT INTO spam_wishes (account_id, content_id, prefix, kind) VALUES (?, ?, ?, ?)")
    .run(accountId, contentId, prefix, kind);
  context.changes.push({ kind: "lessons" });
}

/** Each message counts once; taught as something else, what it counted before is taken back. */
export function teach(
  context: OperationContext,
  { accountId, key, as, tokens, wish }: Op<"teach">,
): WriteResult {
  if (wish !== 0) dropWish(context, wish);
  const [known] = context.rows("SELECT kind FROM spam_lessons WHERE account_id = ? AND key = ?")
    .get(accountId, key) as [LessonKind] | undefined ?? [null];
  // That mail was answered says less than what its reader has said before.
  if (known === as || (as === "weak-ham" && known !== null)) return DONE;
  if (accountId === SHARED && trappedToday(context) >= MAX_TRAPPED_A_DAY) return DONE;
  const [spamBefore, hamBefore] = known === null ? [0, 0] : COUNTS[known];
  const [spam, ham] = as === null ? [0, 0] : COUNTS[as];
  if (as === null) {
    context.sql("DELETE FROM spam_lessons WHERE account_id = ? AND key = ?").run(accountId, key);
  } else {
    context.sql(
      "INSERT INTO spam_lessons (account_id, key, kind, at) VALUES (?, ?, ?, ?) " +
        "ON CONFLICT (account_id, key) DO UPDATE SET kind = excluded.kind, at = excluded.at",
    ).run(accountId, key, as, context.clock());
  }
  if (spam !== spamBefore || ham !== hamBefore) {
    context.sql("INSERT INTO spam_journal (account_id, spam, ham, tokens) VALUES (?, ?, ?, ?)")
      .run(accountId, spam - spamBefore, ham - hamBefore, tokens);
  }
  return DONE;
}

function trappedToday(context: OperationContext): number {
  // The sign keeps to the index by time: those of all days are many more.
  return (context.rows("SELECT count(*) FROM spam_lessons WHERE at > ? AND +account_id = ?")
    .get(context.clock() - DAY_MS, SHARED) as [number])[0];
}

export function dropWishes(context: OperationContext, { ids }: Op<"drop-wishes">): WriteResult {
  for (const id of ids) dropWish(context, id);
  return DONE;
}

function dropWish(context: OperationContext, id: number): void {
  context.sql(
    "UPDATE contents SET refs = refs - 1 WHERE id = (SELECT content_id FROM spam_wishes WHERE id = ? AND account_id = ?)",
  ).run(id, SHARED);
  context.sql("DELETE FROM spam_wishes WHERE id = ?").run(id);
}

/** Wishes whose message is gone. */
export function dropStrayWishes(context: OperationContext): void {
  context.sql("DELETE FROM spam_wishes WHERE content_id NOT IN (SELECT id FROM contents)").run();
}

/**
 * Rows of the journal that are folded into both knowledges go. A fold whose last row is gone is left aside: another one came first, or
 * the account was made to forget meanwhile.
 */
export function putKnowledge(
  context: OperationContext,
  { accountId, upTo, octets }: Op<"put-knowledge">,
): WriteResult {
  const last = context.rows("SELECT 1 FROM spam_journal WHERE id = ? AND (account_id = ? OR ? = 0)")
    .get(upTo, accountId, accountId);
  if (last === undefined) return DONE;
  context.sql(
    "INSERT INTO spam_knowledge (account_id, up_to, octets) VALUES (?, ?, ?) ON CONFLICT (account_id) DO UPDATE " +
      "SET up_to = excluded.up_to, octets = excluded.octets WHERE excluded.up_to >= spam_knowledge.up_to",
  ).run(accountId, upTo, octets);
  context.sql(
    "DELETE FROM spam_journal WHERE id <= coalesce((SELECT up_to FROM spam_knowledge WHERE account_id = ?), 0) " +
      "AND id <= coalesce((SELECT up_to FROM spam_knowledge AS k WHERE k.account_id = spam_journal.account_id), 0)",
  ).run(SHARED);
  return DONE;
}

export function forgetLessons(context: OperationContext, { accountId }: Op<"forget-lessons">): WriteResult {
  for (const table of ["spam_wishes", "spam_lessons", "spam_journal", "spam_knowledge"]) {
    context.sql(`DELETE FROM ${table} WHERE account_id = ?`).run(accountId);
  }
  return DONE;
}

/** Old messages may be taught again: their knowledge has faded. */
export function sweepLessons(context: OperationContext, { before }: Op<"sweep-lessons">): WriteResult {
  context.sql(
    "DELETE FROM spam_lessons WHERE (account_id, key) IN (SELECT account_id, key FROM spam_lessons WHERE at < ? LIMIT ?)",
  ).run(before, SWEPT_ROWS);
  return DONE;
}
