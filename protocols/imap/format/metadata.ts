/** METADATA responses (RFC 5464 4.4). A mailbox of null is the server. Pure. */
import { utf8OrNull } from "../../../bytes/decode.ts";
import type { Out } from "../../../bytes/out.ts";
import { formatMailbox } from "./list.ts";
import { formatAstring, formatString } from "./string.ts";

export interface MetadataValue {
  readonly entry: string;
  readonly value: Uint8Array | null;
}

export function writeMetadata(
  out: Out,
  response: {
    readonly mailbox: string | null;
    readonly values: readonly MetadataValue[];
    readonly utf8: boolean;
  },
): void {
  out.text(`* METADATA ${nameOf(response.mailbox, response.utf8)} (`);
  for (const [at, { entry, value }] of response.values.entries()) {
    out.text(`${at === 0 ? "" : " "}${formatAstring(entry)} `);
    writeValue(out, value);
  }
  out.text(")\r\n");
}

/** Names only: what changed (RFC 5464 4.4.2). */
export function formatMetadataChange(
  mailbox: string | null,
  entries: readonly string[],
  utf8: boolean,
): string {
  return `* METADATA ${nameOf(mailbox, utf8)} ${entries.map(formatAstring).join(" ")}\r\n`;
}

function nameOf(mailbox: string | null, utf8: boolean): string {
  return mailbox === null ? '""' : formatMailbox(mailbox, utf8);
}

/** A string, or a literal8 for what is no text. */
function writeValue(out: Out, value: Uint8Array | null): void {
  const text = value === null ? null : utf8OrNull(value);
  if (value === null) out.text("NIL");
  else if (text !== null && !text.includes("\0")) out.text(formatString(text));
  else {
    out.text(`~{${value.length}}\r\n`);
    out.octets(value);
  }
}
