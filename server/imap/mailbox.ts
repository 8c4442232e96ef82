/** CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, LIST, LSUB and STATUS (RFC 3501 6.3). */
import type { ListCommand } from "../../protocols/imap/command.ts";
import type { StatusItem } from "../../protocols/imap/commands/status.ts";
import { formatMyRights } from "../../protocols/imap/format/acl.ts";
import { formatList, formatStatus } from "../../protocols/imap/format/list.ts";
import { ancestors, joinPattern, listMatches } from "../../protocols/imap/list_match.ts";
import { composed, mailboxNameFault, SEPARATOR } from "../../protocols/imap/mailbox_name.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { accountOf, type ImapContext, no, ok } from "./context.ts";
import { refusal } from "./fault.ts";
import { mailboxId } from "./object_id.ts";
import { listMetadata, mayAnnotate } from "./metadata.ts";
import {
  findMailbox,
  mailboxWith,
  mayCreate,
  type NamedMailbox,
  NO_MAILBOX,
  NOT_PERMITTED,
  visibleMailboxes,
} from "./names.ts";
import { deletedOctets } from "./quota.ts";
import { leave } from "./select.ts";

/** Special uses a client may give a mailbox (RFC 6154 2, without those that name a view over others). */
const SPECIAL_USES = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];
/** Characters of names times characters of patterns between two pauses. */
const COMPARED_AT_ONCE = 1_000_000;
/** Names looked at before other sessions get their turn. */
const LIST_BATCH = 200;

export async function create(
  context: ImapContext,
  command: { readonly mailbox: string; readonly specialUse: string | null },
): Promise<Reply> {
  const { specialUse } = command;
  // RFC 3501 6.3.3: a trailing separator declares that children will follow; the name is without it.
  const name = command.mailbox.endsWith(SEPARATOR) ? command.mailbox.slice(0, -1) : command.mailbox;
  const fault = mailboxNameFault(name);
  if (fault !== null) return no(fault, "CANNOT");
  const place = mayCreate(context, name);
  if (place === null) return NOT_PERMITTED;
  if (place.ownName === "INBOX") return no("INBOX is there always", "ALREADYEXISTS");
  const { owner: { id: accountId }, own } = place;
  if (specialUse !== null) {
    const taken = context.store.mailboxes.list(accountId).some((mailbox) =>
      mailbox.specialUse === specialUse
    );
    // What a mailbox is used for is its owner's business.
    const known = own && SPECIAL_USES.includes(specialUse);
    if (taken || !known) return no("The special use is not available", "USEATTR");
  }
  const result = await context.store.write({
    kind: "create-mailbox",
    accountId,
    name: place.ownName,
    specialUse,
    ...(!own && { belowInbox: true }),
  });
  if (!result.ok) {
    // A name that is taken by what the client may not see is not told to be taken.
    const hidden = result.fault === "already-exists" &&
      findMailbox(context, name)?.rights.includes("l") !== true;
    return hidden ? NOT_PERMITTED : refusal(result);
  }
  if (own && place.ownName !== name) tellOldName(context, place.ownName, name);
  // RFC 8474 4.1.
  return ok(
    "Create completed",
    result.kind === "mailbox" ? `MAILBOXID (${mailboxId(result.mailboxId, context.store.mailboxes)})` : "",
  );
}

export async function remove(context: ImapContext, command: { readonly mailbox: string }): Promise<Reply> {
  const { mailbox: name } = command;
  if (name === "INBOX") return no("INBOX cannot be deleted", "CANNOT");
  const mailbox = mailboxWith(context, name, "x");
  if ("status" in mailbox) return mailbox;
  const { accountId, ownName } = mailbox;
  if (ownName === "INBOX") return no("INBOX cannot be deleted", "CANNOT");
  if (context.selected?.mailbox.id === mailbox.id) {
    // Left first: the session that deletes its own mailbox goes on without one.
    await leave(context);
  }
  const result = await context.store.write({ kind: "delete-mailbox", accountId, name: ownName });
  return result.ok ? ok("Delete completed") : refusal(result);
}

