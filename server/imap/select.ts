/**
 * SELECT, EXAMINE, CLOSE, UNSELECT.
 *
 * RFC 3501 6.3.1, 6.3.2, 6.4.2; RFC 3691; QRESYNC: RFC 7162. \Recent is claimed once per SELECT (2.3.2): messages that arrive while the mailbox is selected are recent for every session that sees them, as the RFC asks where it cannot be known
 * who was first, and are claimed when the mailbox is left.
 */
import { formatSelectFlags } from "../../protocols/imap/format/flags.ts";
import { formatList } from "../../protocols/imap/format/list.ts";
import type { Command, QresyncParameter } from "../../protocols/imap/command.ts";
import { contains, resolve } from "../../protocols/imap/sequence_set.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { MailboxView } from "../../protocols/imap/view.ts";
import { type Change, FLAG_DELETED, FLAG_SEEN } from "../../storage/changes.ts";
import type { MailboxIndex } from "../../storage/mailbox_index.ts";
import { accountOf, bad, type ImapContext, no, ok, type Selected, selectedOf } from "./context.ts";
import { refusal } from "./fault.ts";
import { mailboxWith, NO_MAILBOX } from "./names.ts";
import { permanentFlags } from "./rights.ts";
import { mailboxId } from "./object_id.ts";
import { formatExists, MAX_KEYWORDS, writeFlags, writeVanished } from "./unsolicited.ts";

/** Messages looked at to find keywords: newest first. */
const KEYWORD_MESSAGES = 20_000;

/** Flags told between two looks at the output. */
const CHANGED_BATCH = 1_000;

export async function select(
  context: ImapContext,
  command: Extract<Command, { name: "SELECT" | "EXAMINE" }>,
): Promise<Reply> {
  const { store, out, session } = context;
  const { qresync } = command;
  if (qresync !== null && !session.enabled.qresync) return bad("ENABLE QRESYNC first");
  // RFC 7162 3.2.11, RFC 9051 7.1: what comes before this line is about the old mailbox.
  if (context.selected !== null && (session.enabled.qresync || session.enabled.rev2)) {
    out.text("* OK [CLOSED] Previous mailbox closed\r\n");
  }
  await leave(context);
  const mailbox = mailboxWith(context, command.mailbox, "r");
  if ("status" in mailbox) return mailbox;
  if (!mailbox.selectable) return no("The name has children but no messages", "NONEXISTENT");
  const readOnly = command.name === "EXAMINE";
  const { rights, own } = mailbox;
  const index = await store.mailboxes.openFor(mailbox, accountOf(context).id);
  if (index === null) return NO_MAILBOX;
  // Nothing is \Recent for RFC 9051 and in mailboxes of others, and nothing is taken from the sessions for which it is.
  let recentFrom = session.enabled.rev2 || !own ? Infinity : mailbox.recentUid;
  if (!readOnly && recentFrom < index.uidNext) {
    const claimed = await store.write({ kind: "claim-recent", mailboxId: mailbox.id });
    if (claimed.ok && claimed.kind === "recent") recentFrom = claimed.firstRecentUid;
  }
  // View and subscription begin in the same instant, so that no change falls between them.
  const view = new MailboxView(index, recentFrom);
  const stop = index.subscribe((change) => note(context, change));
  const keywords = keywordsOf(index);
  const selected: Selected = {
    ...{ mailbox, rights, index, view, readOnly, keywords },
    ...{ saved: [], searches: new Map(), modSeqTold: session.enabled.condstore, stop },
  };
  context.selected = selected;
  context.session.state = "selected";
  let text = formatSelectFlags([...keywords.values()], permanentFlags(selected));
  text += formatExists(view, session.enabled.rev2);
  // A message number: nothing for RFC 9051 and RFC 9586.
  const unseen = session.enabled.rev2 || session.enabled.uidOnly ? -1 : firstUnseen(index);
  if (unseen >= 0) text += `* OK [UNSEEN ${unseen + 1}] First unseen message\r\n`;
  text += `* OK [UIDVALIDITY ${mailbox.uidValidity}] UIDs valid\r\n`;
  text += `* OK [UIDNEXT ${index.uidNext}] Predicted next UID\r\n`;
  text += `* OK [HIGHESTMODSEQ ${index.highestModSeq}] Highest\r\n`;
  if (session.enabled.rev2) {
    // RFC 9051 6.3.2: the name as the server knows it, and what the client calls it.
    const attributes = mailbox.specialUse === null ? [] : [mailbox.specialUse];
    const oldName = command.mailbox === mailbox.name ? {} : { oldName: command.mailbox };
    text += formatList("LIST", { name: mailbox.name, attributes, utf8: session.enabled.utf8, ...oldName });
  }
  text += `* OK [MAILBOXID (${mailboxId(mailbox.id, context.store.mailboxes)})] Ok\r\n`; // RFC 8474 4.2
  out.text(text);
  if (qresync !== null && qresync.uidValidity === mailbox.uidValidity) {
    await resynchronize(context, selected, qresync);
  }
  if (readOnly) return ok("Examine completed", "READ-ONLY");
  // RFC 4314 5.2: \Seen is no flag that others see.
  const writable = [..."iewt"].some((right) => rights.includes(right));
  return ok("Select completed", writable ? "READ-WRITE" : "READ-ONLY");
}

