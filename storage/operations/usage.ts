/**
 * What accounts and domains hold: two counters each, moved in the transaction that moves the messages.
 *
 * Deliveries only note what they add; the group writes it before its commit, one statement for each account and domain
 * and not for each message. An operation that is taken back takes its notes with it (writer.ts). Limits are read where
 * an operation has to keep them: COPY, APPEND. Mail that arrives is checked at RCPT (delivery/quota.ts).
 */
import type { WriteOp, WriteResult } from "../ops.ts";
import { DONE, type OperationContext, refuse, type UsageDelta } from "./context.ts";

interface Sum {
  octets: number;
  messages: number;
}

/** Adds to the counters now. */
export function addUsage(context: OperationContext, delta: UsageDelta): void {
  const domain = addToAccount(context, delta);
  if (domain !== null) addToDomain(context, domain, delta);
}

/** Writes what was noted: one statement for each account, one for each domain. */
export function settleUsage(context: OperationContext): void {
  if (context.usage.length === 0) return;
  const accounts = new Map<number, Sum & { readonly domain: string | null }>();
  for (const { accountId, domain, octets, messages } of context.usage) {
    const sum = accounts.get(accountId);
    if (sum === undefined) accounts.set(accountId, { domain, octets, messages });
    else addTo(sum, { octets, messages });
  }
  context.usage.length = 0;
  const domains = new Map<string, Sum>();
  const account = context.sql(
    "UPDATE accounts SET used_octets = used_octets + ?, used_messages = used_messages + ? WHERE id = ?",
  );
  for (const [accountId, { domain, octets, messages }] of accounts) {
    // An account that went earlier in this group takes its domain's share with it.
    if (account.run(octets, messages, accountId).changes === 0 || domain === null) continue;
    const sum = domains.get(domain);
    if (sum === undefined) domains.set(domain, { octets, messages });
    else addTo(sum, { octets, messages });
  }
  for (const [domain, sum] of domains) addToDomain(context, domain, sum);
}

function addTo(sum: Sum, { octets, messages }: Sum): void {
  sum.octets += octets;
  sum.messages += messages;
}

/** The domain of the account; null when there is no such account. */
function addToAccount(context: OperationContext, { accountId, octets, messages }: UsageDelta): string | null {
  const [domain = null] = context.rows(
    "UPDATE accounts SET used_octets = used_octets + ?, used_messages = used_messages + ? WHERE id = ? RETURNING domain",
  ).get(octets, messages, accountId) ?? [];
  return domain as string | null;
}

function addToDomain(context: OperationContext, domain: string, { octets, messages }: Sum): void {
  context.sql(
    "UPDATE domains SET used_octets = used_octets + ?, used_messages = used_messages + ? WHERE name = ?",
  )
    .run(octets, messages, domain);
}

/** Why an account cannot take so much more; null when it can. */
export function overQuota(
  context: OperationContext,
  { accountId, octets, messages }: UsageDelta,
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
