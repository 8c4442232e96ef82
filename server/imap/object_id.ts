/**
 * Object ids (RFC 8474): MAILBOXID, EMAILID and THREADID.
 *
 * A mailbox keeps its row through renames. Data that was put back from a copy has other MAILBOXIDs: there UIDs denote other
 * messages than on the server that was lost (RFC 8474 4), and rows of both may have the same number. Copies of a message share one content row; its number may come back after
 * the row is gone, the trace id beside it never does. A thread is named after the message it began with, so that the id
 * of a message never changes and is known before its other messages arrive.
 */
import { encode } from "../../bytes/decode.ts";
import type { Mailboxes } from "../../storage/mailboxes.ts";
import type { ObjectFacts } from "../../storage/messages.ts";

export function mailboxId(id: number, { restoredAs }: Pick<Mailboxes, "restoredAs">): string {
  return restoredAs === 0 ? `F${id}` : `F${id}-${restoredAs}`;
}

export function emailId(facts: ObjectFacts): string {
  return `M${facts.contentId}-${facts.traceId.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 100)}`;
}

/** Null for a message that names neither itself nor another. */
export function threadId(facts: ObjectFacts): string | null {
  const [oldest] = facts.references === "" ? [] : facts.references.split(" ");
  const root = oldest ?? facts.messageId;
  return root === null ? null : `T${fingerprint(root)}`;
}

/** 64 bits of FNV-1a in hexadecimal digits. */
function fingerprint(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const octet of encode(text)) hash = BigInt.asUintN(64, (hash ^ BigInt(octet)) * 0x100000001b3n);
  return hash.toString(16).padStart(16, "0");
}
