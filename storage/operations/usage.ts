/**
 * What accounts and domains hold: two counters each, moved in the transaction that moves the messages.
 *
 * Deliveries only note what they add; the group writes it before its commit, one statement for each account and domain
 * and not for each message. An operation that is taken back takes its notes with it (writer.ts). Limits are read where
 * an operation has to keep them: COPY, APPEND. Mail that arrives is checked at RCPT (delivery/quota.ts).
 */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse } from "./context.ts";

/** Adds to the counters now. */
export function addUsage(
  context: OperationContext,
  { accountId, octets, messages }: { accountId: number; octets: number; messages: number },
): void {
  const [domain] = context.rows(
    "UPDATE accounts SET used_octets = used_octets + ?, used_messages = used_messages + ? WHERE id = ? RETURNING domain",
  ).get(octets, messages, accountId) ?? [];
  if (typeof domain !== "string") return; // the account went earlier in this group, and its domain's share with it
  context.sql(
    "UPDATE domains SET used_octets = used_octets + ?, used_messages = used_messages + ? WHERE name = ?",
  )
    .run(octets, messages, domain);
}

/** Writes what was noted. */
export function settleUsage(context: OperationContext): void {
  if (context.usage.length === 0) return;
  const sums = new Map<number, { accountId: number; octets: number; messages: number }>();
  for (const { accountId, octets, messages } of context.usage.splice(0)) {
    const sum = sums.get(accountId);
    if (sum === undefined) sums.set(accountId, { accountId, octets, messages });
    else {
      sum.octets += octets;
      sum.messages += messages;
    }
  }
  for (const sum of sums.values()) addUsage(context, sum);
}

/** Why an account cannot take so much more; null when it can. */
export function overQuota(
  context: OperationContext,
  { accountId, octets, messages }: { accountId: number; octets: number; messages: number },
): WriteResult | null {
  const row = context.rows(
    "SELECT a.used_octets, a.used_messages, coalesce(a.quota_octets, d.account_quota_octets), " +
      "coalesce(a.quota_messages, d.account_quota_messages), d.used_octets, d.used_messages, d.quota_octets, " +
      "d.quota_messages, a.address, d.name FROM accounts AS a JOIN domains AS d ON d.name = a.domain WHERE a.id = ?",
  ).get(accountId);
  if (row === undefined) return null;
  const [
    octetsUsed,
    messagesUsed,
    maxOctets,
    maxMessages,
    domainOctets,
    domainMessages,
    domainMax,
    domainMost,
  ] = row as number[];
  let pendingOctets = octets;
  let pendingMessages = messages;
  for (const delta of context.usage) {
    if (delta.accountId !== accountId) continue;
    pendingOctets += delta.octets;
    pendingMessages += delta.messages;
  }
  const passed = (used: number, more: number, limit: number) => limit > 0 && used + more > limit;
  if (
    passed(octetsUsed!, pendingOctets, maxOctets!) || passed(messagesUsed!, pendingMessages, maxMessages!)
  ) {
    return refuse("over-quota", `${row[8]} would pass its quota`);
  }
  if (
    passed(domainOctets!, pendingOctets, domainMax!) || passed(domainMessages!, pendingMessages, domainMost!)
  ) {
    return refuse("over-quota", `${row[9]} would pass its quota`);
  }
  return null;
}

export function noteQuota(
  context: OperationContext,
  op: Extract<WriteOp, { kind: "note-quota" }>,
): WriteResult {
  const { changes } = context.sql("UPDATE accounts SET quota_noticed = ? WHERE id = ? AND quota_noticed != ?")
    .run(op.level, op.accountId, op.level);
  return changes === 0 ? refuse("already-exists", "noted already") : DONE;
}