/** What happened since the client was last here: expunges first, then flags (RFC 7162 3.2.5.1). */
async function resynchronize(
  context: ImapContext,
  selected: Selected,
  known: QresyncParameter,
): Promise<void> {
  const { index } = selected;
  if (index.highestModSeq <= known.modSeq) return;
  const among = known.knownUids === null ? null : resolve(known.knownUids, index.uidNext - 1);
  writeVanished(context, selected, { since: known.modSeq, among });
  const changed = index.changedSince(known.modSeq);
  for (let start = 0; start < changed.length; start += CHANGED_BATCH) {
    for (const uid of changed.slice(start, start + CHANGED_BATCH)) {
      if (among === null || contains(among, uid)) writeFlags(context, selected, uid);
    }
    await context.drain();
  }
}

/** CLOSE removes what is marked \Deleted without telling; UNSELECT does not (RFC 3691). */
export async function close(context: ImapContext, expunge: boolean): Promise<Reply> {
  const { mailbox, index, readOnly, rights } = selectedOf(context);
  // RFC 4314 4: without the right to expunge it is left out, and no fault.
  if (expunge && !readOnly && rights.includes("e") && hasDeleted(index)) {
    const result = await context.store.write({
      kind: "expunge",
      mailboxId: mailbox.id,
      uids: null,
      onlyDeleted: true,
    });
    if (!result.ok) return refusal(result);
  }
  await leave(context);
  // RFC 7162 3.2.8: without HIGHESTMODSEQ, as the client hears of no expunge.
  return ok(expunge ? "Close completed" : "Unselect completed");
}

/** Ends the selection, if there is one. */
export async function leave(context: ImapContext): Promise<void> {
  const { selected } = context;
  if (selected === null) return;
  context.selected = null;
  if (context.session.state === "selected") context.session.state = "authenticated";
  selected.stop();
  const { mailbox, index, view, readOnly } = selected;
  const arrived = mailbox.own && view.largestUid >= mailbox.uidNext && !context.session.enabled.rev2;
  index.release();
  if (arrived && !readOnly && index.exists) {
    await context.store.write({ kind: "claim-recent", mailboxId: mailbox.id });
  }
}

function note(context: ImapContext, change: Change): void {
  if (context.selected === null) return;
  const { view, searches } = context.selected;
  if (searches.size > 0) { for (const search of searches.values()) search.note(change); }
  switch (change.kind) {
    case "flags":
      view.noteFlags(change.messages.map(({ uid }) => uid), change.modSeq);
      break;
    case "expunged":
      view.noteExpunged(change.uids, change.modSeq);
      break;
    case "seen":
      // Others see no other flags, but those who know MODSEQ a larger one (RFC 7162 3.2.4).
      if (change.readerId === context.account?.id || context.session.enabled.condstore) {
        view.noteFlags([...change.added, ...change.removed], change.modSeq);
      }
      break;
    case "added":
    case "acl":
    case "annotations":
    case "mailboxes":
    case "directory":
    case "queue":
    case "greylist":
    case "lessons":
      break;
    default:
      change satisfies never;
  }
  context.changed();
}

function keywordsOf(index: MailboxIndex): Map<string, string> {
  const keywords = new Map<string, string>();
  let last = "";
  for (let i = index.count - 1; i >= 0 && i >= index.count - KEYWORD_MESSAGES; i--) {
    const words = index.keywordsAt(i);
    if (words === last) continue;
    last = words;
    for (const word of words === "" ? [] : words.split(" ")) keywords.set(word.toLowerCase(), word);
    if (keywords.size >= MAX_KEYWORDS) break;
  }
  return keywords;
}

/** Position of the first message without \Seen, or -1. A million messages take 2 ms. */
function firstUnseen(index: MailboxIndex): number {
  const { count } = index;
  for (let i = 0; i < count; i++) if ((index.flagsAt(i) & FLAG_SEEN) === 0) return i;
  return -1;
}

function hasDeleted(index: MailboxIndex): boolean {
  const { count } = index;
  for (let i = 0; i < count; i++) if ((index.flagsAt(i) & FLAG_DELETED) !== 0) return true;
  return false;
}
