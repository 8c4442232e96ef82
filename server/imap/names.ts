/**
 * From the name a client says to a mailbox, its owner, and what the client may do there: the one way for all commands.
 *
 * A mailbox on which the client lacks the lookup right is answered like one that does not exist, so that nothing tells it
 * is there (RFC 4314 6); where it may see it, the missing right is `[NOPERM]` (RFC 5530 3).
 */
import { foreignName, parseForeignName } from "../../protocols/imap/namespaces.ts";
import { ancestors } from "../../protocols/imap/list_match.ts";
import { composed } from "../../protocols/imap/mailbox_name.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { FLAG_DELETED, FLAG_SEEN } from "../../storage/changes.ts";
import { ALL_RIGHTS, NO_RIGHTS } from "../../storage/rights.ts";
import type { Account } from "../../storage/directory_view.ts";
import type { Mailbox } from "../../storage/mailboxes.ts";
import { accountOf, type ImapContext, no } from "./context.ts";

/** A mailbox under the name that this client has for it. */
export interface NamedMailbox extends Mailbox {
  /** Its name as the owner has it. */
  readonly ownName: string;
  /** What the client may do with it. */
  readonly rights: string;
  /** It belongs to the account that is logged in. */
  readonly own: boolean;
}

/** Where a name is: whose, and what it is called there. */
export interface Place {
  readonly owner: Account;
  /** As a mailbox there has it, or a new one would. */
  readonly ownName: string;
  readonly own: boolean;
}

export const NO_MAILBOX = no("No such mailbox", "NONEXISTENT");
export const NOT_PERMITTED = no("You do not have the right to do that", "NOPERM");

/** Null: it is in a namespace of others, and there is no such owner to this client. */
export function placeOf(context: ImapContext, name: string): Place | null {
  const account = accountOf(context);
  const foreign = parseForeignName(context.sharing.namespaces, name);
  if (foreign === null || context.store.mailboxes.byName(account.id, name) !== null) {
    return { owner: account, ownName: keptName(context, account, name), own: true };
  }
  const owner = context.store.directory.account(foreign.address);
  if (owner === null || owner.id === account.id || owner.shared !== (foreign.namespace === "shared")) {
    return null;
  }
  return { owner, ownName: keptName(context, owner, foreign.ownName), own: false };
}

/** Composed, unless a mailbox has it as it is: those that IMAP did not make are called as they were. */
function keptName(context: ImapContext, owner: Account, name: string): string {
  const normal = composed(name);
  return normal === name || context.store.mailboxes.byName(owner.id, name) !== null ? name : normal;
}

/** The mailbox of a name, whatever the rights; null when there is none, or none on which the client has any. */
export function findMailbox(context: ImapContext, name: string): NamedMailbox | null {
  const place = placeOf(context, name);
  if (place === null) return null;
  const mailbox = context.store.mailboxes.byName(place.owner.id, place.ownName);
  if (mailbox === null) return null;
  const rights = place.own ? ALL_RIGHTS : rightsNow(context, mailbox);
  if (rights === NO_RIGHTS) return null;
  const { own, owner } = place;
  const { name: ownName } = mailbox;
  if (own) return { ...mailbox, ownName, rights, own };
  const asNamed = foreignName(context.sharing.namespaces, owner, ownName) ?? name;
  return { ...mailbox, name: asNamed, ownName, rights, own, specialUse: null };
}

/** The mailbox of a name with these rights, all of them, or the reply that refuses it. */
export function mailboxWith(context: ImapContext, name: string, rights: string): NamedMailbox | Reply {
  const mailbox = findMailbox(context, name);
  if (mailbox === null) return NO_MAILBOX;
  return [...rights].every((right) => mailbox.rights.includes(right)) ? mailbox : refused(mailbox);
}

