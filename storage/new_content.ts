/** A message's facts as a delivery files them beside where its octets lie. */
import type { MessageFacts } from "../message/facts.ts";
import type { NewContent } from "./ops.ts";

export function newContent(
  facts: MessageFacts,
  { blob, traceId }: Pick<NewContent, "blob" | "traceId">,
): NewContent {
  return {
    blob,
    headerOctets: facts.headerOctets,
    imap: facts.imap,
    preview: facts.preview,
    subject: facts.subject,
    from: facts.from,
    messageId: facts.messageId,
    references: facts.references.join(" "),
    sentAt: facts.sentAtMs,
    traceId,
  };
}