export async function rename(
  context: ImapContext,
  command: { readonly mailbox: string; readonly to: string },
): Promise<Reply> {
  const to = command.to.endsWith(SEPARATOR) ? command.to.slice(0, -1) : command.to;
  const fault = mailboxNameFault(to);
  if (fault !== null) return no(fault, "CANNOT");
  if (to === "INBOX") return no("INBOX is there always", "ALREADYEXISTS");
  const source = mailboxWith(context, command.mailbox, "x");
  if ("status" in source) return source;
  const place = mayCreate(context, to);
  if (place === null) return NOT_PERMITTED;
  const { accountId, ownName: from, own } = source;
  if (place.owner.id !== accountId || (from === "INBOX" && !own)) {
    return no("A mailbox stays with its owner", "CANNOT");
  }
  if (place.ownName.startsWith(from + SEPARATOR) && from !== "INBOX") {
    return no("A mailbox cannot go below itself", "CANNOT");
  }
  const tooDeep = from === "INBOX" ? null : faultBelow(context, source, place.ownName);
  if (tooDeep !== null) return no(`${tooDeep} below it`, "CANNOT");
  const result = await context.store.write({ kind: "rename-mailbox", accountId, from, to: place.ownName });
  if (result.ok) {
    if (place.own && place.ownName !== to) tellOldName(context, place.ownName, to);
    return ok("Rename completed");
  }
  const hidden = result.fault === "already-exists" && findMailbox(context, to)?.rights.includes("l") !== true;
  return hidden ? NOT_PERMITTED : refusal(result);
}

/** Why a mailbox below the one that is renamed may not have the name it would get; null when all may. */
function faultBelow(context: ImapContext, { accountId, ownName }: NamedMailbox, to: string): string | null {
  for (const { name } of context.store.mailboxes.list(accountId)) {
    const fault = name.startsWith(ownName + SEPARATOR)
      ? mailboxNameFault(to + name.slice(ownName.length))
      : null;
    if (fault !== null) return fault;
  }
  return null;
}

/** RFC 9051 6.3.4, 6.3.6: the name as it is kept, where the client has composed it otherwise. */
function tellOldName({ out, session }: ImapContext, name: string, oldName: string): void {
  const { rev2, utf8 } = session.enabled;
  if (rev2) out.text(formatList("LIST", { name, attributes: [], utf8, oldName }));
}

export async function subscribe(
  context: ImapContext,
  command: { readonly name: "SUBSCRIBE" | "UNSUBSCRIBE"; readonly mailbox: string },
): Promise<Reply> {
  const subscribed = command.name === "SUBSCRIBE";
  const { id: accountId } = accountOf(context);
  const fault = mailboxNameFault(command.mailbox);
  if (fault !== null) return no(fault, "CANNOT");
  const result = await context.store.write({
    kind: "subscribe",
    accountId,
    name: subscribedName(context, command.mailbox),
    subscribed,
  });
  return result.ok ? ok(subscribed ? "Subscribe completed" : "Unsubscribe completed") : refusal(result);
}

/** Composed like the name of the mailbox, but where it is subscribed otherwise. */
function subscribedName(context: ImapContext, name: string): string {
  const normal = composed(name);
  if (normal === name || findMailbox(context, name)?.name === name) return name;
  return context.store.mailboxes.subscriptions(accountOf(context).id).includes(name) ? name : normal;
}

/** A name that LIST looks at. */
interface Entry {
  readonly name: string;
  /** Null: a name that is subscribed (or has a child that is) and does not exist. */
  readonly mailbox: NamedMailbox | null;
  readonly subscribed: boolean;
  /** Meets the selection options itself; else it stands only for what is below it. */
  readonly chosen: boolean;
}

