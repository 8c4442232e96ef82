/** What scripts remember between messages, as rows of policy state. */
import { createHash } from "node:crypto";
import type { PolicyKind, PolicyRow, WriteOp } from "../../storage/ops.ts";

export function remember(
  kind: PolicyKind,
  key: string,
  time: { readonly now: number; readonly forMs: number },
): WriteOp {
  return { kind: "put-state", rows: [stateRow(kind, key, time)], add: false };
}

export function stateRow(
  kind: PolicyKind,
  key: string,
  { now, forMs }: { readonly now: number; readonly forMs: number },
): PolicyRow {
  return { kind, key, firstAt: now, lastAt: now, count: 1, expiresAt: now + forMs, note: "" };
}

/** What of an account is remembered under this id. */
export function stateKey(accountId: number, id: string): string {
  return `${accountId} ${createHash("sha256").update(id).digest("base64url")}`;
}
