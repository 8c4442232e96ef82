/** Responses that nobody asked for, one by one: flags, EXISTS, what vanished (RFC 3501 7.2.6, 7.3, 7.4; RFC 7162). */
import { fetchHead } from "../../protocols/imap/format/fetch.ts";
import { formatFlags, formatSelectFlags } from "../../protocols/imap/format/flags.ts";
import { contains, formatRanges, type Ranges, rangesOf } from "../../protocols/imap/sequence_set.ts";
import type { MailboxView } from "../../protocols/imap/view.ts";
import type { ImapContext, Selected } from "./context.ts";
import { permanentFlags } from "./rights.ts";

/** Keywords named in FLAGS. */
export const MAX_KEYWORDS = 100;

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

export function formatExists({ exists, recent }: MailboxView, rev2: boolean): string {
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
  if (known.size > before) context.out.text(formatSelectFlags([...known.values()], permanentFlags(selected)));
}
