/**
 * Messages brought from elsewhere, a batch in one operation: each as a delivery files it, with a note of what it was
 * called there, so that an import that was cut off goes on without doubling anything.
 *
 * UIDs can be kept where they lie above all that the mailbox has given out; its UIDVALIDITY only while it has given out
 * none. Then the counter behind new ones is moved past it: a name never gets a smaller one again.
 */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";
import type { DeliverOperation } from "./deliver.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

const NO_PREFIX = new Uint8Array(0);
const MAX_UID = 0xffffffff;
/** A UIDVALIDITY leaves room for larger ones (RFC 3501 2.3.1.1: 32 bits). */
const MAX_ADOPTED = MAX_UID - 1_000_000;

export function importMessages(
  context: OperationContext,
  deliver: DeliverOperation,
  op: Op<"import">,
): WriteResult {
  const { accountId, mailboxId, source } = op;
  let imported = 0;
  for (const { content, flags, keywords, internalDate, item, uid, uidl } of op.messages) {
    const noted = context.sql(
      "INSERT INTO imported_items (account_id, source, item) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    ).run(accountId, source, item).changes;
    if (noted === 0) continue;
    if (uid !== null) {
      deliver.counters.release();
      const moved = uid > MAX_UID ? 0 : context.sql(
        "UPDATE mailboxes SET uid_next = ? WHERE id = ? AND uid_next <= ?",
      ).run(uid, mailboxId, uid).changes;
      if (moved === 0) {
        return refuse("not-permitted", `UID ${uid} cannot be kept: the mailbox has given it out`);
      }
    }
    const target = { mailboxId, flags, keywords, internalDate, prefix: NO_PREFIX };
    const filed = deliver.run({ kind: "deliver", content, targets: [target], queue: null });
    if (!filed.ok) return filed;
    if (uidl !== null && filed.kind === "delivered") {
      context.sql("INSERT INTO kept_uidls (mailbox_id, uid, uidl) VALUES (?, ?, ?)")
        .run(mailboxId, filed.uids[0]!.uid, uidl);
    }
    imported++;
  }
  return { ok: true, kind: "imported", messages: imported };
}

export function adoptUidValidity(context: OperationContext, op: Op<"adopt-uid-validity">): WriteResult {
  const { mailboxId, uidValidity } = op;
  const [retired] = context.rows(
    "SELECT max(r.uid_validity) FROM mailboxes AS m JOIN retired_names AS r ON r.account_id = m.account_id AND " +
      "r.name = m.name WHERE m.id = ?",
  ).get(mailboxId) ?? [];
  if (uidValidity < 1 || uidValidity > MAX_ADOPTED || uidValidity <= Number(retired ?? 0)) {
    return refuse("not-permitted", `UIDVALIDITY ${uidValidity} cannot be kept: this name had a larger one`);
  }
  const adopted = context.rows(
    "UPDATE mailboxes SET uid_validity = ? WHERE id = ? AND uid_next = 1 RETURNING account_id",
  ).get(uidValidity, mailboxId);
  if (adopted === undefined) {
    return refuse(
      "not-permitted",
      `UIDVALIDITY ${uidValidity} cannot be kept: the mailbox has given out UIDs`,
    );
  }
  context.sql(
    "INSERT INTO counters (name, value) VALUES ('uid_validity', ?) ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)",
  ).run(uidValidity);
  context.changes.push({ kind: "mailboxes", accountId: adopted[0] as number, deleted: [] });
  return DONE;
}
