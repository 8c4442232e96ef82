/** What logs in beside the password: SCRAM verifiers and client certificates. */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

type Op<K extends WriteOp["kind"]> = Extract<WriteOp, { kind: K }>;

/** Client certificates of one account. */
const MAX_CERTIFICATES = 100;

/** Nothing when the password has been changed meanwhile. */
export function putScram(context: OperationContext, op: Op<"put-scram">): WriteResult {
  const { changes } = context.sql("UPDATE accounts SET scram = ? WHERE id = ? AND password_hash = ?")
    .run(op.scram, op.accountId, op.ifHash);
  if (changes > 0) context.changes.push({ kind: "directory", accountId: op.accountId });
  return DONE;
}

export function putCertificate(context: OperationContext, op: Op<"put-certificate">): WriteResult {
  const { fingerprint, accountId, note } = op;
  if (context.rows("SELECT 1 FROM accounts WHERE id = ?").get(accountId) === undefined) {
    return refuse("no-such-account", `account ${accountId}`);
  }
  const [owner] =
    context.rows("SELECT account_id FROM client_certificates WHERE fingerprint = ?").get(fingerprint) ?? [];
  if (owner !== undefined && owner !== accountId) {
    return refuse("already-exists", "the certificate belongs to another account");
  }
  const [count] = context.rows("SELECT count(*) FROM client_certificates WHERE account_id = ?").get(
    accountId,
  ) as [number];
  if (owner === undefined && count >= MAX_CERTIFICATES) {
    return refuse("limit", `an account has at most ${MAX_CERTIFICATES} certificates`);
  }
  context.sql(
    "INSERT INTO client_certificates (fingerprint, account_id, note, created_at) VALUES (?, ?, ?, ?) " +
      "ON CONFLICT (fingerprint) DO UPDATE SET note = excluded.note",
  ).run(fingerprint, accountId, note, context.clock());
  context.changes.push({ kind: "directory", accountId });
  return DONE;
}

export function removeCertificate(context: OperationContext, op: Op<"remove-certificate">): WriteResult {
  const { changes } = context.sql("DELETE FROM client_certificates WHERE fingerprint = ? AND account_id = ?")
    .run(op.fingerprint, op.accountId);
  if (changes === 0) return refuse("no-such-address", "the account has no such certificate");
  context.changes.push({ kind: "directory", accountId: op.accountId });
  return DONE;
}