export async function list(context: ImapContext, command: ListCommand): Promise<Reply> {
  const { store, out, session } = context;
  const done = ok(command.name === "LSUB" ? "Lsub completed" : "List completed");
  if (!command.extended && command.patterns[0] === "" && command.name === "LIST") {
    // RFC 3501 6.3.8: an empty pattern asks for the separator and the root of the reference.
    out.text('* LIST (\\Noselect) "/" ""\r\n');
    return done;
  }
  const { id: accountId } = accountOf(context);
  const asked = command.patterns.map((pattern) => joinPattern(command.reference, pattern));
  const patterns = [...new Set(asked.flatMap((pattern) => [pattern, composed(pattern)]))];
  const matches = (name: string) => patterns.some((pattern) => listMatches(name, pattern));
  const length = patterns.reduce((sum, pattern) => sum + pattern.length, 0);
  const mailboxes = visibleMailboxes(context);
  const withSubscriptions = command.subscribed || command.returns.subscribed;
  const subscriptions = new Set(withSubscriptions ? store.mailboxes.subscriptions(accountId) : []);
  const parents = new Set(mailboxes.flatMap(({ name }) => ancestors(name)));
  const chosen = new Map<string, Entry>();
  /** Names above chosen ones that the patterns do not reach (RFC 5258 3.5, RFC 3501 6.3.9). */
  const above = new Set<string>();
  const byName = new Map(mailboxes.toReversed().map((mailbox) => [mailbox.name, mailbox]));
  let compared = 0;
  for (const name of command.subscribed ? subscriptions : byName.keys()) {
    const mailbox = byName.get(name) ?? null;
    if (command.specialUse && mailbox?.specialUse == null) continue;
    compared += length * name.length;
    if (compared > COMPARED_AT_ONCE) {
      compared = 0;
      await context.drain();
    }
    if (matches(name)) chosen.set(name, { name, mailbox, subscribed: subscriptions.has(name), chosen: true });
    else if (command.recursiveMatch || command.name === "LSUB") {
      for (const parent of ancestors(name)) above.add(parent);
    }
  }
  for (const name of above) {
    if (chosen.has(name) || !matches(name)) continue;
    const subscribed = subscriptions.has(name);
    chosen.set(name, { name, mailbox: byName.get(name) ?? null, subscribed, chosen: false });
  }
  if (!command.subscribed && !command.specialUse) {
    for (const name of levels(mailboxes, byName, patterns)) {
      chosen.set(name, { name, mailbox: null, subscribed: subscriptions.has(name), chosen: false });
    }
  }
  const options = [
    ...(command.subscribed ? ["SUBSCRIBED"] : []),
    ...(command.specialUse ? ["SPECIAL-USE"] : []),
  ];
  let looked = 0;
  for (const entry of [...chosen.values()].sort(byNameOf)) {
    if (++looked % LIST_BATCH === 0) await context.drain();
    out.text(formatList(command.name, {
      name: entry.name,
      attributes: attributesOf(command, entry, parents),
      childInfo: command.recursiveMatch && above.has(entry.name) ? options : [],
      utf8: session.enabled.utf8,
    }));
    const { mailbox } = entry;
    // RFC 5819 3: nothing more of what stands only for what is below it.
    if (mailbox === null || !entry.chosen) continue;
    const { returns } = command;
    if (returns.myRights) {
      out.text(formatMyRights({ mailbox: mailbox.name, utf8: session.enabled.utf8 }, mailbox.rights));
    }
    if (returns.metadata.length > 0 && mayAnnotate(mailbox)) listMetadata(context, mailbox, returns.metadata);
    if (returns.status.length > 0 && mailbox.selectable && mailbox.rights.includes("r")) {
      const items = await statusOf(context, mailbox, returns.status);
      out.text(formatStatus(entry.name, items, session.enabled.utf8));
    }
  }
  return done;
}

/**
 * Levels above mailboxes of others that are no mailboxes themselves: what a `%` at the end matches is told too
 * (RFC 3501 6.3.8). One's own mailboxes always have those above them.
 */
function levels(
  mailboxes: readonly NamedMailbox[],
  byName: ReadonlyMap<string, NamedMailbox>,
  patterns: readonly string[],
): Set<string> {
  const open = patterns.filter((pattern) => pattern.endsWith("%"));
  const found = new Set<string>();
  if (open.length === 0) return found;
  for (const { name, own } of mailboxes) {
    if (own) continue;
    for (const level of ancestors(name)) {
      if (!byName.has(level) && open.some((pattern) => listMatches(level, pattern))) found.add(level);
    }
  }
  return found;
}

