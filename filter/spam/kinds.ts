/** What several signals ask of a message. */
import type { Mail } from "./mail.ts";

/** Names of files that run when they are opened. */
export const PROGRAM =
  /\.(?:exe|scr|pif|com|bat|cmd|vbs|vbe|js|jse|wsf|wsh|hta|cpl|jar|msi|msp|lnk|reg|ps1|chm|iso|img|vhd|appx|application|gadget|scf|url)$/i;

/** Sent by a mailing list that names itself (RFC 2919, RFC 2369). */
export function isList(mail: Mail): boolean {
  return mail.has("list-id") || (mail.has("list-post") && mail.has("list-unsubscribe")) ||
    (mail.has("list-unsubscribe") && /^(?:list|bulk)$/i.test(mail.first("precedence").trim())) ||
    mail.has("mailing-list");
}

/** Matches of a global pattern in the first 100,000 characters. */
export function count(text: string, pattern: RegExp): number {
  return text.slice(0, 100_000).match(pattern)?.length ?? 0;
}
