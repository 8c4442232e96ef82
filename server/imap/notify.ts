/**
 * NOTIFY (RFC 5465): what a client wants to be told at any time, of its selected mailbox and of others.
 *
 * Changes are only noted as they come, one mark for each mailbox; what is told is read when it is written, so that a
 * client that does not read costs no more than its mailboxes. Names and subscriptions are compared with those told last.
 * A client is told of its own changes too (5 only asks that this be avoided). Mailboxes of others are watched where a
 * filter names them and their rights allow it: which those are is asked again when any rights change (5.9).
 */
import { formatList, formatStatus } from "../../protocols/imap/format/list.ts";
import type { Command } from "../../protocols/imap/command.ts";
import { type EventGroup, NOTIFY_EVENTS, type NotifyEvent } from "../../protocols/imap/commands/notify.ts";
import type { StatusItem } from "../../protocols/imap/commands/status.ts";
import { type FetchItem, peeking } from "../../protocols/imap/fetch_plan.ts";
import { ancestors } from "../../protocols/imap/list_match.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import type { Change } from "../../storage/changes.ts";
import { accountOf, type ImapContext, no, ok } from "./context.ts";
import { unseenOf } from "./mailbox.ts";
import { mailboxMatcher } from "./mailbox_filter.ts";
import { foreignMailboxes, type NamedMailbox, namedMailbox, visibleMailboxes } from "./names.ts";
import { tell } from "./tell.ts";

/** What is told of the selected mailbox. */
export interface SelectedWatch {
  /** Expunges wait for a command (6.1.2). */
  readonly delayed: boolean;
  readonly flags: boolean;
  /** Told of new messages; never sets \\Seen. */
  readonly items: readonly FetchItem[];
}

interface Pending {
  messages: boolean;
  flags: boolean;
}

export async function notify(
  context: ImapContext,
  command: Extract<Command, { name: "NOTIFY" }>,
): Promise<Reply> {
  if (command.unknown) {
    return no("There is no such event", `BADEVENT (${Object.values(NOTIFY_EVENTS).join(" ")})`);
  }
  if (command.groups === null) {
    context.watch(new Notifications(context, []));
    return ok("Notify completed");
  }
  // 3.1: what has come up to here is told, whatever is asked for from here on.
  await tell(context, { expunges: true, snapshot: true });
  const notifications = new Notifications(context, command.groups);
  context.watch(notifications);
  notifications.tellNoAccess(context);
  if (command.status) await notifications.tellAll(context);
  return ok("Notify completed");
}

export class Notifications {
  /** Null: nothing is told of it. */
  readonly selected: SelectedWatch | null;
  readonly #groups: readonly EventGroup[];
  readonly #accountId: number;
  #pending = new Map<number, Pending>();
  #namesChanged = false;
  /** By id, as they were told last. */
  #names: Map<number, string>;
  #subscriptions: Set<string>;
  /** Mailboxes of others that may be listed and read, by id; null: to be asked again. */
  #foreign: ReadonlySet<number> | null = null;
  readonly #context: ImapContext;
  readonly #watchesForeign: boolean;

