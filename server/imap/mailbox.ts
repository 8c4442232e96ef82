/** CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, LIST, LSUB and STATUS (RFC 3501 6.3). */
import type { ListCommand } from "../../protocols/imap/command.ts";
import type { StatusItem } from "../../protocols/imap/commands/status.ts";
import { formatList, formatStatus } from "../../protocols/imap/format/list.ts";
import { ancestors, joinPattern, listMatches } from "../../protocols/imap/list_match.ts";
import { mailboxNameFault, SEPARATOR } from "../../protocols/imap/mailbox_name.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { Mailbox } from "../../storage/store.ts";
import { accountOf, type ImapContext, no, ok } from "./context.ts";
import { refusal } from "./fault.ts";
import { mailboxId } from "./object_id.ts";
import { listMetadata } from "./metadata.ts";
import { deletedOctets } from "./quota.ts";
import { leave } from "./select.ts";

/** Special uses a client may give a mailbox (RFC 6154 2, without those that name a view over others). */
const SPECIAL_USES = ["\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash"];
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
  if (name === "INBOX") return no("INBOX is there always", "ALREADYEXISTS");
  const { id: accountId } = accountOf(context);
  if (specialUse !== null) {
    const taken = context.store.mailboxes.list(accountId).some((mailbox) =>
      mailbox.specialUse === specialUse
    );
    if (taken || !SPECIAL_USES.includes(specialUse)) return no("The special use is not available", "USEATTR");
  }
  const result = await context.store.write({ kind: "create-mailbox", accountId, name, specialUse });
  if (!result.ok) return refusal(result);
  // RFC 8474 4.1.
  return ok(
    "Create completed",
    result.kind === "mailbox" ? `MAILBOXID (${mailboxId(result.mailboxId)})` : "",
  );
}

export async function remove(context: ImapContext, command: { readonly mailbox: string }): Promise<Reply> {
  const { mailbox: name } = command;
  if (name === "INBOX") return no("INBOX cannot be deleted", "CANNOT");
  const { id: accountId } = accountOf(context);
  const mailbox = context.store.mailboxes.byName(accountId, name);
  if (mailbox === null) return no("No such mailbox", "NONEXISTENT");
  if (context.selected?.mailbox.id === mailbox.id) {
    // Left first: the session that deletes its own mailbox goes on without one.
    await leave(context);
  }
  const result = await context.store.write({ kind: "delete-mailbox", accountId, name });
  return result.ok ? ok("Delete completed") : refusal(result);
}

export async function rename(
  context: ImapContext,
  command: { readonly mailbox: string; readonly to: string },
): Promise<Reply> {
  const { mailbox: from } = command;
  const to = command.to.endsWith(SEPARATOR) ? command.to.slice(0, -1) : command.to;
  const fault = mailboxNameFault(to);
  if (fault !== null) return no(fault, "CANNOT");
  if (to === "INBOX") return no("INBOX is there always", "ALREADYEXISTS");
  if (to.startsWith(from + SEPARATOR) && from !== "INBOX") {
    return no("A mailbox cannot go below itself", "CANNOT");
  }
  const { id: accountId } = accountOf(context);
  const result = await context.store.write({ kind: "rename-mailbox", accountId, from, to });
  return result.ok ? ok("Rename completed") : refusal(result);
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
    name: command.mailbox,
    subscribed,
  });
  return result.ok ? ok(subscribed ? "Subscribe completed" : "Unsubscribe completed") : refusal(result);
}

/** A name that LIST looks at. */
interface Entry {
  readonly name: string;
  /** Null: a name that is subscribed (or has a child that is) and does not exist. */
  readonly mailbox: Mailbox | null;
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
  const patterns = command.patterns.map((pattern) => joinPattern(command.reference, pattern));
  const matches = (name: string) => patterns.some((pattern) => listMatches(name, pattern));
  const mailboxes = store.mailboxes.list(accountId);
  const withSubscriptions = command.subscribed || command.returns.subscribed;
  const subscriptions = new Set(withSubscriptions ? store.mailboxes.subscriptions(accountId) : []);
  const parents = new Set(mailboxes.flatMap(({ name }) => ancestors(name)));
  const chosen = new Map<string, Entry>();
  /** Names above chosen ones that the patterns do not reach (RFC 5258 3.5, RFC 3501 6.3.9). */
  const above = new Set<string>();
  const byName = new Map(mailboxes.map((mailbox) => [mailbox.name, mailbox]));
  for (const name of command.subscribed ? subscriptions : byName.keys()) {
    const mailbox = byName.get(name) ?? null;
    if (command.specialUse && mailbox?.specialUse == null) continue;
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
    if (command.returns.metadata.length > 0 && entry.mailbox !== null) {
      listMetadata(context, entry.mailbox, command.returns.metadata);
    }
    if (command.returns.status.length > 0 && entry.mailbox?.selectable === true) {
      const items = await statusOf(context, entry.mailbox, command.returns.status);
      out.text(formatStatus(entry.name, items, session.enabled.utf8));
    }
  }
  return done;
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
  if (mailbox === null) attributes.push("\\NonExistent");
  else if (!mailbox.selectable) attributes.push("\\Noselect");
  attributes.push(parents.has(entry.name) ? "\\HasChildren" : "\\HasNoChildren");
  if (entry.subscribed && command.returns.subscribed) attributes.push("\\Subscribed");
  if (mailbox !== null && mailbox.specialUse !== null) attributes.push(mailbox.specialUse);
  return attributes;
}

export async function status(
  context: ImapContext,
  command: { readonly mailbox: string; readonly items: readonly StatusItem[] },
): Promise<Reply> {
  const mailbox = context.store.mailboxes.byName(accountOf(context).id, command.mailbox);
  if (mailbox === null || !mailbox.selectable) return no("No such mailbox", "NONEXISTENT");
  const values = await statusOf(context, mailbox, command.items);
  context.out.text(formatStatus(mailbox.name, values, context.session.enabled.utf8));
  return ok("Status completed");
}

async function statusOf(
  context: ImapContext,
  mailbox: Mailbox,
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
        values.push([item, mailbox.unseen]);
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
        values.push([item, `(${mailboxId(mailbox.id)})`]);
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

/** Only the index knows how many there are from the first recent UID on; it is opened when there can be any. */
async function recentOf(context: ImapContext, mailbox: Mailbox): Promise<number> {
  if (mailbox.recentUid >= mailbox.uidNext || mailbox.messages === 0) return 0;
  const index = await context.store.mailboxes.open(mailbox.id);
  if (index === null) return 0;
  const count = index.count - index.lowerBound(mailbox.recentUid);
  index.release();
  return count;
}
