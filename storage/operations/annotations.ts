/** Annotations of mailboxes and accounts (RFC 5464). Limit: {@linkcode MAX_ANNOTATIONS} for each of them. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

export const MAX_ANNOTATIONS = 200;

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

export function putAnnotations(context: OperationContext, op: Op<"put-annotations">): WriteResult {
  const { accountId, mailboxId, annotations } = op;
  if (mailboxId !== 0) {
    const row = context.rows("SELECT 1 FROM mailboxes WHERE id = ?").get(mailboxId);
    if (row === undefined) return refuse("no-such-mailbox", `mailbox ${mailboxId}`);
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
  context.changes.push({ kind: "annotations", accountId, mailboxId, entries });
  return DONE;
}
