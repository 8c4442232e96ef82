/** Annotations of mailboxes and accounts (RFC 5464). Limit: {@linkcode MAX_ANNOTATIONS} for each of them. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

export const MAX_ANNOTATIONS = 200;

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

export function putAnnotations(context: OperationContext, op: Op<"put-annotations">): WriteResult {
  const { accountId, mailboxId, annotations } = op;
  let modSeq = 0;
  if (mailboxId !== 0) {
    // RFC 7162 3.2.
    const row = context.rows(
      "UPDATE mailboxes SET highest_modseq = highest_modseq + 1 WHERE id = ? RETURNING highest_modseq",
    ).get(mailboxId);
    if (row === undefined) return refuse("no-such-mailbox", `mailbox ${mailboxId}`);
    modSeq = Number(row[0]);
  }
  for (const { entry, value } of annotations) {
    if (value === null) {
      context.sql("DELETE FROM annotations WHERE account_id = ? AND mailbox_id = ? AND entry = ?")
        .run(accountId, mailboxId, entry);
    } else {
      context.sql(
        "INSERT OR REPLACE INTO annotations (account_id, mailbox_id, entry, value) VALUES (?, ?, ?, ?)",
      )
        .run(accountId, mailboxId, entry, value);
    }
  }
  const [count] = context.rows("SELECT count(*) FROM annotations WHERE account_id = ? AND mailbox_id = ?")
    .get(accountId, mailboxId) as [number];
  if (count > MAX_ANNOTATIONS) return refuse("limit", `at most ${MAX_ANNOTATIONS} annotations`);
  const entries = [...new Set(annotations.map(({ entry }) => entry))];
  context.changes.push({ kind: "annotations", accountId, mailboxId, modSeq, entries });
  return DONE;
}
