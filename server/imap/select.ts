/**
 * SELECT, EXAMINE, CLOSE, UNSELECT, and what a selected client is told of changes.
 *
 * RFC 3501 6.3.1, 6.3.2, 6.4.2, 7.3, 7.4.1; RFC 3691; CONDSTORE and QRESYNC: RFC 7162. \Recent is claimed once per SELECT (2.3.2): messages that arrive
 * while the mailbox is selected are recent for every session that sees them, as the RFC asks where it cannot be known
 * who was first, and are claimed when the mailbox is left.
 */
import { fetchHead } from "../../protocols/imap/format/fetch.ts";
import { formatFlags, formatSelectFlags } from "../../protocols/imap/format/flags.ts";
import { formatList } from "../../protocols/imap/format/list.ts";
import type { Command, QresyncParameter } from "../../protocols/imap/command.ts";
import {
  contains,
  formatRanges,
  LARGEST,
  type Ranges,
  rangesOf,
  resolve,
} from "../../protocols/imap/sequence_set.ts";
import type { Reply } from "../../protocols/imap/reply.ts";
import { MailboxView } from "../../protocols/imap/view.ts";
import { type Change, FLAG_DELETED, FLAG_SEEN } from "../../storage/changes.ts";
import type { MailboxIndex } from "../../storage/store.ts";
import { accountOf, bad, type ImapContext, no, ok, type Selected, selectedOf } from "./context.ts";
import { tellAnnotations } from "./metadata.ts";
import { refusal } from "./fault.ts";
import { mailboxId } from "./object_id.ts";

/** Keywords named in FLAGS, and messages looked at to find them: newest first. */
const MAX_KEYWORDS = 100;
const KEYWORD_MESSAGES = 20_000;
/** Flag updates per batch. */
const TELL_BATCH = 1_000;
/** Messages looked at between two looks at the output. */
const WALK_BATCH = 20_000;

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
  const mailbox = store.mailboxes.byName(accountOf(context).id, command.mailbox);
  if (mailbox === null) return no("No such mailbox", "NONEXISTENT");
  if (!mailbox.selectable) return no("The name has children but no messages", "NONEXISTENT");
  const readOnly = command.name === "EXAMINE";
  const index = await store.mailboxes.open(mailbox.id);
  if (index === null) return no("No such mailbox", "NONEXISTENT");
  // Nothing is \Recent for RFC 9051, and nothing is taken from other sessions for which it is.
  let recentFrom = session.enabled.rev2 ? Infinity : mailbox.recentUid;
  if (!readOnly && recentFrom < index.uidNext) {
    const claimed = await store.write({ kind: "claim-recent", mailboxId: mailbox.id });
    if (claimed.ok && claimed.kind === "recent") recentFrom = claimed.firstRecentUid;
  }
  // View and subscription begin in the same instant, so that no change falls between them.
  const view = new MailboxView(index, recentFrom);
  const stop = index.subscribe((change) => note(context, change));
  const keywords = keywordsOf(index);
  context.selected = { mailbox, index, view, readOnly, keywords, saved: [], searches: new Map(), stop };
  context.session.state = "selected";
  let text = formatSelectFlags([...keywords.values()], readOnly);
  text += formatExists(view, session.enabled.rev2);
  // A message number: nothing for RFC 9051 and RFC 9586.
  const unseen = session.enabled.rev2 || session.enabled.uidOnly ? -1 : firstUnseen(index);
  if (unseen >= 0) text += `* OK [UNSEEN ${unseen + 1}] First unseen message\r\n`;
  text += `* OK [UIDVALIDITY ${mailbox.uidValidity}] UIDs valid\r\n`;
  text += `* OK [UIDNEXT ${index.uidNext}] Predicted next UID\r\n`;
  text += `* OK [HIGHESTMODSEQ ${index.highestModSeq}] Highest\r\n`;
  if (session.enabled.rev2) {
    // RFC 9051 6.3.2: the name as the server knows it.
    const attributes = mailbox.specialUse === null ? [] : [mailbox.specialUse];
    text += formatList("LIST", { name: mailbox.name, attributes, utf8: session.enabled.utf8 });
  }
  text += `* OK [MAILBOXID (${mailboxId(mailbox.id)})] Ok\r\n`; // RFC 8474 4.2
  out.text(text);
  if (qresync !== null && qresync.uidValidity === mailbox.uidValidity) {
    await resynchronize(context, context.selected, qresync);
  }
  return readOnly ? ok("Examine completed", "READ-ONLY") : ok("Select completed", "READ-WRITE");
}

/** What happened since the client was last here: expunges first, then flags (RFC 7162 3.2.5.1). */
async function resynchronize(
  context: ImapContext,
  selected: Selected,
  known: QresyncParameter,
): Promise<void> {
  const { view, index } = selected;
  if (index.highestModSeq <= known.modSeq) return;
  writeVanished(context, selected, {
    since: known.modSeq,
    among: known.knownUids === null ? null : resolve(known.knownUids, index.uidNext - 1),
  });
  const wanted = known.knownUids === null
    ? view.resolveSequence([[1, LARGEST]]) ?? []
    : view.resolveUids(known.knownUids);
  for (const [from, to] of wanted) {
    for (let start = from; start <= to; start += WALK_BATCH) {
      view.walk(start, Math.min(to, start + WALK_BATCH - 1), (_sequence, uid, position) => {
        if (position >= 0 && index.modSeqAt(position) > known.modSeq) writeFlags(context, selected, uid);
      });
      await context.drain();
    }
  }
}