  constructor(context: ImapContext, groups: readonly EventGroup[]) {
    this.#accountId = accountOf(context).id;
    this.#groups = groups;
    this.#context = context;
    this.#watchesForeign = groups.some(({ filter }) => NAMING.has(filter.kind));
    const selected = groups.find(({ filter }) => filter.kind.startsWith("selected"));
    this.selected = selected === undefined || !selected.events.has("messagenew") ? null : {
      delayed: selected.filter.kind === "selected-delayed",
      flags: selected.events.has("flagchange"),
      items: peeking(selected.items),
    };
    this.#names = this.#wants("mailboxname") ? namesOf(context) : new Map();
    this.#subscriptions = this.#wants("subscriptionchange")
      ? new Set(context.store.mailboxes.subscriptions(this.#accountId))
      : new Set();
  }

  /** A change of any mailbox; true when there is something to tell. */
  note(change: Change): boolean {
    switch (change.kind) {
      case "added":
      case "expunged":
      case "flags": {
        if (this.#groups.length === 0 || !this.#watches(change)) return false;
        const pending = this.#pending.get(change.mailboxId) ?? { messages: false, flags: false };
        if (change.kind === "flags") pending.flags = true;
        else pending.messages = true;
        this.#pending.set(change.mailboxId, pending);
        return true;
      }
      case "seen": {
        if (change.readerId !== this.#accountId || !this.#watches(change)) return false;
        const pending = this.#pending.get(change.mailboxId) ?? { messages: false, flags: false };
        this.#pending.set(change.mailboxId, { ...pending, flags: true });
        return true;
      }
      case "acl":
        this.#foreign = null;
        return this.#namesChanged = this.#watchesForeign && this.#wants("mailboxname");
      case "mailboxes":
        if (change.accountId !== this.#accountId) {
          this.#foreign = null;
          return this.#namesChanged = this.#watchesForeign && this.#wants("mailboxname");
        }
        return this.#namesChanged = this.#wants("mailboxname") || this.#wants("subscriptionchange");
      case "directory":
        this.#foreign = null;
        return false;
      case "annotations":
      case "queue":
      case "greylist":
      case "lessons":
        return false;
      default:
        return change satisfies never;
    }
  }

  /** A change of one's own mailboxes, or of those of others that are watched. */
  #watches({ accountId, mailboxId }: { readonly accountId: number; readonly mailboxId: number }): boolean {
    if (accountId === this.#accountId) return true;
    if (!this.#watchesForeign) return false;
    this.#foreign ??= new Set(
      foreignMailboxes(this.#context).filter(({ rights }) => rights.includes("r")).map(({ id }) => id),
    );
    return this.#foreign.has(mailboxId);
  }

  /** \NoAccess for what may be listed and not read (3.1). */
  tellNoAccess(context: ImapContext): void {
    if (!this.#watchesForeign) return;
    const matches = this.#matcher(context, "messagenew");
    const { utf8 } = context.session.enabled;
    for (const { name, rights } of foreignMailboxes(context)) {
      if (rights.includes("r") || !matches(name)) continue;
      context.out.text(formatList("LIST", { name, attributes: ["\\NoAccess"], utf8 }));
    }
  }

  /** Whether annotations of a mailbox, or of the account itself (null), are told without ENABLE METADATA (5.6, 5.7). */
  wantsAnnotations(context: ImapContext, mailbox: string | null): boolean {
    if (mailbox === null) return this.#wants("servermetadatachange");
    return this.#matcher(context, "mailboxmetadatachange")(mailbox);
  }

  /** STATUS of every mailbox whose messages are watched (3.1). */
  async tellAll(context: ImapContext): Promise<void> {
    const matches = this.#matcher(context, "messagenew");
    const flags = this.#matcher(context, "flagchange");
    for (const mailbox of visibleMailboxes(context)) {
      if (
        !mailbox.rights.includes("r") || !mailbox.selectable || mailbox.id === context.selected?.mailbox.id ||
        !matches(mailbox.name)
      ) {
        continue;
      }
      // 3.1: HIGHESTMODSEQ whether the client has enabled it or not.
      const modSeq = flags(mailbox.name) || context.session.enabled.condstore;
      this.#writeStatus(context, mailbox, { messages: true, flags: true, modSeq });
      await context.drain();
    }
  }

  /** Writes what was noted. The selected mailbox is not among it. */
  tell(context: ImapContext): void {
    if (this.#namesChanged) this.#tellNames(context);
    if (this.#pending.size === 0) return;
    const pending = this.#pending;
    this.#pending = new Map();
    const messages = this.#matcher(context, "messagenew");
    const flags = this.#matcher(context, "flagchange");
    for (const [id, what] of pending) {
      if (id === context.selected?.mailbox.id) continue;
      const mailbox = namedMailbox(context, id);
      if (mailbox === null || !mailbox.rights.includes("r") || !messages(mailbox.name)) continue;
      const wanted = { messages: what.messages, flags: what.flags && flags(mailbox.name) };
      if (wanted.messages || wanted.flags) this.#writeStatus(context, mailbox, wanted);
    }
  }

  #writeStatus(
    context: ImapContext,
    mailbox: NamedMailbox,
    { messages, flags, modSeq = context.session.enabled.condstore }: Pending & { readonly modSeq?: boolean },
  ): void {
    const items: [StatusItem, number][] = [];
    if (messages) items.push(["MESSAGES", mailbox.messages], ["UIDNEXT", mailbox.uidNext]);
    items.push(["UIDVALIDITY", mailbox.uidValidity]);
    if (flags) items.push(["UNSEEN", unseenOf(context, mailbox)]);
    if (modSeq) items.push(["HIGHESTMODSEQ", mailbox.highestModSeq]);
    context.out.text(formatStatus(mailbox.name, items, context.session.enabled.utf8));
  }

  /** LIST of names that came, went, were renamed (5.4) or (un)subscribed (5.5). */
  #tellNames(context: ImapContext): void {
    this.#namesChanged = false;
    const told = new Map<string, string | null>();
    if (this.#wants("mailboxname")) {
      const before = this.#names;
      const now = this.#names = namesOf(context);
      const matches = this.#matcher(context, "mailboxname");
      const renamed = new Map<string, string>();
      for (const [id, name] of now) {
        const old = before.get(id);
        if (old !== undefined && old !== name) renamed.set(name, old);
      }
      for (const [name, old] of renamed) {
        // A child goes with its parent: nothing more is told of it.
        const along = ancestors(name).some((parent) => {
          const oldParent = renamed.get(parent);
          return oldParent !== undefined && old === oldParent + name.slice(parent.length);
        });
        if (!along && (matches(name) || matches(old))) told.set(name, old);
      }
      const changed = [
        ...[...now].filter(([id]) => !before.has(id)),
        ...[...before].filter(([id]) => !now.has(id)),
      ].map(([, name]) => name);
      for (const name of changed) {
        // The direct parent is affected too.
        for (const one of [name, ...ancestors(name).slice(-1)]) {
          if (matches(one) && !told.has(one)) told.set(one, null);
        }
      }
    }
    if (this.#wants("subscriptionchange")) {
      const before = this.#subscriptions;
      const now = this.#subscriptions = new Set(context.store.mailboxes.subscriptions(this.#accountId));
      const matches = this.#matcher(context, "subscriptionchange");
      for (const name of before.symmetricDifference(now)) {
        // "subscribed" is meant before and after.
        if (!told.has(name) && (matches(name) || before.has(name))) told.set(name, null);
      }
    }
    if (told.size > 0) writeNames(context, told);
  }

  #wants(event: NotifyEvent): boolean {
    return this.#groups.some(({ events }) => events.has(event));
  }

  #matcher(context: ImapContext, event: NotifyEvent): (name: string) => boolean {
    const filters = this.#groups.filter(({ events }) => events.has(event)).map(({ filter }) => filter);
    return mailboxMatcher(context, filters);
  }
}

/** Filters that can name mailboxes of others. */
const NAMING: ReadonlySet<string> = new Set(["subscribed", "subtree", "subtree-one", "mailboxes"]);

function namesOf(context: ImapContext): Map<number, string> {
  return new Map(visibleMailboxes(context).map(({ id, name }) => [id, name]));
}

/** LIST responses with the attributes of now; the value is the name of before, null where it is the same. */
function writeNames(
  context: ImapContext,
  names: ReadonlyMap<string, string | null>,
): void {
  const all = new Map(visibleMailboxes(context).map((mailbox) => [mailbox.name, mailbox]));
  const parents = new Set([...all.keys()].flatMap((name) => ancestors(name)));
  const subscribed = new Set(context.store.mailboxes.subscriptions(accountOf(context).id));
  for (const [name, oldName] of names) {
    const mailbox = all.get(name);
    const attributes: string[] = [];
    if (mailbox === undefined) attributes.push("\\NonExistent");
    else if (!mailbox.selectable) attributes.push("\\Noselect");
    attributes.push(parents.has(name) ? "\\HasChildren" : "\\HasNoChildren");
    if (subscribed.has(name)) attributes.push("\\Subscribed");
    if (mailbox?.specialUse != null) attributes.push(mailbox.specialUse);
    const { utf8 } = context.session.enabled;
    context.out.text(formatList("LIST", { name, attributes, utf8, ...(oldName !== null && { oldName }) }));
  }
}
