/** LIST, LSUB and STATUS responses (RFC 3501 7.2.2 to 7.2.4, RFC 3348, RFC 6154). Pure. */
import type { StatusItem } from "../commands/status.ts";
import { encodeMailboxName, SEPARATOR } from "../mailbox_name.ts";
import { formatString } from "./string.ts";

/** A mailbox name on the wire, as a string. */
export function formatMailbox(name: string, utf8 = false): string {
  return formatString(encodeMailboxName(name, utf8));
}

export function formatList(
  response: "LIST" | "LSUB",
  entry: { readonly name: string; readonly attributes: readonly string[]; readonly childInfo?: boolean },
): string {
  const extended = entry.childInfo === true ? ' ("CHILDINFO" ("SUBSCRIBED"))' : "";
  return `* ${response} (${entry.attributes.join(" ")}) "${SEPARATOR}" ${
    formatMailbox(entry.name)
  }${extended}\r\n`;
}

export function formatStatus(name: string, items: readonly (readonly [StatusItem, number])[]): string {
  return `* STATUS ${formatMailbox(name)} (${
    items.map(([item, value]) => `${item} ${value}`).join(" ")
  })\r\n`;
}
