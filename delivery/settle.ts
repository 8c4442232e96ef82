/**
 * From what a peer said about one recipient to what happens to it: gone, put off, or given up; and who is told.
 *
 * RFC 3461 4.1 (NOTIFY; nothing asked for means failures and delays), RFC 5321 6.1 (never an answer to the null
 * reverse-path). Delay notices go to authenticated senders alone: a stranger's address may be forged. Pure.
 */
import type { Random } from "../dns/mx.ts";
import type { DueRecipient, QueuedMessage } from "../storage/queue.ts";
import type { Settled } from "./outcomes.ts";
import { delayNoticeDue, nextAttempt, type ScheduleOptions } from "./schedule.ts";

/** What an attempt found out. */
export interface Verdict {
  readonly outcome: "delivered" | "temporary" | "permanent";
  /** RFC 3463. */
  readonly enhanced: string;
  /** The peer's words with their codes, or ours. */
  readonly text: string;
  readonly fromPeer: boolean;
  readonly remote: string;
  /** Not the peer's word, but TLS that had to be and was not. */
  readonly trouble?: "tls";
  /** Of a delivery: the peer tells of success itself, it ended there, or (left out) it went on to a peer that will not. */
  readonly success?: "told-by-peer" | "final";
}

export interface Judge {
  readonly options: ScheduleOptions;
  readonly random: Random;
}

/** Characters of a reply that the queue keeps. */
const MAX_REPLY = 1_000;

export function settle(
  { options, random }: Judge,
  facts: {
    readonly message: QueuedMessage;
    readonly recipient: DueRecipient;
    readonly verdict: Verdict;
    readonly now: number;
  },
): Settled {
  const { message, recipient, verdict, now } = facts;
  const { recipientId } = recipient;
  const base = {
    recipientId,
    reply: `${verdict.enhanced} ${verdict.text}`.slice(0, MAX_REPLY),
    remote: verdict.remote,
    nextAttemptAt: 0,
    delayNotified: recipient.delayNotified,
  };
  if (verdict.outcome === "delivered") {
    const told = message.sender !== "" && verdict.success !== "told-by-peer" &&
      asksFor(recipient.notify, "SUCCESS");
    const action = verdict.success === "final" ? "delivered" : "relayed"; // RFC 3461 5.2.2
    const { enhanced, text, fromPeer, remote } = verdict;
    return {
      message,
      recipient: recipient.recipient,
      outcome: { ...base, outcome: "delivered" },
      notice: told
        ? { kind: "success", about: { recipient, action, enhanced, text, fromPeer, remote } }
        : null,
    };
  }
  const next = verdict.outcome === "permanent" ? null : nextAttempt(options, {
    attempts: recipient.attempts,
    now,
    expiresAt: message.expiresAt,
    random: random(),
  });
  const { text, fromPeer, remote } = verdict;
  if (next === null) {
    // RFC 3463 3.5: what was temporary until the end has expired.
    const enhanced = verdict.outcome === "permanent" ? verdict.enhanced : "4.4.7";
    const told = message.sender !== "" && asksFor(recipient.notify, "FAILURE");
    return {
      message,
      recipient: recipient.recipient,
      outcome: { ...base, outcome: "failed" },
      notice: told
        ? { kind: "failure", about: { recipient, action: "failed", enhanced, text, fromPeer, remote } }
        : null,
    };
  }
  const { createdAt } = message;
  const told = message.sender !== "" && message.accountId !== null && asksFor(recipient.notify, "DELAY") &&
    delayNoticeDue(options, { now, createdAt, delayNotified: recipient.delayNotified });
  return {
    message,
    recipient: recipient.recipient,
    outcome: {
      ...base,
      outcome: "deferred",
      nextAttemptAt: next,
      delayNotified: told || recipient.delayNotified,
    },
    notice: told
      ? {
        kind: "delay",
        about: { recipient, action: "delayed", enhanced: verdict.enhanced, text, fromPeer, remote },
      }
      : null,
  };
}

function asksFor(notify: string, what: "FAILURE" | "DELAY" | "SUCCESS"): boolean {
  return (notify === "" && what !== "SUCCESS") || notify.toUpperCase().split(",").includes(what);
}