/** INBOX first, then by name. */
function byNameOf(a: Entry, b: Entry): number {
  return a.name === "INBOX" ? -1 : b.name === "INBOX" ? 1 : a.name < b.name ? -1 : 1;
}

function attributesOf(command: ListCommand, entry: Entry, parents: ReadonlySet<string>): string[] {
  const { mailbox } = entry;
  const attributes: string[] = [];
  // LSUB says \Noselect of a parent that is itself not subscribed (RFC 3501 6.3.9).
  if (command.name === "LSUB") return !entry.chosen || mailbox?.selectable === false ? ["\\Noselect"] : [];
  // RFC 5258 4: \NonExistent means \Noselect too, but clients of before do not know that.
  if (mailbox === null) attributes.push(...(command.extended ? ["\\NonExistent"] : ["\\Noselect"]));
  // RFC 5819 2: what STATUS is asked for and may not be read.
  else if (!mailbox.selectable || (command.returns.status.length > 0 && !mailbox.rights.includes("r"))) {
    attributes.push("\\Noselect");
  }
  attributes.push(parents.has(entry.name) ? "\\HasChildren" : "\\HasNoChildren");
  if (entry.subscribed && command.returns.subscribed) attributes.push("\\Subscribed");
  if (mailbox !== null && mailbox.specialUse !== null) attributes.push(mailbox.specialUse);
  return attributes;
}

export async function status(
  context: ImapContext,
  command: { readonly mailbox: string; readonly items: readonly StatusItem[] },
): Promise<Reply> {
  const mailbox = mailboxWith(context, command.mailbox, "r");
  if ("status" in mailbox) return mailbox;
  if (!mailbox.selectable) return NO_MAILBOX;
  const values = await statusOf(context, mailbox, command.items);
  context.out.text(formatStatus(mailbox.name, values, context.session.enabled.utf8));
  return ok("Status completed");
}

async function statusOf(
  context: ImapContext,
  mailbox: NamedMailbox,
  items: readonly StatusItem[],
): Promise<[StatusItem, number | string][]> {
  const values: [StatusItem, number | string][] = [];
  for (const item of items) {
    switch (item) {
      case "MESSAGES":
        values.push([item, mailbox.messages]);
        break;
      case "UIDNEXT":
        values.push([item, mailbox.uidNext]);
        break;
      case "UIDVALIDITY":
        values.push([item, mailbox.uidValidity]);
        break;
      case "UNSEEN":
        values.push([item, unseenOf(context, mailbox)]);
        break;
      case "SIZE":
        values.push([item, mailbox.sizeOctets]);
        break;
      case "HIGHESTMODSEQ":
        values.push([item, mailbox.highestModSeq]);
        break;
      case "DELETED":
        values.push([item, mailbox.deleted]);
        break;
      case "DELETED-STORAGE":
        values.push([item, await deletedOctets(context, mailbox)]);
        break;
      case "MAILBOXID":
        values.push([item, `(${mailboxId(mailbox.id, context.store.mailboxes)})`]);
        break;
      case "APPENDLIMIT":
        values.push([item, context.session.appendLimitOctets]);
        break;
      case "RECENT":
        values.push([item, await recentOf(context, mailbox)]);
        break;
      default:
        item satisfies never;
    }
  }
  return values;
}

/** As this client has seen it. */
export function unseenOf(context: ImapContext, mailbox: NamedMailbox): number {
  return mailbox.own ? mailbox.unseen : context.store.access.unseen(mailbox, accountOf(context).id);
}

/** Only the index knows how many there are from the first recent UID on; it is opened when there can be any. */
async function recentOf(context: ImapContext, mailbox: NamedMailbox): Promise<number> {
  if (!mailbox.own || mailbox.recentUid >= mailbox.uidNext || mailbox.messages === 0) return 0;
  const index = await context.store.mailboxes.open(mailbox.id);
  if (index === null) return 0;
  const count = index.count - index.lowerBound(mailbox.recentUid);
  index.release();
  return count;
}
