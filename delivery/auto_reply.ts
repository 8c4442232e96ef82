/**
 * Automatic mail of ours, by one set of rules (RFC 3834): when it may be sent, and what its header says.
 *
 * 2.: never an answer to automatic mail, to lists, to the null reverse-path, to addresses that are no person's; only
 * where the recipient stands in To or Cc; once in a while to the same sender. 3.1: the reverse-path is null, the header
 * says `Auto-Submitted` (5.), In-Reply-To and References name what it answers. Pure.
 */
import { encode } from "../bytes/decode.ts";
import { formatDate } from "../message/date.ts";

/** A week, as RFC 3834 2. and RFC 5230 4.2 suggest for the time between two answers to the same sender. */
export const REPLY_AGAIN_MS = 7 * 86_400_000;
/** RFC 3834 2.: mail from these is not a person's. */
const NO_PERSON =
  /^(?:owner-.*|.*-(?:request|owner|bounces?)|mailer-daemon|listserv|majordomo|no-?reply|do-?not-?reply)$/;

/** What the rules want to know of a message. Header values without their names, null where the field is missing. */
export interface Answerable {
  /** "" is the null path. */
  readonly sender: string;
  readonly autoSubmitted: string | null;
  readonly precedence: string | null;
  /** Any of List-Id, List-Post, List-Unsubscribe, List-Help, List-Owner, List-Archive (RFC 2919, RFC 2369). */
  readonly fromList: boolean;
  /** Addresses of To, Cc and Resent-To, normal form. */
  readonly namedRecipients: readonly string[];
  /** Addresses of the one who answers, normal form. */
  readonly own: readonly string[];
  /** When this sender was last answered; null never. */
  readonly lastReplyAt: number | null;
  readonly now: number;
}

export type NoReply =
  | "null-sender"
  | "own-address"
  | "no-person"
  | "automatic"
  | "list"
  | "not-named"
  | "answered-lately";

/** Why a message gets no automatic answer; null when it may. */
export function noReply(message: Answerable): NoReply | null {
  const { sender, autoSubmitted, precedence, own, lastReplyAt, now } = message;
  if (sender === "") return "null-sender";
  if (own.includes(sender)) return "own-address";
  if (NO_PERSON.test(sender.slice(0, Math.max(0, sender.lastIndexOf("@"))).toLowerCase())) return "no-person";
  if (autoSubmitted !== null && !/^\s*no\s*(?:$|[;(])/i.test(autoSubmitted)) return "automatic";
  if (message.fromList || (precedence !== null && /^\s*(?:bulk|junk|list)\b/i.test(precedence))) {
    return "list";
  }
  if (!message.namedRecipients.some((address) => own.includes(address))) return "not-named";
  if (lastReplyAt !== null && now - lastReplyAt < REPLY_AGAIN_MS) return "answered-lately";
  return null;
}

export interface AutomaticMail {
  /** `auto-generated` without a message that caused it, `auto-replied` in answer to one (RFC 3834 5.). */
  readonly kind: "auto-generated" | "auto-replied";
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  readonly date: number;
  /** With its angle brackets. */
  readonly messageId: string;
  /** Message-ID that it answers. */
  readonly inReplyTo?: string;
  /** Lines of plain text. */
  readonly text: readonly string[];
}

/** The whole message; its reverse-path must be null. */
export function composeAutomatic(mail: AutomaticMail): Uint8Array {
  const { kind, from, to, subject, date, messageId, inReplyTo, text } = mail;
  const lines = [
    `From: ${from}`,
    `To: ${to}`,
    `Subject: ${subject}`,
    `Date: ${formatDate(date)}`,
    `Message-ID: ${messageId}`,
    ...(inReplyTo === undefined ? [] : [`In-Reply-To: ${inReplyTo}`, `References: ${inReplyTo}`]),
    `Auto-Submitted: ${kind}`,
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "",
    ...text,
    "",
  ];
  return encode(lines.join("\r\n"));
}
