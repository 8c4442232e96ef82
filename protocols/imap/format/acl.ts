/** ACL, LISTRIGHTS and MYRIGHTS responses (RFC 4314 3.6 to 3.8). Pure. */
import { formatRights } from "../rights.ts";
import { formatMailbox } from "./list.ts";
import { formatString } from "./string.ts";

interface Named {
  readonly mailbox: string;
  /** UTF-8 is enabled. */
  readonly utf8: boolean;
}

export function formatAcl(
  { mailbox, utf8 }: Named,
  entries: readonly { readonly identifier: string; readonly rights: string }[],
): string {
  const pairs = entries.map(({ identifier, rights }) =>
    ` ${formatString(identifier, utf8)} ${formatString(formatRights(rights))}`
  );
  return `* ACL ${formatMailbox(mailbox, utf8)}${pairs.join("")}\r\n`;
}

export function formatMyRights({ mailbox, utf8 }: Named, rights: string): string {
  return `* MYRIGHTS ${formatMailbox(mailbox, utf8)} ${formatString(formatRights(rights))}\r\n`;
}

/** `always` is granted in any case; each of the others may be granted by itself. */
export function formatListRights(
  { mailbox, utf8 }: Named,
  list: { readonly identifier: string; readonly always: string; readonly others: string },
): string {
  const always = formatRights(list.always);
  const others = [...formatRights(list.others)].filter((right) => !always.includes(right));
  return `* LISTRIGHTS ${formatMailbox(mailbox, utf8)} ${formatString(list.identifier, utf8)} ` +
    `${[formatString(always), ...others].join(" ")}\r\n`;
}
