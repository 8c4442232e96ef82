/**
 * What stands in files attached to a message, put to its text for a search.
 *
 * Only the index knows it (search/attachment_pass.ts): a search that has no index, or is ahead of it, does without. A file takes
 * up to seconds to read; a search in thousands of them would take the processor from all others for hours.
 */
import type { MessageText } from "../../search/message_text.ts";
import type { ImapContext, Selected } from "./context.ts";

/** `text` is all of the message's own. */
export async function withAttached(
  { indexes }: ImapContext,
  { mailbox, index }: Selected,
  { text, uid }: { readonly text: MessageText; readonly uid: number },
): Promise<MessageText> {
  if (indexes === null || text.files.length === 0) return text;
  const where = { accountId: mailbox.accountId, mailboxId: mailbox.id, uidNext: index.uidNext };
  const attached = await indexes.attachedText(where, uid);
  return attached === null ? text : text.withAttached(attached);
}
