/** LIST, LSUB and STATUS responses (RFC 3501 7.2.2 to 7.2.4, RFC 3348, RFC 6154). Pure. */
import type { StatusItem } from "../commands/status.ts";
import { encodeMailboxName, SEPARATOR } from "../mailbox_name.ts";
import { formatString } from "./string.ts";

/** A mailbox name on the wire, as a string. */
export function formatMailbox(name: string, utf8 = false): string {
  return formatString(encodeMailboxName(name, utf8), utf8);
}

export function formatList(
  response: "LIST" | "LSUB",
  entry: {
    readonly name: string;
    readonly attributes: readonly string[];
    /** Selection options that a name below this one meets (RFC 5258 3.5). */
    readonly childInfo?: readonly string[];
    readonly utf8?: boolean;
    /** Its name before a RENAME (RFC 5465 8), or as the client composed it (RFC 9051 6.3.9.7). */
    readonly oldName?: string;
  },
): string {
  const { childInfo = [], oldName } = entry;
  const extended = oldName !== undefined
    ? ` ("OLDNAME" (${formatMailbox(oldName, entry.utf8)}))`
    : childInfo.length === 0
    ? ""
    : ` ("CHILDINFO" (${childInfo.map((option) => `"${option}"`).join(" ")}))`;
  return `* ${response} (${entry.attributes.join(" ")}) "${SEPARATOR}" ${
    formatMailbox(entry.name, entry.utf8)
  }${extended}\r\n`;
}

export function formatStatus(
  name: string,
  items: readonly (readonly [StatusItem, number | string])[],
  utf8 = false,
): string {
  return `* STATUS ${formatMailbox(name, utf8)} (${
    items.map(([item, value]) => `${item} ${value}`).join(" ")
  })\r\n`;
}
