/**
 * What a client is told of changes: while a command runs, in IDLE, and at any time where NOTIFY asked for it.
 *
 * RFC 3501 7.3, 7.4.1; order of what belongs together: RFC 5267 4.3, RFC 5465 5.
 */
import type { FetchItem } from "../../protocols/imap/fetch_plan.ts";
import { formatRanges, rangesOf, type SequenceSet } from "../../protocols/imap/sequence_set.ts";
import type { ImapContext, Selected } from "./context.ts";
import { fetch } from "./fetch.ts";
import { tellAnnotations } from "./metadata.ts";
import type { Notifications } from "./notify.ts";
import { refreshRights } from "./rights.ts";
import { formatExists, writeFlags } from "./unsolicited.ts";

/** Flag updates per batch. */
const BATCH = 1_000;

export interface TellOptions {
  /** False while FETCH, STORE or SEARCH with sequence numbers are being answered (RFC 3501 7.4.1). */
  readonly expunges: boolean;
  /** The command changed the mailbox itself: that is told whatever NOTIFY says. */
  readonly own?: boolean;
  /** All of it is told, whatever NOTIFY says. */
  readonly snapshot?: boolean;
}

/** Undefined when that is done, or nothing is to be told. */
export function tell(context: ImapContext, options: TellOptions): Promise<void> | undefined {
  const { selected, notifications } = context;
  if (context.annotations !== null) tellAnnotations(context);
  notifications?.tell(context);
  if (selected === null) return;
  if (!selected.index.exists) {
    context.session.bye("The mailbox was deleted", "NONEXISTENT");
    return;
  }
  refreshRights(context);
  if (context.session.ended) return;
  const watch = options.snapshot === true ? null : notifications?.selected ?? null;
  if (notifications !== null && watch === null && !options.own && !options.snapshot) return;
  if (!selected.view.behind && selected.searches.size === 0) return tellModSeq(context, selected);
  return tellSelected(context, selected, { ...options, watch });
}

async function tellSelected(
  context: ImapContext,
  selected: Selected,
  { watch, ...options }: TellOptions & { readonly watch: Notifications["selected"] },
): Promise<void> {
  const known = selected.view.largestUid;
  await tellView(context, selected, { ...options, flags: watch === null || watch.flags });
  for (const search of selected.searches.values()) {
    if (context.selected === selected) await search.tell(context, selected);
  }
  if (context.selected === selected) await tellNew(context, selected, { known, items: watch?.items ?? [] });
  if (context.selected === selected) tellModSeq(context, selected);
}

/**
 * HIGHESTMODSEQ, when the client first asked for MODSEQ with the mailbox open (RFC 7162 3.1), and while expunges are held
 * back whose MODSEQ is smaller than what it is told of: it must not take those for known when the connection breaks (6).
 */
function tellModSeq({ session, out }: ImapContext, selected: Selected): undefined {
  if (!session.enabled.condstore) return;
  const { view, index } = selected;
  if (view.hasExpunged) {
    selected.modSeqTold = false;
    out.text(`* OK [HIGHESTMODSEQ ${view.goneModSeq - 1}] Expunges are still to be told\r\n`);
  } else if (!selected.modSeqTold) {
    selected.modSeqTold = true;
    out.text(`* OK [HIGHESTMODSEQ ${index.highestModSeq}] Highest\r\n`);
  }
}

/** Attributes of new messages that NOTIFY and searches asked for, in one FETCH each (RFC 5465 5.2, 7). */
async function tellNew(
  context: ImapContext,
  selected: Selected,
  told: { readonly known: number; readonly items: readonly FetchItem[] },
): Promise<void> {
  const { view } = selected;
  const searches = [...selected.searches.values()].filter(({ items }) => items.length > 0);
  const newest = view.largestUid;
  if (newest <= told.known || (told.items.length === 0 && searches.length === 0)) return;
  const set: [number, number][] = [[told.known + 1, newest]];
  if (searches.length === 0) return await fetchNew(context, set, told.items);
  for (const [from, to] of view.resolveUids(set)) {
    for (let sequence = from; sequence <= to && context.selected === selected; sequence++) {
      const uid = view.uidOf(sequence);
      const items = [
        ...told.items,
        ...searches.flatMap((search) => search.holds(uid) ? search.items : []),
      ];
      if (items.length > 0) await fetchNew(context, [[uid, uid]], items);
    }
  }
}

async function fetchNew(context: ImapContext, set: SequenceSet, items: readonly FetchItem[]): Promise<void> {
  // RFC 5465 5.2: behind EXISTS and ADDTO.
  const options = { changedSince: null, vanished: false, partial: null };
  await fetch(context, { name: "FETCH", uid: true, set, items, ...options });
}

/** EXPUNGE where it is allowed, EXISTS and RECENT, then flags. */
async function tellView(
  context: ImapContext,
  selected: Selected,
  options: TellOptions & { readonly flags: boolean },
): Promise<void> {
  const { out } = context;
  const { view } = selected;
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
    const uids = view.takeFlags(BATCH);
    if (options.flags) { for (const uid of uids) writeFlags(context, selected, uid); }
    if (uids.length < BATCH) return;
    await context.drain();
  }
}
