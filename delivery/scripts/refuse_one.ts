/**
 * LMTP: a recipient whose script refuses the message hears so itself, behind the data (RFC 2033 4.2, RFC 5429 2.1.1), and
 * no notice is sent. Only where nobody else stands behind that recipient's address: an alias of several mailboxes is one
 * recipient, and has one reply.
 */
import type { Reply } from "../../protocols/smtp/reply.ts";
import type { MailboxTarget, RecipientTarget } from "../recipients.ts";

/** True where the recipient is told in the session. */
export type RefuseOne = (target: MailboxTarget, reason: string) => boolean;

export interface RefusableRecipient {
  readonly targets: readonly RecipientTarget[];
  refusal: Reply | null;
}

/** Refuses the recipients that lead to this mailbox alone; false, and nobody is, where others lead there too. */
export function refuseRecipients(
  recipients: readonly RefusableRecipient[],
  { owner, deliveredTo }: MailboxTarget,
  refusal: Reply,
): boolean {
  const leading = recipients.filter((recipient) =>
    recipient.refusal === null &&
    recipient.targets.some((one) =>
      one.kind === "mailbox" && one.owner.id === owner.id && one.deliveredTo === deliveredTo
    )
  );
  if (leading.length === 0 || leading.some(({ targets }) => targets.length > 1)) return false;
  for (const recipient of leading) recipient.refusal = refusal;
  return true;
}