/** `* VANISHED (EARLIER)` for what the log has since a MODSEQ, limited to a set of UIDs (RFC 7162 3.2.10.1). */
export function writeVanished(
  context: ImapContext,
  selected: Selected,
  options: { readonly since: number; readonly among: Ranges | null },
): void {
  const gone = context.store.messages.expungedSince(selected.mailbox.id, options.since)
    .filter((uid) => options.among === null || contains(options.among, uid));
  if (gone.length > 0) context.out.text(`* VANISHED (EARLIER) ${formatRanges(rangesOf(gone))}\r\n`);
}

/** CLOSE removes what is marked \Deleted without telling; UNSELECT does not (RFC 3691). */
export async function close(context: ImapContext, expunge: boolean): Promise<Reply> {
  const { mailbox, index, readOnly } = selectedOf(context);
  let code = "";
  if (expunge && !readOnly && hasDeleted(index)) {
    const result = await context.store.write({
      kind: "expunge",
      mailboxId: mailbox.id,
      uids: null,
      onlyDeleted: true,
    });
    if (!result.ok) return refusal(result);
    if (result.kind === "expunged" && context.session.enabled.condstore) {
      code = `HIGHESTMODSEQ ${result.modSeq}`;
    }
  }
  await leave(context);
  return ok(expunge ? "Close completed" : "Unselect completed", code);
}

/** Ends the selection, if there is one. */
export async function leave(context: ImapContext): Promise<void> {
  const { selected } = context;
  if (selected === null) return;
  context.selected = null;
  if (context.session.state === "selected") context.session.state = "authenticated";
  selected.stop();
  const { mailbox, index, view, readOnly } = selected;
  const arrived = view.largestUid >= mailbox.uidNext && !context.session.enabled.rev2;
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
      view.noteExpunged(change.uids);
      break;
    case "reload":
      // The numbers the client holds cannot be mapped any more.
      context.session.bye("The mailbox has changed too much, please select it again");
      break;
    case "added":
    case "annotations":
    case "mailboxes":
    case "directory":
    case "queue":
      break;
    default:
      change satisfies never;
  }
  context.changed();
}

/**
 * Tells the client what has changed: EXPUNGE where it is allowed, EXISTS and RECENT, then flags.
 *
 * RFC 3501 7.4.1: `expunges` is false while FETCH, STORE or SEARCH with sequence numbers are being answered.
 */
export async function tell(context: ImapContext, options: { expunges: boolean }): Promise<void> {
  const { selected, out } = context;
  if (context.annotations !== null) tellAnnotations(context);
  if (selected === null) return;
  const { view, index } = selected;
  if (!index.exists) {
    context.session.bye("The mailbox was deleted", "NONEXISTENT");
    return;
  }
  while (view.behind && context.selected === selected) {
    if (options.expunges && view.hasExpunged) {
      for (const search of selected.searches.values()) search.tellGone(context, selected, view.gone);
      if (context.session.enabled.vanished) {
        out.text(`* VANISHED ${formatRanges(rangesOf(view.takeVanished()))}\r\n`);
      } else {
        let text = "";
        for (const number of view.takeExpunged()) text += `* ${number} EXPUNGE\r\n`;
        out.text(text);
      }
    }
    const exists = view.takeExists();
    if (exists !== null) out.text(formatExists(view, context.session.enabled.rev2));
    const uids = view.takeFlags(TELL_BATCH);
    for (const uid of uids) writeFlags(context, selected, uid);
    if (uids.length < TELL_BATCH) break;
    await context.drain();
  }
  for (const search of selected.searches.values()) {
    if (context.selected === selected) await search.tell(context, selected);
  }
}

/**
 * `* n FETCH (UID u FLAGS (...))`, with MODSEQ for a client that knows it (RFC 7162 3.2.4), and new keywords announced
 * before it.
 */
export function writeFlags(context: ImapContext, selected: Selected, uid: number): void {
  const { view, index } = selected;
  const position = index.positionOf(uid);
  if (position < 0) return;
  const keywords = index.keywordsAt(position);
  if (keywords !== "") announce(context, selected, keywords);
  const flags = formatFlags(index.flagsAt(position), keywords, uid >= view.recentFrom);
  const modSeq = context.session.enabled.condstore ? ` MODSEQ (${index.modSeqAt(position)})` : "";
  const { uidOnly } = context.session.enabled;
  const head = fetchHead(uidOnly, uidOnly ? 0 : view.sequenceOf(uid), uid);
  context.out.text(`${head}${uidOnly ? "" : `UID ${uid} `}FLAGS ${flags}${modSeq})\r\n`);
}

function formatExists({ exists, recent }: MailboxView, rev2: boolean): string {
  return rev2 ? `* ${exists} EXISTS\r\n` : `* ${exists} EXISTS\r\n* ${recent} RECENT\r\n`;
}

/** Repeats FLAGS and PERMANENTFLAGS when a keyword is new to this client. */
function announce(context: ImapContext, selected: Selected, keywords: string): void {
  const { keywords: known } = selected;
  const before = known.size;
  for (const keyword of keywords.split(" ")) {
    if (known.size >= MAX_KEYWORDS) break;
    if (!known.has(keyword.toLowerCase())) known.set(keyword.toLowerCase(), keyword);
  }
  if (known.size > before) context.out.text(formatSelectFlags([...known.values()], selected.readOnly));
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
