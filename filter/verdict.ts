/**
 * What a check of incoming mail says, and the stages at which it is asked.
 *
 * `accept` ends the checks for the transaction; `tag` and `continue` go on, the first with a word for the recipient's
 * eyes. `reject` and `defer` answer the client, `discard` takes the message and forgets it, `quarantine` holds it in the
 * queue until the operator decides. Of several decisions of one message the strictest counts.
 */
import type { Reply } from "../protocols/smtp/reply.ts";

export const STAGES = ["connect", "ehlo", "mail", "rcpt", "data", "message"] as const;
export type Stage = (typeof STAGES)[number];

export const ACTIONS = ["continue", "accept", "reject", "defer", "discard", "quarantine", "tag"] as const;
export type Action = (typeof ACTIONS)[number];

export interface Verdict {
  readonly action: Action;
  /** One line, without secrets: it stands in the log, in the trace and, tagged, in the message. */
  readonly reason: string;
  /** What the client hears; left out, the usual words of the action. */
  readonly reply?: Reply;
  /** It does harm: held, only the operator may let it go. Left out: no. */
  readonly dangerous?: boolean;
  /** What it adds to the spam score; left out: what any tag adds. Below 0 it speaks for the message. */
  readonly points?: number;
}

/** A verdict and whose it is. */
export interface Decision extends Verdict {
  readonly check: string;
  readonly stage: Stage;
}

export const PUT_OFF_LATE: Reply = {
  ...{ code: 451, enhanced: "4.7.1", text: "The message could not be checked in time, try again later" },
};
export const CONTINUE: Verdict = { action: "continue", reason: "" };

const NOT_PRINTABLE = /[^\x20-\x7e]+/g;
const MAX_REASON = 400;

/** Peers may have chosen parts of a reason: it becomes one printable line. */
export function oneLine(text: string): string {
  return text.replace(NOT_PRINTABLE, "?").slice(0, MAX_REASON);
}
