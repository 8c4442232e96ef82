/**
 * What stands in files attached to a message, put to its text for a search.
 *
 * The index knows it (search/attachment_pass.ts). Where that is gone, or has not come to these files yet, they are read here, as
 * the indexer would: a tenth of a second each or more, one at a time in a thread, at the lowest priority.
 */
import type { MessageText } from "../../search/message_text.ts";
import { ExtractorFault } from "../../search/text_extractor.ts";
import type { MessageRow } from "../../storage/messages.ts";
import type { ImapContext, Selected } from "./context.ts";

/** `text` is all of the message's own, and has files. */
export async function withAttached(
  { indexes, attached, log }: ImapContext,
  { mailbox: { accountId, id: mailboxId }, index: { uidNext } }: Selected,
  { text, uid, row }: {
    readonly text: MessageText;
    readonly uid: number;
    readonly row: Pick<MessageRow, "blob">;
  },
): Promise<MessageText> {
  let found = await indexes?.attachedText({ accountId, mailboxId, uidNext }, uid) ?? null;
  if (found === null && attached !== null) {
    try {
      found = await attached.textOf(text.files, { row, mailboxId, uid });
    } catch (error) {
      if (!(error instanceof ExtractorFault)) throw error;
      log.warn("a search goes without what is attached to message {uid}: {error}", {
        uid,
        error: error.message,
      });
    }
  }
  return text.withAttached(found ?? "");
}