/** The same for what brings messages: the client hears whether it might create the mailbox (RFC 3501 6.3.11). */
export function targetMailbox(context: ImapContext, name: string): NamedMailbox | Reply {
  const target = mailboxWith(context, name, "i");
  const found = "status" in target ? target : target.selectable ? null : NO_MAILBOX;
  if (found === null) return target;
  if (found.code !== "NONEXISTENT") return found;
  return mayCreate(context, name) === null ? found : no("No such mailbox", "TRYCREATE");
}

/** Why a right is missing, as the client may know it. */
export function refused({ rights }: { readonly rights: string }): Reply {
  return rights.includes("l") ? NOT_PERMITTED : NO_MAILBOX;
}

/** Where a mailbox of this name may be made (RFC 4314 4: "k" on the nearest mailbox above it); null when it may not. */
export function mayCreate(context: ImapContext, name: string): Place | null {
  const place = placeOf(context, name);
  if (place === null || place.own) return place;
  const above = ["INBOX", ...ancestors(place.ownName)].reverse();
  for (const parent of above) {
    const mailbox = context.store.mailboxes.byName(place.owner.id, parent);
    if (mailbox !== null) return rightsNow(context, mailbox).includes("k") ? place : null;
  }
  return null;
}

/** What the client may do with a mailbox now. */
export function rightsNow(context: ImapContext, mailbox: Mailbox): string {
  return context.store.access.rights(accountOf(context), mailbox, context.sharing.scope);
}

/** All mailboxes that the client may list: its own in name order, then those of others by owner and name. */
export function visibleMailboxes(context: ImapContext): NamedMailbox[] {
  const account = accountOf(context);
  const all: NamedMailbox[] = context.store.mailboxes.list(account.id).map((mailbox) => ({
    ...mailbox,
    ownName: mailbox.name,
    rights: ALL_RIGHTS,
    own: true,
  }));
  return [...all, ...foreignMailboxes(context)];
}

/** Those of others. */
export function foreignMailboxes(context: ImapContext): NamedMailbox[] {
  const { scope, namespaces } = context.sharing;
  return context.store.access.granted(accountOf(context), scope).flatMap(({ mailbox, owner, rights }) => {
    const name = rights.includes("l") ? foreignName(namespaces, owner, mailbox.name) : null;
    return name === null
      ? []
      : [{ ...mailbox, name, ownName: mailbox.name, rights, own: false, specialUse: null }];
  });
}

/** A mailbox by its id, as the client may list it; null when it may not. */
export function namedMailbox(context: ImapContext, id: number): NamedMailbox | null {
  const mailbox = context.store.mailboxes.byId(id);
  if (mailbox === null) return null;
  if (mailbox.accountId === accountOf(context).id) {
    return { ...mailbox, ownName: mailbox.name, rights: ALL_RIGHTS, own: true };
  }
  const owner = context.store.directory.accountById(mailbox.accountId);
  const rights = rightsNow(context, mailbox);
  if (owner === null || !rights.includes("l")) return null;
  const name = foreignName(context.sharing.namespaces, owner, mailbox.name);
  return name === null
    ? null
    : { ...mailbox, name, ownName: mailbox.name, rights, own: false, specialUse: null };
}

/** True for names below a namespace of others. */
export function isForeign(context: ImapContext, name: string): boolean {
  return parseForeignName(context.sharing.namespaces, name) !== null;
}

/** Flags that rights let a client set and clear (RFC 4314 4). */
export function flagsAllowed(rights: string): { readonly flags: number; readonly keywords: boolean } {
  const keywords = rights.includes("w");
  const others = 0xff & ~FLAG_SEEN & ~FLAG_DELETED;
  const flags = (keywords ? others : 0) | (rights.includes("s") ? FLAG_SEEN : 0) |
    (rights.includes("t") ? FLAG_DELETED : 0);
  return { flags, keywords };
}

/** INBOX of another account as this client names it: also the name of its quota root. */
export function inboxName(context: ImapContext, owner: Account): string | null {
  return foreignName(context.sharing.namespaces, owner, "INBOX");
}
