/** What a client may do in the mailbox it has selected, as it changes meanwhile (RFC 4314 5.1.1). */
import { formatSelectFlags, type PermanentFlags } from "../../protocols/imap/format/flags.ts";
import type { ImapContext, Selected } from "./context.ts";
import { flagsAllowed, rightsNow } from "./names.ts";

/** Flags that the client may change in its selected mailbox. */
export function permanentFlags(selected: Pick<Selected, "rights" | "readOnly">): PermanentFlags {
  return selected.readOnly ? { flags: 0, keywords: false } : flagsAllowed(selected.rights);
}

/**
 * Looks whether the rights on a mailbox of another are still those that the client was told of: FLAGS and PERMANENTFLAGS
 * where they are not, BYE where it may not read it any more. One's own mailbox costs nothing.
 */
export function refreshRights(context: ImapContext): void {
  const { selected } = context;
  if (selected === null || selected.mailbox.own || !selected.index.exists) return;
  const rights = rightsNow(context, selected.mailbox);
  if (rights === selected.rights) return;
  selected.rights = rights;
  if (rights.includes("r")) {
    context.out.text(formatSelectFlags([...selected.keywords.values()], permanentFlags(selected)));
  } else context.session.bye("The mailbox may not be read any more", "NOPERM");
}
