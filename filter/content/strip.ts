/**
 * Takes attachments out of a message: each becomes a short text that says what stood there. A message that is nothing but the
 * attachment keeps its header and gets that text as its body. What is signed or encrypted is not for this: it would break.
 */
import { encode } from "../../bytes/decode.ts";
import type { KeptOriginal, MessageChanges, Replacement } from "../message_source.ts";
import { oneLine } from "../verdict.ts";
import type { Attachment } from "./attachments.ts";

const MAX_TAKEN_OUT = 500;
const MAX_NAME = 100;
const TYPE = "text/plain; charset=us-ascii";

/** In their order. False, and nothing is changed, where there are too many. */
export function strip(
  attachments: readonly Attachment[],
  changes: MessageChanges,
  original: KeptOriginal,
): boolean {
  if (attachments.length > MAX_TAKEN_OUT) return false;
  changes.replaced = attachments.map((one) => replacementOf(one, changes));
  changes.original = original;
  return true;
}

function replacementOf(
  { name, kinds, headerStart, bodyStart, bodyEnd, whole }: Attachment,
  changes: MessageChanges,
): Replacement {
  const called = name === ""
    ? "An attachment"
    : `The attachment "${oneLine(name).replaceAll('"', "?").slice(0, MAX_NAME)}"`;
  const text = `${called} was taken out of this message (${[...kinds].join(", ")}).\r\n` +
    "The original is kept for a while; the administrator of this server can hand it out.";
  if (!whole) {
    const header = `Content-Type: ${TYPE}\r\nContent-Disposition: inline\r\n\r\n`;
    return { start: headerStart, end: bodyEnd, octets: encode(header + text) };
  }
  for (
    const [field, value] of [["Content-Type", TYPE], ["Content-Transfer-Encoding", ""], [
      "Content-Disposition",
      "",
    ]] as const
  ) {
    changes.add({ kind: "change", name: field, index: 1, value });
  }
  return { start: bodyStart, end: bodyEnd, octets: encode(`${text}\r\n`) };
}
