/** The mailboxes that a filter of NOTIFY or ESEARCH names (RFC 5465 6, RFC 7377 2.2), each once. */
import type { MailboxFilter } from "../../protocols/imap/mailbox_filter.ts";
import { composed, SEPARATOR } from "../../protocols/imap/mailbox_name.ts";
import { accountOf, type ImapContext } from "./context.ts";
import { findMailbox, isForeign, type NamedMailbox, visibleMailboxes } from "./names.ts";

/** Selectable mailboxes that exist, in name order. The selected one is here only where it is named otherwise. */
export function filteredMailboxes(context: ImapContext, filters: readonly MailboxFilter[]): NamedMailbox[] {
  const matches = mailboxMatcher(context, filters);
  // RFC 7377 2.2: what the client may not read is left out, and what it may not list unless it names it.
  const listed = visibleMailboxes(context).filter(({ name }) => matches(name));
  const all = new Map(listed.map((mailbox) => [mailbox.id, mailbox]));
  for (const filter of filters) {
    for (const name of filter.kind === "mailboxes" ? filter.names : []) {
      const mailbox = findMailbox(context, name);
      if (mailbox !== null) all.set(mailbox.id, mailbox);
    }
  }
  return [...all.values()].filter(({ selectable, rights }) => selectable && rights.includes("r"));
}

/** Whether a name is meant; subscriptions are those of now. */
export function mailboxMatcher(
  context: ImapContext,
  filters: readonly MailboxFilter[],
): (name: string) => boolean {
  const tests = filters.map((filter) => matcher(context, filter));
  return (name) => tests.some((test) => test(name));
}

function matcher(context: ImapContext, filter: MailboxFilter): (name: string) => boolean {
  switch (filter.kind) {
    case "selected":
    case "selected-delayed":
      return () => false;
    case "inboxes": // RFC 5465 6.3: rules may deliver anywhere
    case "personal":
      return (name) => !isForeign(context, name);
    case "subscribed": {
      const names = new Set(context.store.mailboxes.subscriptions(accountOf(context).id));
      return (name) => names.has(name);
    }
    case "mailboxes": {
      const names = new Set(filter.names.flatMap((name) => [name, composed(name)]));
      return (name) => names.has(name);
    }
    case "subtree":
    case "subtree-one": {
      const deep = filter.kind === "subtree";
      const roots = new Set(filter.names.flatMap((name) => [name, composed(name)]));
      return (name) =>
        roots.values().some((root) => {
          if (name === root) return true;
          if (!name.startsWith(root + SEPARATOR)) return false;
          return deep || !name.slice(root.length + 1).includes(SEPARATOR);
        });
    }
    default:
      return filter satisfies never;
  }
}
