/**
 * What became of a recipient at the next server, and of a transaction: values that the sending machine hands out.
 *
 * RFC 5321 4.2 (codes), RFC 3463 (enhanced codes; a reply without one gets the class alone). A reply of the 2yz class is
 * `delivered`, 5yz `permanent`, everything else `temporary`. Pure.
 */
import type { RemoteReply } from "./reply_parser.ts";

/** What the session waits for; the driver has a time-out for each (RFC 5321 4.5.3.2). */
export type Stage =
  | "greeting"
  | "hello"
  | "starttls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data-command"
  | "data-end"
  | "rset"
  | "quit";

export interface RecipientResult {
  readonly outcome: "delivered" | "temporary" | "permanent";
  /** RFC 3463. */
  readonly enhanced: string;
  /** What the peer said; null when the words are ours. */
  readonly reply: RemoteReply | null;
  /** Ours, where the peer said nothing; "" else. */
  readonly text: string;
  readonly stage: Stage;
  /** 452 4.5.3 in a transaction that others got through: send it at once in another one. */
  readonly again: boolean;
}

export interface TransactionResult {
  /** In the order of the transaction's recipients. */
  readonly recipients: readonly RecipientResult[];
  /** The peer took no command of it (an idle connection it has closed): safe to send at once on a new one. */
  readonly untouched: boolean;
}

export function positive({ code }: RemoteReply): boolean {
  return code >= 200 && code < 300;
}

export function theirs(reply: RemoteReply, stage: Stage): RecipientResult {
  const outcome = positive(reply) ? "delivered" : reply.code >= 500 ? "permanent" : "temporary";
  // RFC 5321 4.5.3.1.10: 552 to RCPT is an old way to say 452.
  const temporary552 = stage === "rcpt" && reply.code === 552 &&
    (reply.enhanced === "" || reply.enhanced === "5.5.3");
  const kind = temporary552 ? "temporary" : outcome;
  return {
    outcome: kind,
    enhanced: temporary552 ? "4.5.3" : reply.enhanced !== "" ? reply.enhanced : defaultEnhanced(kind),
    reply,
    text: "",
    stage,
    again: false,
  };
}

export function ours(enhanced: string, text: string, stage: Stage): RecipientResult {
  return {
    outcome: enhanced.startsWith("5") ? "permanent" : "temporary",
    enhanced,
    reply: null,
    text,
    stage,
    again: false,
  };
}

/** Those that a peer took no more of are marked to be sent again at once, where others got through. */
export function withAgain(results: readonly RecipientResult[]): readonly RecipientResult[] {
  if (!results.some(({ outcome }) => outcome === "delivered")) return results;
  return results.map((result) => tooMany(result) ? { ...result, again: true } : result);
}

/** 452 4.5.3, or 452 to RCPT without an enhanced code. */
function tooMany({ stage, reply, enhanced }: RecipientResult): boolean {
  if (stage !== "rcpt" || reply === null) return false;
  return enhanced === "4.5.3" || (reply.code === 452 && reply.enhanced === "");
}

function defaultEnhanced(outcome: RecipientResult["outcome"]): string {
  return outcome === "delivered" ? "2.0.0" : outcome === "permanent" ? "5.0.0" : "4.0.0";
}
